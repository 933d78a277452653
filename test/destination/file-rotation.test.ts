import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { leafHash } from '../../src/chain/hash.ts'
import { useClocks } from '../../src/clock.ts'
import type { DestinationFact, DestinationHost } from '../../src/destination/destination.ts'
import { createFileDestination, type FileDestination } from '../../src/destination/file.ts'
import type { FileDestinationOptions } from '../../src/destination/options.ts'
import { batchOf, makeRecord, stream } from './records.ts'

/** Holds three records of ours, and no fourth. */
const maxMb = (3.5 * (makeRecord(5).bytes.length + 1)) / 2 ** 20

function makePath(t: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-rotation-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'audit.ndjson')
}

function open(t: TestContext, options: Omit<FileDestinationOptions, 'type'>, host?: DestinationHost): FileDestination {
  const destination = createFileDestination({ type: 'file', ...options }, host)
  t.after(() => destination.close())
  return destination
}

/** One record a batch. */
async function sendEach(t: TestContext, destination: FileDestination, from: number, to: number): Promise<void> {
  for (let sequence = from; sequence <= to; sequence++)
    assert.deepEqual(await destination.send(batchOf(sequence, sequence), t.signal), { status: 'delivered' })
}

const namesIn = (path: string): string[] =>
  fs
    .readdirSync(join(path, '..'))
    .filter((name) => !name.endsWith('.lock'))
    .map((name) => name.slice(basename(path).length))
    .sort((a, b) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1))

function contentOf(path: string): string {
  const bytes = fs.readFileSync(path)
  return (
    path.endsWith('.gz') ? gunzipSync(bytes) : path.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes
  ).toString()
}

/** Everything that the series holds, in its order; a plain file beside its compressed one is the same file. */
function seriesOf(path: string): string {
  const names = namesIn(path).filter((name) => !name.endsWith('.tmp'))
  return names
    .filter((name) => !names.some((other) => other !== name && name !== '' && other.startsWith(`${name}.`)))
    .map((name) => contentOf(`${path}${name}`))
    .join('')
}

const linesOf = (from: number, to: number): string =>
  batchOf(from, to)
    .records.map(({ bytes }) => `${bytes}\n`)
    .join('')

for (const [compress, suffix] of [
  [undefined, '.gz'],
  [true, '.gz'],
  ['gzip', '.gz'],
  ['zstd', '.zst'],
  [false, ''],
] as const) {
  test(`full files are closed and numbered in their order (compress: ${compress})`, async (t) => {
    const path = makePath(t)
    const destination = open(t, { path, maxMb, ...(compress !== undefined && { compress }) })
    await sendEach(t, destination, 1, 8)
    await destination.settled()
    assert.deepEqual(namesIn(path), [`.000001${suffix}`, `.000002${suffix}`, ''])
    assert.equal(contentOf(`${path}.000001${suffix}`), linesOf(1, 3))
    assert.equal(contentOf(path), linesOf(7, 8))
    assert.equal(seriesOf(path), linesOf(1, 8))
    for (const name of namesIn(path)) assert.equal(fs.statSync(`${path}${name}`).mode & 0o777, 0o600)
  })
}

test('an old file is closed when another record comes', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path, maxAgeHours: 24, compress: false })
  await sendEach(t, destination, 1, 2)
  t.after(useClocks({ wallMs: () => Date.now() + 25 * 3_600_000 }))
  await sendEach(t, destination, 3, 3)
  assert.deepEqual([contentOf(`${path}.000001`), contentOf(path)], [linesOf(1, 2), linesOf(3, 3)])
})

test('a batch larger than a file may be has one of its own', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path, maxMb, compress: false })
  for (const [from, to] of [
    [1, 9],
    [10, 19],
  ] as const)
    assert.equal((await destination.send(batchOf(from, to), t.signal)).status, 'delivered')
  assert.deepEqual([contentOf(`${path}.000001`), contentOf(path)], [linesOf(1, 9), linesOf(10, 19)])
})

test('numbers go on after those that are there, compressed or not, after a restart too', async (t) => {
  const path = makePath(t)
  fs.writeFileSync(`${path}.000041.gz`, gzipSync('old\n'))
  fs.writeFileSync(`${path}.7`, 'of somebody else')
  const first = open(t, { path, maxMb })
  await sendEach(t, first, 1, 4)
  await first.close()
  const second = open(t, { path, maxMb })
  await sendEach(t, second, 5, 7)
  await second.settled()
  assert.deepEqual(namesIn(path), ['.000041.gz', '.000042.gz', '.000043.gz', '.7', ''])
})

test('nothing is deleted unless that is asked for', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path, maxMb }, { seal: async () => assert.fail('nothing is to be sealed') })
  await sendEach(t, destination, 1, 40)
  await destination.settled()
  assert.equal(seriesOf(path), linesOf(1, 40))
})

test('what is deleted is sealed first: the oldest, with what they held', async (t) => {
  const path = makePath(t)
  const sealed: DestinationFact[] = []
  const host: DestinationHost = {
    async seal(fact) {
      assert.ok(fs.existsSync(join(path, '..', String(fact.details.file))), 'it is still there')
      sealed.push(fact)
      return true
    },
  }
  const destination = open(t, { path, maxMb, maxBackups: 2, name: 'copy' }, host)
  for (let sequence = 1; sequence <= 13; sequence++) {
    await sendEach(t, destination, sequence, sequence)
    await destination.settled()
  }
  assert.deepEqual(namesIn(path), ['.000003.gz', '.000004.gz', ''])
  const details = (file: string, from: number, to: number) => ({
    destination: 'copy',
    file,
    records: to - from + 1,
    ranges: [{ stream, from, to, hash: leafHash(makeRecord(to).bytes) }],
  })
  assert.deepEqual(sealed, [
    { type: 'audit.file.deleted', details: details('audit.ndjson.000001.gz', 1, 3) },
    { type: 'audit.file.deleted', details: details('audit.ndjson.000002.gz', 4, 6) },
  ])
})

for (const [what, host] of [
  ['cannot be sealed', { seal: async () => false }],
  ['nobody seals', undefined],
] as const) {
  test(`nothing is deleted that ${what}`, async (t) => {
    const path = makePath(t)
    const destination = open(t, { path, maxMb, maxBackups: 1 }, host)
    await sendEach(t, destination, 1, 13)
    await destination.settled()
    assert.equal(seriesOf(path), linesOf(1, 13))
  })
}

const steps = [
  'renameSync',
  'unlinkSync',
  'fsyncSync',
  'fdatasyncSync',
  'writeSync',
  'rmSync',
  'ftruncateSync',
] as const

/** Lets the process die before its n-th step on the disk: no later one happens. Returns whether it came to that. */
function dieBefore(t: TestContext, step: number): { died: () => boolean; revive: () => void } {
  let count = 0
  const mocks = steps.map((call) => {
    const original = fs[call] as (...args: unknown[]) => unknown
    return t.mock.method(fs, call, (...args: unknown[]) => {
      count += 1
      if (count >= step) throw Object.assign(new Error('EIO: dead'), { code: 'EIO' })
      return original(...args)
    })
  })
  return {
    died: () => count >= step,
    revive: () => {
      for (const mock of mocks) mock.mock.restore()
    },
  }
}

test('whatever step a crash comes before, each record is there once when it was sent again', async (t) => {
  for (let step = 1, isOver = false; !isOver; step++) {
    const path = makePath(t)
    const doomed = createFileDestination({ type: 'file', path, maxMb })
    await sendEach(t, doomed, 1, 3)
    const { died, revive } = dieBefore(t, step)
    let confirmed = 3
    for (; confirmed < 8; confirmed++) {
      const { status } = await doomed.send(batchOf(confirmed + 1, confirmed + 1), t.signal)
      if (status !== 'delivered') break
      await doomed.settled()
    }
    isOver = !died()
    await doomed.close().catch(() => {}) // it is dead: only its lock is to be freed
    revive()
    const destination = open(t, { path, maxMb })
    // The cursor may lag: what was confirmed last comes again.
    assert.deepEqual(await destination.send(batchOf(Math.max(1, confirmed), confirmed + 1), t.signal), {
      status: 'delivered',
    })
    await sendEach(t, destination, confirmed + 2, 10)
    await destination.settled()
    assert.equal(seriesOf(path), linesOf(1, Math.max(10, confirmed + 1)), `before step ${step}`)
    assert.ok(!namesIn(path).some((name) => name.endsWith('.tmp')), `before step ${step}`)
  }
})

test('records that stand in a closed file, and are sent again after a kill, do not come twice', async (t) => {
  for (const compress of ['gzip', 'zstd', false] as const) {
    const path = makePath(t)
    const killed = createFileDestination({ type: 'file', path, maxMb, compress })
    await sendEach(t, killed, 1, 8)
    await killed.settled()
    await killed.close()
    // The sixth is the last of its file; behind it stand two in the one being written.
    const destination = open(t, { path, maxMb, compress })
    assert.deepEqual(await destination.send(batchOf(5, 7), t.signal), { status: 'delivered' })
    assert.deepEqual(await destination.send(batchOf(8, 9), t.signal), { status: 'delivered' })
    await destination.settled()
    assert.equal(seriesOf(path), linesOf(1, 9), String(compress))
  }
})

test('what a crash left of a compression is taken away and done again', async (t) => {
  const path = makePath(t)
  fs.writeFileSync(`${path}.000001`, linesOf(1, 2))
  fs.writeFileSync(`${path}.000001.gz`, gzipSync(linesOf(1, 2)))
  fs.writeFileSync(`${path}.000002`, linesOf(3, 4))
  fs.writeFileSync(`${path}.000002.gz.tmp`, gzipSync(linesOf(3, 4)).subarray(0, 20))
  const destination = open(t, { path })
  await sendEach(t, destination, 5, 5)
  await destination.settled()
  assert.deepEqual(namesIn(path), ['.000001.gz', '.000002.gz', ''])
  assert.equal(seriesOf(path), linesOf(1, 5))
})

test('a closed file that cannot be compressed stays as it is, and is tried again', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path, maxMb })
  await sendEach(t, destination, 1, 3)
  const failing = t.mock.method(fs, 'createWriteStream', () => {
    throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' })
  })
  await sendEach(t, destination, 4, 6)
  await destination.settled()
  assert.deepEqual(namesIn(path), ['.000001', ''])
  failing.mock.restore()
  await sendEach(t, destination, 7, 7)
  await destination.settled()
  assert.deepEqual(namesIn(path), ['.000001.gz', '.000002.gz', ''])
  assert.equal(seriesOf(path), linesOf(1, 7))
})

test('a file that somebody moves away stays theirs, and the next batch begins a new one', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path, maxMb: 1 })
  await sendEach(t, destination, 1, 2)
  fs.renameSync(path, `${path}.1`)
  await sendEach(t, destination, 3, 4)
  assert.deepEqual([contentOf(`${path}.1`), contentOf(path)], [linesOf(1, 2), linesOf(3, 4)])
})

test('a file that is deleted is begun anew', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path })
  await sendEach(t, destination, 1, 2)
  fs.unlinkSync(path)
  await sendEach(t, destination, 3, 3)
  assert.equal(contentOf(path), linesOf(3, 3))
})

test('a file that is moved away during a write gets the batch again in the one that follows', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path })
  await sendEach(t, destination, 1, 1)
  const { fdatasyncSync } = fs
  const mock = t.mock.method(fs, 'fdatasyncSync', (file: number) => {
    fdatasyncSync(file)
    fs.renameSync(path, `${path}.1`)
  })
  const delivery = await destination.send(batchOf(2, 2), t.signal)
  assert.match('reason' in delivery ? delivery.reason : '', /moved away while it was written/)
  mock.mock.restore()
  await sendEach(t, destination, 2, 2)
  assert.equal(contentOf(path), linesOf(2, 2))
})

test('a file that something cuts is said, and goes on', async (t) => {
  const path = makePath(t)
  const destination = open(t, { path })
  await sendEach(t, destination, 1, 2)
  fs.truncateSync(path)
  const delivery = await destination.send(batchOf(3, 3), t.signal)
  assert.match('reason' in delivery ? delivery.reason : '', /became shorter.*copytruncate/)
  await sendEach(t, destination, 3, 4)
  assert.equal(contentOf(path), linesOf(3, 4))
})

test('behind a symbolic link the file itself is rotated, and a link that changes leads elsewhere', async (t) => {
  const path = makePath(t)
  const real = join(path, '../elsewhere.ndjson')
  fs.symlinkSync('elsewhere.ndjson', path)
  const destination = open(t, { path, maxMb, compress: false })
  await sendEach(t, destination, 1, 4)
  assert.deepEqual([contentOf(`${real}.000001`), contentOf(real)], [linesOf(1, 3), linesOf(4, 4)])
  assert.ok(fs.lstatSync(path).isSymbolicLink())
  fs.unlinkSync(path)
  fs.symlinkSync('third.ndjson', path)
  await sendEach(t, destination, 5, 5)
  assert.equal(contentOf(join(path, '../third.ndjson')), linesOf(5, 5))
})

test('a second writer of the file is refused, and goes on when the first is gone', async (t) => {
  const path = makePath(t)
  const first = open(t, { path })
  await sendEach(t, first, 1, 1)
  const second = open(t, { path })
  assert.deepEqual(await second.send(batchOf(2, 2), t.signal), {
    status: 'retry',
    reason: `${path}: process ${process.pid} writes it; each needs a path of its own`,
  })
  await first.close()
  await sendEach(t, second, 2, 2)
  assert.equal(contentOf(path), linesOf(1, 2))
})
