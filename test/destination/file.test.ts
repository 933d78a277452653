import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import type { Destination } from '../../src/destination/destination.ts'
import { createFileDestination } from '../../src/destination/file.ts'
import { checkFileWritable } from '../../src/destination/file-append.ts'
import { batchOf, makeBatch, makeRecord, stream } from './records.ts'

function makeDirectory(t: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-file-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

function open(t: TestContext, path: string): Destination {
  const destination = createFileDestination({ type: 'file', path })
  t.after(() => destination.close())
  return destination
}

/** Replaces one system call for the time of the test. */
function failOn<Call extends 'writeSync' | 'fdatasyncSync' | 'ftruncateSync' | 'fsyncSync'>(
  t: TestContext,
  call: Call,
  replacement: (...args: Parameters<(typeof fs)[Call]>) => unknown,
) {
  return t.mock.method(fs, call, replacement as (typeof fs)[Call])
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

const module = new URL('../../src/destination/file-append.ts', import.meta.url).href
const linesOf = (from: number, to: number) =>
  batchOf(from, to)
    .records.map((record) => `${record.bytes}\n`)
    .join('')

test('each record becomes one line, verbatim and in order', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  const destination = open(t, path)
  const records = [makeRecord(1, { reason: 'ünïcode \u2028 "quoted"' }), makeRecord(2)]
  assert.deepEqual(await destination.send(makeBatch(records), t.signal), { status: 'delivered' })
  await destination.send(makeBatch([makeRecord(3)]), t.signal)
  const expected = [...records, makeRecord(3)].map((record) => `${record.bytes}\n`).join('')
  assert.equal(fs.readFileSync(path, 'utf8'), expected)
})

test('a new file is for its owner alone, whatever the umask', async (t) => {
  const directory = makeDirectory(t)
  for (const mask of ['000', '077', '777']) {
    const path = join(directory, mask)
    // The umask belongs to the whole process: a process of its own.
    const source = `import { checkFileWritable } from ${JSON.stringify(module)}
      process.umask(0o${mask})
      checkFileWritable(process.argv[1])`
    execFileSync(process.execPath, ['--input-type=module', '--eval', source, path])
    assert.equal(fs.statSync(path).mode & 0o777, 0o600)
  }
})

test('an existing file keeps its content and its mode', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  fs.writeFileSync(path, linesOf(1, 1), { mode: 0o640 })
  checkFileWritable(path)
  await open(t, path).send(batchOf(2, 2), t.signal)
  assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 2))
  assert.equal(fs.statSync(path).mode & 0o777, 0o640)
})

test('delivered comes after the sync, and the new file name is synced before the first record', async (t) => {
  const calls: string[] = []
  const record = (call: 'writeSync' | 'fdatasyncSync' | 'fsyncSync') => {
    const original = fs[call] as (...args: unknown[]) => unknown
    failOn(t, call, (...args: unknown[]) => {
      calls.push(call)
      return original(...args)
    })
  }
  for (const call of ['writeSync', 'fdatasyncSync', 'fsyncSync'] as const) record(call)
  const destination = open(t, join(makeDirectory(t), 'audit.ndjson'))
  await destination.send(batchOf(1, 3), t.signal)
  await destination.send(batchOf(4, 4), t.signal)
  assert.deepEqual(calls, ['fsyncSync', 'writeSync', 'fdatasyncSync', 'writeSync', 'fdatasyncSync'])
})

test('a short write is continued', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  const { writeSync } = fs
  failOn(t, 'writeSync', (...args: unknown[]) => {
    const [file, bytes, offset] = args as [number, Buffer, number]
    return writeSync(file, bytes, offset, Math.min(100, bytes.length - offset))
  })
  assert.equal((await open(t, path).send(batchOf(1, 5), t.signal)).status, 'delivered')
  assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 5))
})

for (const failing of ['writeSync', 'fdatasyncSync'] as const) {
  test(`after a failed ${failing} the file holds no part of the batch, and the next try delivers it once`, async (t) => {
    const path = join(makeDirectory(t), 'audit.ndjson')
    const destination = open(t, path)
    await destination.send(batchOf(1, 2), t.signal)
    const injected = failOn(t, failing, halfThenFail())
    const delivery = await destination.send(batchOf(3, 5), t.signal)
    assert.equal(delivery.status, 'retry')
    assert.match('reason' in delivery ? delivery.reason : '', /audit\.ndjson: ENOSPC/)
    assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 2))
    injected.mock.restore()
    assert.equal((await destination.send(batchOf(3, 5), t.signal)).status, 'delivered')
    assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 5))
  })
}

test('a torn line that could not be taken back at once is cut off before the next record', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  const destination = open(t, path)
  const injected = [failOn(t, 'writeSync', halfThenFail()), failOn(t, 'ftruncateSync', failWith('EIO'))]
  assert.equal((await destination.send(batchOf(1, 1), t.signal)).status, 'retry')
  assert.ok(fs.statSync(path).size > 0)
  for (const call of injected) call.mock.restore()
  assert.equal((await destination.send(batchOf(1, 1), t.signal)).status, 'delivered')
  assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 1))
})

test('what a kill left half written is cut back to the last whole line, at every length', async (t) => {
  const directory = makeDirectory(t)
  const torn = makeRecord(3).bytes
  for (const length of [1, 5, 11, 12, torn.length - 1, torn.length]) {
    const path = join(directory, `${length}.ndjson`)
    fs.writeFileSync(path, Buffer.concat([Buffer.from(linesOf(1, 2)), torn.subarray(0, length)]))
    await open(t, path).send(batchOf(3, 3), t.signal)
    assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 3), `torn after ${length} bytes`)
  }
})

test('a torn first line leaves nothing, and the longest record is recognised', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  fs.writeFileSync(path, `{"action":"${'x'.repeat(49_152 - 11)}`)
  await open(t, path).send(batchOf(1, 1), t.signal)
  assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 1))
})

test('an unfinished line that is no record of ours is ended, never cut', async (t) => {
  const directory = makeDirectory(t)
  for (const foreign of ['# notes', '{"other":1', `{"action":"${'x'.repeat(49_153 - 11)}`]) {
    const path = join(directory, String(foreign.length))
    fs.writeFileSync(path, foreign)
    await open(t, path).send(batchOf(1, 1), t.signal)
    assert.equal(fs.readFileSync(path, 'utf8'), `${foreign}\n${linesOf(1, 1)}`)
  }
})

test('a file that cannot be written is the caller’s mistake, with what to do about it', (t) => {
  const directory = makeDirectory(t)
  const missing = join(directory, 'logs/audit.ndjson')
  assert.throws(() => checkFileWritable(missing), {
    code: 'FILE_NOT_WRITABLE',
    setting: 'destinations.file.path',
    hint: `Create the directory first: mkdir -p ${join(directory, 'logs')}`,
  })
  assert.throws(() => checkFileWritable(directory), { code: 'FILE_NOT_WRITABLE', message: /not a regular file/ })
  assert.throws(() => checkFileWritable('/dev/full'), { code: 'FILE_NOT_WRITABLE', message: /not a regular file/ })
})

test('checking creates the file and leaves its content', (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  checkFileWritable(path)
  assert.equal(fs.readFileSync(path, 'utf8'), '')
  fs.writeFileSync(path, linesOf(1, 1))
  checkFileWritable(path)
  assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 1))
})

test('a directory that vanishes later is retried, and delivery goes on when it is back', async (t) => {
  const directory = join(makeDirectory(t), 'logs')
  const path = join(directory, 'audit.ndjson')
  const destination = open(t, path)
  const delivery = await destination.send(batchOf(1, 1), t.signal)
  assert.match('reason' in delivery ? delivery.reason : '', /ENOENT/)
  fs.mkdirSync(directory)
  assert.equal((await destination.send(batchOf(1, 1), t.signal)).status, 'delivered')
})

/** The first call writes ten bytes or fails; every further one fails: a disk that fills up. */
function halfThenFail(): (...args: unknown[]) => number {
  const { writeSync } = fs
  let calls = 0
  return (...args) => {
    const [file, bytes, offset] = args as [number, Buffer | undefined, number]
    calls += 1
    if (bytes === undefined || calls > 1) throw systemError('ENOSPC')
    return writeSync(file, bytes, offset, 10)
  }
}

function failWith(code: string): () => never {
  return () => {
    throw systemError(code)
  }
}

/** What a process leaves that was killed after it wrote these records and before it saved its cursor. */
async function leave(t: TestContext, path: string, from: number, to: number): Promise<void> {
  const killed = createFileDestination({ type: 'file', path })
  assert.deepEqual(await killed.send(batchOf(from, to), t.signal), { status: 'delivered' })
  await killed.close()
}

test('records that are there already, and are sent again after a kill, do not come twice', async (t) => {
  for (const [again, further] of [
    [3, 9],
    [3, 6],
    [6, 7],
    [7, 8],
    [1, 4],
  ] as const) {
    const path = join(makeDirectory(t), 'audit.ndjson')
    await leave(t, path, 1, 6)
    const destination = open(t, path)
    for (let at = again; at <= further; at += 2) {
      const batch = batchOf(at, Math.min(at + 1, further))
      assert.deepEqual(await destination.send(batch, t.signal), { status: 'delivered' })
    }
    assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, Math.max(6, further)), `from ${again} to ${further}`)
  }
})

test('what is there already is found behind megabytes of it', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  const records = Array.from({ length: 120 }, (_, index) => makeRecord(index + 1, { reason: 'x'.repeat(40_000) }))
  const text = records.map((record) => `${record.bytes}\n`).join('')
  fs.writeFileSync(path, text)
  await open(t, path).send(makeBatch(records.slice(1)), t.signal)
  assert.equal(fs.readFileSync(path, 'utf8'), text)
})

test('what is there already is known again when the file goes on with a stream that follows', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  const following = [1, 2].map((seq) => ({ ...makeRecord(seq, { stream: 'b' }), stream: 'b' }))
  const records = [makeRecord(1), makeRecord(2), makeRecord(3), ...following]
  const text = records.map((record) => `${record.bytes}\n`).join('')
  fs.writeFileSync(path, text)
  await open(t, path).send(makeBatch(records.slice(1)), t.signal)
  assert.equal(fs.readFileSync(path, 'utf8'), text)
})

test('another record in the place of one that is there is a fork, and is not written', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  await leave(t, path, 1, 4)
  const destination = open(t, path)
  const other = (sequence: number) => makeRecord(sequence, { reason: 'another' })
  const held = (sequence: number) => ({ sequence, hash: leafHash(makeRecord(sequence).bytes) })
  for (const [records, index, sequence] of [
    [[makeRecord(2), other(3), other(4)], 1, 3],
    [[other(3), other(4)], 0, 3],
    [[other(4), makeRecord(5)], 0, 4],
  ] as const) {
    const delivery = await destination.send(makeBatch(records), t.signal)
    assert.equal(delivery.status, 'rejected')
    assert.deepEqual(delivery.status === 'rejected' && delivery.forked, { index, held: held(sequence) })
  }
  assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 4))
  assert.equal((await destination.send(makeBatch([makeRecord(2)]), t.signal)).status, 'delivered')
  assert.equal((await destination.send(batchOf(5, 6), t.signal)).status, 'delivered')
  assert.equal(fs.readFileSync(path, 'utf8'), linesOf(1, 6))
})

test('its head of a stream is its last line; of any other stream it knows none', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  const destination = open(t, path)
  assert.deepEqual(await destination.head?.(stream, t.signal), { status: 'known', head: undefined })
  await destination.send(batchOf(1, 3), t.signal)
  const head = { sequence: 3, hash: leafHash(makeRecord(3).bytes) }
  assert.deepEqual(await destination.head?.(stream, t.signal), { status: 'known', head })
  assert.deepEqual(await destination.head?.('another', t.signal), { status: 'known', head: undefined })
  const nowhere = createFileDestination({ type: 'file', path: join(path, 'under-a-file') })
  assert.equal((await nowhere.head(stream)).status, 'retry')
})

test('a file that ends with another stream, or with no record, is only added to', async (t) => {
  const directory = makeDirectory(t)
  for (const [name, content] of [
    ['text', 'no record\n'],
    ['other', `${JSON.stringify({ action: 'a', seq: 9, stream: 'another' })}\n`],
    ['empty', ''],
  ] as const) {
    const path = join(directory, name)
    fs.writeFileSync(path, content)
    await open(t, path).send(batchOf(1, 2), t.signal)
    assert.equal(fs.readFileSync(path, 'utf8'), content + linesOf(1, 2))
  }
})

test('what is known again is synced before it counts as delivered', async (t) => {
  const path = join(makeDirectory(t), 'audit.ndjson')
  await leave(t, path, 1, 3)
  const sync = failOn(t, 'fdatasyncSync', () => {
    throw systemError('EIO')
  })
  const destination = open(t, path)
  assert.equal((await destination.send(batchOf(1, 3), t.signal)).status, 'retry')
  sync.mock.restore()
  await destination.send(batchOf(1, 3), t.signal)
  assert.equal(
    fs.readFileSync(path, 'utf8'),
    linesOf(1, 3) + linesOf(1, 3),
    'bytes of a failed sync get no credit later',
  )
})
