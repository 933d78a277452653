/** A destination that comes back as an older copy of itself: where delivery begins again, and what is sealed before. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { DeclaredGap, Delivery, DestinationFact, HeadReading } from '../../src/destination/destination.ts'
import { parseRecord, type StoredRecord } from '../../src/event/record.ts'
import { Forwarder } from '../../src/forward/forwarder.ts'
import type { DeliveryFact } from '../../src/forward/quarantine.ts'
import { Rewind } from '../../src/forward/rewind.ts'
import { expecting } from '../../src/forward/sending-by.ts'
import type { RecordNumber } from '../../src/spool/cursor.ts'
import { FakePace } from '../support/pace.ts'
import { chainOf } from '../support/record-chain.ts'
import { ArraySource, delivered, makeRecords, ScriptedDestination, stream } from './fakes.ts'

const [a, b, c] = ['00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b', stream]
const going = new AbortController().signal

interface Scene {
  /** What the spool retains, in its order. */
  readonly retained: readonly StoredRecord[]
  readonly confirmed: RecordNumber | undefined
  /** What the destination holds, by stream. */
  readonly held: Readonly<Record<string, number>>
  readonly seals?: (fact: DestinationFact) => boolean
}

/** Goes back once; tells in which order things were done. */
async function goBack({ retained, confirmed, held, seals = () => true }: Scene) {
  const steps: string[] = []
  const facts: DestinationFact[] = []
  const crossed: DeclaredGap[] = []
  const source = {
    confirmed,
    rewind(to: RecordNumber | undefined) {
      steps.push('rewind')
      source.confirmed = to
    },
    streams: () => [...new Set(retained.map((record) => record.stream))],
    firstBehind: (number: RecordNumber | undefined) => {
      if (number === undefined) return retained[0]
      const at = retained.findLastIndex((one) => one.stream === number.stream && one.sequence <= number.sequence)
      return at >= 0 ? retained[at + 1] : (retained.find((one) => one.stream === number.stream) ?? retained[0])
    },
  }
  const destination = {
    name: 'db',
    head: async (asked: string): Promise<HeadReading> => {
      const sequence = held[asked]
      return { status: 'known', head: sequence === undefined ? undefined : { sequence, hash: undefined } }
    },
    cross: async (gap: DeclaredGap): Promise<Delivery> => {
      steps.push('cross')
      crossed.push(gap)
      return delivered
    },
  }
  const seal = async (fact: DeliveryFact) => {
    if ('kind' in fact || !seals(fact)) return false
    steps.push(fact.type)
    facts.push(fact)
    return true
  }
  const rewind = new Rewind({ destination, source, seal })
  const batch = { records: retained.slice(-1), bytes: 0 }
  const rewound = await rewind.goBack(batch, going)
  return { rewound, steps, facts, crossed, to: source.confirmed, again: () => rewind.goBack(batch, going) }
}

function numbered(of: string, from: number, to: number): StoredRecord[] {
  return chainOf(to, { stream: of }).slice(from - 1)
}

test('delivery begins again behind what the destination holds, and that is sealed', async () => {
  const { to, facts, rewound } = await goBack({
    retained: numbered(a, 1, 9),
    confirmed: { stream: a, sequence: 8 },
    held: { [a]: 3 },
  })
  assert.deepEqual(to, { stream: a, sequence: 3 })
  assert.equal(rewound.isBack, true)
  const details = { destination: 'db', stream: a, seq: 3, confirmed: { stream: a, seq: 8 } }
  assert.deepEqual(facts, [{ type: 'audit.destination.rewound', details }])
})

test('a copy from before the stream began goes back into the stream before, or to the oldest record', async () => {
  const retained = [...numbered(a, 1, 5), ...numbered(b, 1, 4), ...numbered(c, 1, 3)]
  const confirmed = { stream: c, sequence: 2 }
  assert.deepEqual((await goBack({ retained, confirmed, held: { [a]: 4 } })).to, { stream: a, sequence: 4 })
  assert.equal((await goBack({ retained, confirmed, held: {} })).to, undefined)
  const ahead = await goBack({ retained, confirmed: { stream: b, sequence: 1 }, held: { [b]: 3, [a]: 5 } })
  assert.deepEqual(ahead.to, { stream: b, sequence: 1 }, 'a cursor that lags goes on')
})

test('what the spool has no more is a gap: sealed before anything moves, then crossed with the hash that follows', async () => {
  const { steps, facts, crossed, again } = await goBack({
    retained: numbered(a, 6, 9),
    confirmed: { stream: a, sequence: 8 },
    held: { [a]: 3 },
  })
  assert.deepEqual(steps, ['audit.destination.rewound', 'audit.gap', 'rewind', 'cross'])
  const gap = { reason: 'older_copy', destination: 'db', stream: a, from: 4, to: 5, count: 2, bytes: 0 }
  assert.deepEqual(facts[1]?.details, gap)
  const [next] = numbered(a, 6, 6).map(({ bytes }) => parseRecord(bytes)?.prev)
  assert.notEqual(next, undefined)
  assert.deepEqual(crossed, [{ stream: a, from: 4, to: 5, hash: crossed[0]?.hash }])
  assert.match(crossed[0]?.hash ?? '', /^[0-9a-f]{64}$/)
  await again()
  assert.equal(facts.length, 2, 'what is sealed is not sealed twice')
})

test('a gap in a stream of which the destination holds nothing is sealed too, and needs no crossing', async () => {
  const first = await goBack({ retained: numbered(b, 5, 9), confirmed: { stream: b, sequence: 9 }, held: { [a]: 3 } })
  assert.deepEqual([first.facts[1]?.details.from, first.facts[1]?.details.to, first.crossed], [1, 4, []])
  const gone = await goBack({ retained: numbered(b, 1, 9), confirmed: { stream: a, sequence: 7 }, held: { [a]: 3 } })
  assert.deepEqual([gone.facts[1]?.details.stream, gone.facts[1]?.details.from, gone.facts[1]?.details.to], [a, 4, 7])
})

test('a gap that cannot be sealed moves nothing; that the destination is older may stay unsaid', async () => {
  const scene = { retained: numbered(a, 6, 9), confirmed: { stream: a, sequence: 8 }, held: { [a]: 3 } }
  const { rewound, steps } = await goBack({ ...scene, seals: ({ type }) => type !== 'audit.gap' })
  assert.deepEqual([rewound.isBack, steps], [false, ['audit.destination.rewound']])
  const whole = await goBack({ ...scene, retained: numbered(a, 1, 9), seals: () => false })
  assert.deepEqual([whole.rewound.isBack, whole.steps], [true, ['rewind']])
})

test('a batch is sent with the record that must be there, unless that one was set aside', async () => {
  const asked: unknown[] = []
  const destination = new ScriptedDestination((batch) => {
    asked.push(batch.after)
    return delivered
  })
  destination.keepsChain = true
  const last = { stream: a, sequence: 8 }
  const batch = { records: numbered(a, 9, 9), bytes: 1 }
  for (const isSetAside of [false, true]) {
    await expecting(
      destination,
      () => last,
      () => isSetAside,
    ).send(batch, going)
  }
  assert.deepEqual(asked, [last, undefined])
})

test('a batch that is sent behind one on its way must find that one there', async () => {
  const asked: unknown[] = []
  const arriving = Promise.withResolvers<Delivery>()
  const destination = new ScriptedDestination((batch) => {
    asked.push(batch.after?.sequence)
    return arriving.promise
  })
  destination.keepsChain = true
  const expected = expecting(
    destination,
    () => ({ stream: a, sequence: 8 }),
    () => false,
  )
  const send = (from: number, to: number) => expected.send({ records: numbered(a, from, to), bytes: 1 }, going)
  const sendings = [send(9, 10), send(11, 12)]
  arriving.resolve(delivered)
  await Promise.all(sendings)
  await send(13, 13)
  assert.deepEqual(asked, [8, 10, 8])
})

/** A source that can be taken back to its beginning. */
class BackSource extends ArraySource {
  readonly #given: readonly StoredRecord[]

  constructor(records: readonly StoredRecord[]) {
    super(records)
    this.#given = records
  }

  back(): void {
    this.append(this.#given)
  }
}

test('what was in hand is let go of, and a flush waits until the records behind it are there again', async (t: TestContext) => {
  const source = new BackSource(makeRecords(1, 4))
  const behind: Delivery = { status: 'rejected', reason: 'behind', isBehind: true }
  const destination = new ScriptedDestination(delivered, behind, delivered)
  destination.keepsChain = true
  let wentBack = 0
  const goBack = async () => {
    wentBack += 1
    source.back()
    return { isBack: true, reason: 'older' }
  }
  const pace = new FakePace()
  const states: (string | undefined)[] = []
  const onStateChange = ({ condition, lastError }: { condition: string; lastError?: string | undefined }) => {
    states.push(lastError ?? condition)
  }
  const options = { batchRecordsMax: 2 }
  const forwarder = new Forwarder({ source, destination, rewind: { goBack }, pace, options, onStateChange })
  const stopping = new AbortController()
  const running = forwarder.run(stopping.signal)
  t.after(() => {
    stopping.abort()
    return running
  })
  let isFlushed = false
  const flushed = forwarder.flush().then(() => {
    isFlushed = true
  })
  await pace.untilAsleep()
  assert.deepEqual(
    [wentBack, isFlushed, destination.sent],
    [
      1,
      false,
      [
        [1, 2],
        [3, 4],
      ],
    ],
  )
  pace.advance(60_000)
  await flushed
  assert.deepEqual(destination.sent, [
    [1, 2],
    [3, 4],
    [1, 2],
    [3, 4],
  ])
  assert.deepEqual(states, ['older', 'ok'])
})
