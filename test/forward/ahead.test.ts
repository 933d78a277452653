import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Batch, Delivery, Destination, HeadReading } from '../../src/destination/destination.ts'
import { type AheadRecord, watchAhead } from '../../src/forward/ahead.ts'
import { delivered, makeRecords, retry, ScriptedDestination, stream } from './fakes.ts'

const never = new AbortController().signal
const ours = (sequence: number) => `our ${sequence}`

interface Setup {
  /** What the destination answers when it is asked for its head, in turn, then the last one. */
  readonly heads?: HeadReading[]
  readonly answers?: Delivery[]
  /** Records that are durable here, before the question and behind it. */
  readonly own?: number[]
  readonly retained?: boolean
  readonly ownStream?: string
}

function watch({ heads, answers = [], own = [10], retained = true, ownStream = stream }: Setup) {
  const destination: Destination = new ScriptedDestination(...answers)
  let asked = 0
  if (heads !== undefined) destination.head = async () => heads[Math.min(asked++, heads.length - 1)] as HeadReading
  let looks = 0
  const compared = {
    end: () => ({ stream: ownStream, sequence: own[Math.min(looks++, own.length - 1)] ?? 0 }),
    hashOf: ({ sequence }: { sequence: number }) => (retained ? ours(sequence) : undefined),
  }
  const found: AheadRecord[] = []
  const watched = watchAhead(destination, compared, (ahead) => found.push(ahead))
  const send = (from = 1, to = 3): Promise<Delivery> => {
    const batch: Batch = { records: makeRecords(from, to), bytes: 1 }
    return watched.send(batch, never)
  }
  return { watched, found, send, asked: () => asked, sent: (destination as ScriptedDestination).sent }
}

const known = (sequence: number, hash = ours(sequence)): HeadReading => ({ status: 'known', head: { sequence, hash } })

const cases: readonly (Setup & { readonly name: string; readonly finds: readonly AheadRecord[] })[] = [
  { name: 'a head below ours, and the same record', heads: [known(7)], finds: [] },
  { name: 'our own head', heads: [known(10)], finds: [] },
  { name: 'nothing of the stream', heads: [{ status: 'known', head: undefined }], finds: [] },
  { name: 'an empty stream', heads: [known(0, 'whatever')], finds: [] },
  { name: 'a head beyond ours', heads: [known(12)], finds: [{ stream, sequence: 12, hash: ours(12), own: 10 }] },
  {
    name: 'another record below our head',
    heads: [known(7, 'x')],
    finds: [{ stream, sequence: 7, hash: 'x', own: 10 }],
  },
  { name: 'another record that is not retained here', heads: [known(7, 'x')], retained: false, finds: [] },
  { name: 'a head that we reach while it is asked for', heads: [known(12)], own: [10, 12], finds: [] },
]

for (const { name, finds, ...setup } of cases) {
  test(`${name}: ${finds.length === 0 ? 'nothing is found' : 'the destination is ahead'}`, async () => {
    const { send, found, sent } = watch(setup)
    assert.deepEqual(await send(), delivered)
    assert.deepEqual(found, finds)
    assert.equal(sent.length, 1, 'sent all the same: what it refuses is the destination’s to say')
  })
}

test('a destination is asked once, before the first record goes, and again while it cannot be reached', async () => {
  const { send, sent, asked, found } = watch({ heads: [{ status: 'retry', reason: 'ECONNREFUSED' }, known(12)] })
  assert.deepEqual(await send(), { status: 'retry', reason: 'ECONNREFUSED' })
  assert.deepEqual(sent, [])
  await send()
  await send()
  assert.deepEqual([asked(), sent.length, found.length], [2, 2, 1])
})

test('a fork that is refused while sending is found too, once a stream', async () => {
  const held = { sequence: 2, hash: 'theirs' }
  const fork: Delivery = { status: 'rejected', reason: 'fork', forked: { index: 1, held } }
  const { send, found } = watch({ answers: [fork, fork, delivered] })
  assert.deepEqual([await send(), await send(), await send()], [fork, fork, delivered])
  assert.deepEqual(found, [{ stream, ...held, own: 10 }])
})

test('a fork in a stream that has ended here is nothing to begin another for', async () => {
  const fork: Delivery = { status: 'rejected', reason: 'fork', forked: { index: 0, held: { sequence: 1, hash: 'x' } } }
  const { send, found } = watch({ answers: [fork], ownStream: 'the next' })
  await send()
  assert.deepEqual(found, [])
})

test('a destination that nobody can ask is sent to, with its name and its number of sendings', async () => {
  const { watched, send, found } = watch({ answers: [retry, delivered] })
  assert.deepEqual([await send(), await send()], [retry, delivered])
  assert.deepEqual([watched.name, watched.sendingsMax, found], ['scripted', 1, []])
})
