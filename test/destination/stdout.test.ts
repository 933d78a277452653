import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { createStdoutDestination } from '../../src/destination/stdout.ts'
import { batchOf } from './records.ts'

const writer = `"${process.execPath}" "${import.meta.dirname}/stdout-writer.ts"`

/** Runs a shell line, whose `|` are real pipes; descriptor 3 is a pipe from this process. */
function shell(t: TestContext, line: string): ChildProcess {
  const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}

function stream<Kind>(pipe: Kind | null | undefined): Kind {
  assert.ok(pipe)
  return pipe
}

const linesOf = (from: number, to: number) =>
  batchOf(from, to)
    .records.map((record) => `${record.bytes}\n`)
    .join('')

test('each record becomes one line on a pipe, verbatim and in order', async (t) => {
  const child = shell(t, `${writer} 3 | cat`)
  assert.equal(await text(stream(child.stdout)), linesOf(1, 300))
})

test('standard output that is a file is appended to', async (t) => {
  const directory = fs.mkdtempSync('/tmp/otel-audit-stdout-')
  t.after(() => fs.rmSync(directory, { recursive: true }))
  const toFile = shell(t, `{ echo before; ${writer} 1; echo after; } > "${directory}/out"`)
  await once(toFile, 'close')
  assert.equal(fs.readFileSync(`${directory}/out`, 'utf8'), `before\n${linesOf(1, 100)}after\n`)
})

test('a reader that stalls does not block the thread, and gets every line when it goes on', async (t) => {
  const child = shell(t, `${writer} 20 | { read go <&3; cat; }`)
  const output = text(stream(child.stdout))
  const [line] = await once(createInterface({ input: stream(child.stderr) }), 'line')
  assert.equal(line, 'alive')
  const release = stream(child.stdio[3]) as NodeJS.WritableStream
  release.end('go\n')
  assert.equal(await output, linesOf(1, 2_000))
})

test('a reader that has gone is a retry', async (t) => {
  const child = shell(t, `${writer} 1000 | true`)
  assert.match(await text(stream(child.stderr)), /^(alive\n)?retry standard output: EPIPE/)
})

test('a line that a failure cut is finished before another begins', async (t) => {
  const destination = createStdoutDestination({ type: 'stdout' })
  t.after(() => destination.close())
  const stopping = new AbortController()
  let output = ''
  let room = linesOf(1, 1).length + 10
  t.mock.method(fs, 'writeSync', (_: number, bytes: Buffer) => {
    if (room === 0) {
      stopping.abort()
      throw Object.assign(new Error('try again'), { code: 'EAGAIN' })
    }
    const written = Math.min(room, bytes.length)
    output += bytes.toString('utf8', 0, written)
    room -= written
    return written
  })
  assert.equal((await destination.send(batchOf(1, 3), stopping.signal)).status, 'retry')
  room = Number.POSITIVE_INFINITY
  assert.equal((await destination.send(batchOf(1, 3), t.signal)).status, 'delivered')
  assert.equal(output, linesOf(1, 2) + linesOf(1, 3))
})
