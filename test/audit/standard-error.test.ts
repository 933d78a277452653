import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { freshFolder } from './opened.ts'

const writer = join(import.meta.dirname, 'standard-error-writer.ts')

interface Writer {
  readonly child: ChildProcess
  /** Sends an order; the answer. */
  ask(order: string): Promise<string>
  end(order: string): Promise<number | null>
}

function startWriter(t: TestContext, standardError: number | 'pipe'): Writer {
  const child = spawn(process.execPath, [writer], { stdio: ['pipe', 'pipe', standardError] })
  t.after(() => child.kill('SIGKILL'))
  const { stdin, stdout } = child
  assert.ok(stdin !== null && stdout !== null)
  const answers = createInterface({ input: stdout })[Symbol.asyncIterator]()
  return {
    child,
    ask: async (order) => {
      stdin.write(`${order}\n`)
      const { value } = await answers.next()
      return String(value)
    },
    end: async (order) => {
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
      stdin.write(`${order}\n`)
      return await ended
    },
  }
}

/** A named pipe, with an end to read from that nobody reads. */
function makePipe(t: TestContext): { reading: number; writing: number } {
  const path = join(freshFolder(t), 'pipe')
  assert.equal(spawnSync('mkfifo', [path]).status, 0)
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return { reading, writing: openSync(path, constants.O_WRONLY) }
}

test('a line is in a file when the call returns', async (t) => {
  const path = join(freshFolder(t), 'errors')
  const file = openSync(path, 'a')
  const { ask } = startWriter(t, file)
  assert.equal(await ask('line 100'), 'written')
  assert.equal(readFileSync(path, 'utf8'), `${'0 '.padEnd(100, 'x')}\n`)
  closeSync(file)
})

for (const kind of ['pipe', 'socket'] as const) {
  test(`a reader of a ${kind} that stalls stops nothing; when it reads again it gets every line, whole and in order`, async (t) => {
    const pipe = kind === 'pipe' ? makePipe(t) : undefined
    const { child, ask } = startWriter(t, pipe?.writing ?? 'pipe')
    const fates: string[] = []
    while (fates.at(-1) !== 'waiting') fates.push(await ask('line 30000'))
    fates.push(await ask('line 30000'))
    assert.ok(fates.length > 2, 'a pipe takes some before it is full')
    assert.equal(fates.at(-1), 'waiting')
    const lines = linesOf(pipe === undefined ? child.stderr : startReader(pipe.reading))
    if (pipe !== undefined) closeSync(pipe.writing)
    assert.equal(await ask('drain'), 'drained')
    child.kill('SIGKILL')
    const expected = fates.map((_, index) => `${index} `.padEnd(30_000, 'x'))
    assert.deepEqual(await lines, expected)
  })
}

test('what waits is bounded; beyond it a line is given up, and says so', async (t) => {
  const { ask } = startWriter(t, 'pipe')
  let asked = 0
  let fate = ''
  for (; fate !== 'lost'; asked += 1) fate = await ask('line 1000000')
  assert.ok(asked > 16 && asked < 20, `${asked} lines of a megabyte`)
  assert.equal(await ask('line 10'), 'waiting', 'a short one still has room')
})

test('what waits goes out when the program ends, as far as there is room', async (t) => {
  const pipe = makePipe(t)
  const { ask, end } = startWriter(t, pipe.writing)
  let count = 0
  while ((await ask('line 30000')) === 'written') count += 1
  const output = startReader(pipe.reading)
  closeSync(pipe.writing)
  const hasRoom = new Promise((resolve) => output.once('data', resolve))
  const lines = linesOf(output)
  await hasRoom
  assert.equal(await end('exit'), 0)
  const lengths = (await lines).map((line) => line.length)
  assert.deepEqual(lengths, new Array(count + 1).fill(30_000))
})

test('a full disk behind standard error does not end the program', { skip: !existsSync('/dev/full') }, async (t) => {
  const file = openSync('/dev/full', 'w')
  const { ask, end } = startWriter(t, file)
  assert.equal(await ask('line 100'), 'waiting')
  assert.equal(await ask('line 100'), 'waiting')
  assert.equal(await end('exit'), 0)
  closeSync(file)
})

test('a reader that has gone away does not end the program', async (t) => {
  const { child, ask, end } = startWriter(t, 'pipe')
  child.stderr?.destroy()
  const fates = [await ask('line 100'), await ask('line 100'), await ask('line 100')]
  assert.equal(fates.at(-1), 'waiting')
  assert.equal(await end('exit'), 0)
})

/** Reads a pipe in a process of its own: waiting at an empty one needs a thread that may wait. */
function startReader(file: number): Readable {
  const { stdout } = spawn('cat', { stdio: [file, 'pipe', 'ignore'] })
  closeSync(file)
  assert.ok(stdout !== null)
  return stdout
}

async function linesOf(stream: Readable | null): Promise<string[]> {
  let text = ''
  for await (const chunk of stream ?? []) text += String(chunk)
  return text.trimEnd().split('\n')
}
