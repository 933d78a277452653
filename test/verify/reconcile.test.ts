/** Copies compared by stream, sequence and hash: exactly what is missing or different, whatever the order. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { reconcile, type SequenceRange } from '../../src/verify/reconcile.ts'
import type { Source } from '../../src/verify/source.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { freshFolder, openAudit } from '../audit/opened.ts'
import { runCli } from '../cli/run.ts'

function lineOf(stream: string, seq: number, action = 'a.b'): string {
  return JSON.stringify({ action, event_type: 'audit', seq, stream })
}

function copyOf(name: string, lines: readonly string[]): Source {
  return createNdjsonSource(name, async function* () {
    yield Buffer.from(lines.map((line) => `${line}\n`).join(''))
  })
}

const range = (stream: string, from: number, to = from): SequenceRange => ({ stream, from, to })
const oneToNine = [1, 2, 3, 4, 5, 6, 7, 8, 9]

test('what is missing is named in ranges, what is different with both hashes and its place', async () => {
  const from = copyOf('spool', [...oneToNine.map((seq) => lineOf('s', seq)), lineOf('t', 1)])
  const held = [9, 1, 5, 5].map((seq) => lineOf('s', seq)) // another order, and a repetition
  const to = copyOf('file', [...held, lineOf('s', 4, 'forged'), lineOf('u', 7)])
  const { exitCode, to: [copy] = [] } = await reconcile(from, [to])
  assert.equal(exitCode, 1)
  assert.equal(copy?.records, 5)
  const missing = [range('s', 2, 3), range('s', 6, 8), range('t', 1)]
  assert.deepEqual(copy?.missing, { count: 6, first: missing })
  assert.deepEqual(copy?.onlyHere, { count: 1, first: [range('u', 7)] })
  const [one] = copy?.different.first ?? []
  assert.equal(copy?.different.count, 1)
  assert.deepEqual([one?.stream, one?.sequence, one?.where], ['s', 4, 'line 5'])
  assert.notEqual(one?.expected, one?.found)
})

test('a genuine record beside a forged one of its number does not hide it', async () => {
  const from = copyOf('spool', [lineOf('s', 1)])
  for (const lines of [
    [lineOf('s', 1), lineOf('s', 1, 'forged')],
    [lineOf('s', 1, 'forged'), lineOf('s', 1)],
  ]) {
    const { exitCode, to } = await reconcile(from, [copyOf('file', lines)])
    assert.deepEqual([exitCode, to[0]?.different.count], [1, 1])
  }
})

test('a copy without records, or with a line that is none, is no equal copy', async () => {
  const from = () => copyOf('spool', [lineOf('s', 1)])
  const empty = await reconcile(copyOf('spool', []), [copyOf('file', [lineOf('s', 1)])])
  assert.equal(empty.exitCode, 2)
  const damaged = await reconcile(from(), [copyOf('file', [lineOf('s', 1), 'no record'])])
  assert.deepEqual([damaged.exitCode, damaged.to[0]?.damaged], [2, 1])
  const broken: Source = {
    ...copyOf('file', []),
    // biome-ignore lint/correctness/useYield: it breaks off before the first group
    async *read() {
      throw new Error('EIO')
    },
  }
  const unread = await reconcile(from(), [broken])
  assert.deepEqual([unread.exitCode, unread.to[0]?.unreadable], [1, 'EIO'])
})

test('whatever is taken out and changed, exactly that is found', async (t) => {
  const seed = Date.now()
  t.diagnostic(`seed ${seed}`)
  const fates = fc.array(fc.constantFrom('kept', 'gone', 'forged'), { minLength: 1, maxLength: 60 })
  const property = fc.asyncProperty(fates, fc.nat(), async (given, turn) => {
    const from = given.map((_, at) => lineOf(at % 2 === 0 ? 's' : 't', 1 + Math.floor(at / 2)))
    const left = from.flatMap((line, at) => {
      return given[at] === 'gone' ? [] : [given[at] === 'kept' ? line : line.replace('a.b', 'a.c')]
    })
    const start = left.length === 0 ? 0 : turn % left.length
    const { to } = await reconcile(copyOf('from', from), [
      copyOf('to', [...left.slice(start), ...left.slice(0, start)]),
    ])
    const count = (fate: string) => given.filter((one) => one === fate).length
    assert.deepEqual([to[0]?.missing.count, to[0]?.different.count], [count('gone'), count('forged')])
  })
  await fc.assert(property, { seed, numRuns: 200 })
})

test('the command compares a spool with a file, and says where they differ', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'trail.ndjson')
  const audit = openAudit(folder, { destinations: [{ type: 'file', path }], closeTimeoutMs: 5_000 })
  audit.emit({ action: 'app.test' })
  await audit.close()
  const spool = join(folder, 'spool')
  const same = await runCli(['reconcile', '--from', spool, '--to', path])
  assert.equal(same.exitCode, 0, same.stderr)
  assert.match(same.stdout, /trail\.ndjson: 4 records, the same\n/)
  const short = join(folder, 'short.ndjson')
  writeFileSync(short, `${lineOf('other', 1)}\n`)
  const other = await runCli(['reconcile', '--from', spool, '--to', path, '--to', short, '--json'])
  assert.equal(other.exitCode, 1, other.stderr)
  const { to } = JSON.parse(other.stdout) as Awaited<ReturnType<typeof reconcile>>
  assert.deepEqual(
    to.map(({ missing }) => missing.count),
    [0, 4],
  )
  const refused = await runCli(['reconcile', '--from', spool])
  assert.equal(refused.exitCode, 2)
  assert.match(refused.stderr, /--to is missing/)
})
