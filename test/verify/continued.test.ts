/** Streams whose writer was killed before their first checkpoint: the signed opening of the next one covers them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { makeKeys, TrailWriter, toNdjson } from '../support/trail.ts'

const keys = makeKeys('prod')
const [first, second, third] = [1, 2, 3].map((n) => `019b7c2f-1111-7000-8000-00000000000${n}`) as [
  string,
  string,
  string,
]

async function verify(lines: readonly string[], verifiers = [keys.verifier]) {
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(toNdjson(lines))
  }
  const { exitCode, streams } = await verifySource(createNdjsonSource('copy', openBytes), { verifiers })
  return [exitCode, ...streams.map(({ verdict }) => verdict)]
}

function after(before: TrailWriter, stream: string): TrailWriter {
  const predecessor = { stream: before.stream, seq: before.lines.length, hash: before.leaf, reason: 'recovery' }
  return new TrailWriter(stream, keys).open({ predecessor })
}

const killed = () => new TrailWriter(first, keys).open().act(3)

test('a stream without a checkpoint is an open tail when a signed one continues it, over several too', async () => {
  const next = after(killed(), second).act(2).close()
  assert.deepEqual(await verify([...killed().lines, ...next.lines]), [0, 'OPEN_TAIL', 'INTACT'])
  const between = after(killed(), second)
  const last = after(between, third).close()
  const lines = [...killed().lines, ...between.lines, ...last.lines]
  assert.deepEqual(await verify(lines), [0, 'OPEN_TAIL', 'OPEN_TAIL', 'INTACT'])
  assert.deepEqual(await verify(lines, []), [1, 'UNANCHORED', 'UNANCHORED', 'UNANCHORED'])
})

test('nothing vouches for it when the next one is not signed, or names something else', async () => {
  const unsigned = after(killed(), second).act(2)
  assert.deepEqual(await verify([...killed().lines, ...unsigned.lines]), [1, 'UNANCHORED', 'UNANCHORED'])
  const next = after(killed(), second).act(2).close()
  const edited = killed().lines.map((line, at) => (at === 2 ? line.replace('"u-', '"x-') : line))
  assert.equal((await verify([...edited, ...next.lines]))[0], 1)
  assert.deepEqual(await verify([...new TrailWriter(first, keys).open().act(4).lines, ...next.lines]), [
    0,
    'OPEN_TAIL',
    'INTACT',
  ])
  assert.deepEqual(await verify([...killed().lines.slice(0, 3), ...next.lines]), [1, 'TRUNCATED', 'INTACT'])
})
