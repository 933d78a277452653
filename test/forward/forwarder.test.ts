import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { getActiveResourcesInfo } from 'node:process'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Batch, Delivery } from '../../src/destination/destination.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import { Forwarder, type ForwarderOptions } from '../../src/forward/forwarder.ts'
import type { Quarantine, SetAsideRun } from '../../src/forward/quarantine.ts'
import type { ForwarderState } from '../../src/forward/standing.ts'
import { FakePace } from '../support/pace.ts'
import { ArraySource, delivered, makeRecords, rejected, retry, ScriptedDestination, stream } from './fakes.ts'

interface Setup {
  source?: ArraySource
  destination?: ScriptedDestination
  quarantine?: Quarantine
  options?: ForwarderOptions['options']
}

/** A forwarder that runs until the test ends. */
function start(
  t: TestContext,
  { source = new ArraySource(), destination = new ScriptedDestination(), quarantine, options }: Setup,
) {
  const pace = new FakePace()
  const states: ForwarderState[] = []
  const onStateChange = (state: ForwarderState) => states.push(state)
  const forwarder = new Forwarder({ source, destination, quarantine, pace, onStateChange, ...(options && { options }) })
  const stopping = new AbortController()
  const running = forwarder.run(stopping.signal)
  const stop = () => {
    stopping.abort()
    return running
  }
  t.after(stop)
  return { forwarder, source, destination, pace, states, stop }
}

test('a full batch goes at once, without the interval', async (t) => {
  const source = new ArraySource(makeRecords(1, 25))
  const { destination, pace } = start(t, { source, options: { batchRecordsMax: 10 } })
  await source.untilConfirmed(20)
  assert.deepEqual(destination.sent, [range(1, 10), range(11, 20)])
  assert.equal(await pace.untilAsleep(), 200, 'the rest waits for company')
})

test('a batch is full when it holds its bytes, and exceeds them by one record at most', async (t) => {
  const source = new ArraySource(makeRecords(1, 9, 100))
  const { destination } = start(t, { source, options: { batchBytesMax: 350 } })
  await source.untilConfirmed(8)
  assert.deepEqual(destination.sent, [range(1, 4), range(5, 8)])
})

test('a batch that is not full goes when the interval has passed since its first record', async (t) => {
  const { source, destination, pace } = start(t, { options: { flushIntervalMs: 100 } })
  source.append(makeRecords(1, 1))
  assert.equal(await pace.untilAsleep(), 100)
  pace.advance(60)
  await source.untilWaitedFor()
  source.append(makeRecords(2, 2))
  await source.untilWaitedFor()
  assert.deepEqual(pace.sleeping, [40], 'the interval counts from the first record, and the first wait left no timer')
  pace.advance(39)
  assert.deepEqual(destination.sent, [])
  pace.advance(1)
  await source.untilConfirmed(2)
  assert.deepEqual(destination.sent, [[1, 2]])
})

test('flush sends at once and resolves when what was durable is confirmed', async (t) => {
  const { forwarder, source, destination, pace } = start(t, {})
  source.append(makeRecords(1, 3))
  await pace.untilAsleep()
  await forwarder.flush()
  assert.deepEqual(source.confirmed, [3])
  assert.deepEqual(destination.sent, [[1, 2, 3]])
})

test('flush does not wait for records that came after it', async (t) => {
  const source = new ArraySource(makeRecords(1, 3))
  const endless = (batch: Batch): Delivery => {
    const last = batch.records.at(-1)?.sequence ?? 0
    source.append(makeRecords(last + 1, last + 3))
    return delivered
  }
  const { forwarder } = start(t, {
    source,
    destination: new ScriptedDestination(endless),
    options: { batchRecordsMax: 3 },
  })
  await forwarder.flush()
  assert.ok((source.confirmed[0] ?? 0) >= 3)
})

for (const knowsBacklog of [true, false]) {
  test(`flush resolves on an empty source (backlog ${knowsBacklog ? 'known' : 'unknown'})`, async (t) => {
    const { forwarder, source } = start(t, {})
    source.knowsBacklog = knowsBacklog
    await source.untilWaitedFor()
    await forwarder.flush()
  })
}

test('a flush during the read that finds the source dry has the source read once more', async (t) => {
  const source = new ArraySource()
  source.knowsBacklog = false
  const { forwarder } = start(t, { source })
  await source.untilWaitedFor()
  let flushed: Promise<void> | undefined
  source.onNext = () => {
    source.onNext = () => {}
    flushed = forwarder.flush()
    source.append(makeRecords(1, 1))
  }
  await forwarder.flush()
  await flushed
  assert.deepEqual(source.confirmed, [1])
})

test('a flush that the forwarder stops on is rejected as CLOSED', async (t) => {
  const { forwarder, pace, stop } = start(t, {
    source: new ArraySource(makeRecords(1, 1)),
    destination: new ScriptedDestination(retry),
  })
  const flushed = assert.rejects(forwarder.flush(), { code: 'CLOSED' })
  await pace.untilAsleep()
  await stop()
  await flushed
  await assert.rejects(forwarder.flush(), { code: 'CLOSED' })
})

test('a failed batch is sent again unchanged, after pauses that double up to a minute', async (t) => {
  const source = new ArraySource(makeRecords(1, 1))
  const { destination, pace, forwarder } = start(t, {
    source,
    destination: new ScriptedDestination(...Array<Delivery>(12).fill(retry), delivered),
    options: { batchRecordsMax: 1 },
  })
  const pauses: number[] = []
  for (let failure = 0; failure < 12; failure++) {
    pauses.push(await pace.untilAsleep())
    assert.equal(forwarder.state().nextTry, pace.nowMs() + (pauses.at(-1) ?? 0))
    pace.advance(pauses.at(-1) ?? 0)
  }
  assert.deepEqual(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000])
  await source.untilConfirmed(1)
  assert.deepEqual(destination.sent, Array(13).fill([1]))
  assert.deepEqual([forwarder.state().delivered, forwarder.state().failures], [1, 12])
  assert.equal(forwarder.state().nextTry, undefined)
})

test('Retry-After is waited for, up to a minute, and never shortens the pause', async (t) => {
  const wish = (afterMs: number): Delivery => ({ status: 'retry', reason: 'HTTP 429', afterMs })
  const source = new ArraySource(makeRecords(1, 1))
  const { pace } = start(t, {
    source,
    destination: new ScriptedDestination(wish(7_000), wish(3_600_000), wish(0), delivered),
    options: { batchRecordsMax: 1 },
  })
  for (const expected of [7_000, 60_000, 400]) {
    assert.equal(await pace.untilAsleep(), expected)
    pace.advance(expected)
  }
  await source.untilConfirmed(1)
})

test('a batch that failed counts its bytes again', async (t) => {
  const source = new ArraySource(makeRecords(1, 12, 100))
  const { destination, pace } = start(t, {
    source,
    destination: new ScriptedDestination(retry, delivered),
    options: { batchBytesMax: 350 },
  })
  pace.advance(await pace.untilAsleep())
  await source.untilConfirmed(12)
  assert.deepEqual(destination.sent, [range(1, 4), range(1, 4), range(5, 8), range(9, 12)])
})

test('nothing behind a failed batch is sent or confirmed before it', async (t) => {
  const source = new ArraySource(makeRecords(1, 30))
  const { destination, pace } = start(t, {
    source,
    destination: new ScriptedDestination(delivered, retry, retry, delivered),
    options: { batchRecordsMax: 10 },
  })
  for (const pause of [100, 200]) {
    assert.equal(await pace.untilAsleep(), pause)
    assert.deepEqual(source.confirmed, [10])
    pace.advance(pause)
  }
  await source.untilConfirmed(30)
  assert.deepEqual(destination.sent, [range(1, 10), range(11, 20), range(11, 20), range(11, 20), range(21, 30)])
})

test('a rejected batch is halved at once until the halves pass', async (t) => {
  const atMostThree = (batch: Batch) => (batch.records.length > 3 ? rejected : delivered)
  const source = new ArraySource(makeRecords(1, 10))
  const { destination, states } = start(t, {
    source,
    destination: new ScriptedDestination(atMostThree),
    options: { batchRecordsMax: 10 },
  })
  await source.untilConfirmed(10)
  assert.deepEqual(destination.sent.slice(0, 3), [range(1, 10), range(1, 5), range(1, 3)])
  assert.deepEqual(
    source.confirmed,
    [...new Set(source.confirmed)].sort((a, b) => a - b),
  )
  assert.deepEqual(states, [], 'a peer with a lower limit is no failure')
})

test('a single refused record is retried for ever, holds up what is behind it, and is named', async (t) => {
  const poison = (batch: Batch) => (batch.records.some((record) => record.sequence === 4) ? rejected : delivered)
  const source = new ArraySource(makeRecords(1, 8))
  const { pace, states, forwarder } = start(t, {
    source,
    destination: new ScriptedDestination(poison),
    options: { batchRecordsMax: 8 },
  })
  for (let tries = 0; tries < 20; tries++) pace.advance(await pace.untilAsleep())
  assert.equal(source.confirmed.at(-1), 3)
  assert.deepEqual(
    states.map((state) => state.condition),
    ['refused'],
  )
  assert.match(forwarder.state().lastError ?? '', new RegExp(`record 4 of stream ${stream} is refused.*HTTP 400`))
})

test('a batch that fails again and again is halved whatever the status, because a sidecar reports 413 as 500', async (t) => {
  const oversize = (batch: Batch) => (batch.records.length > 3 ? retry : delivered)
  const source = new ArraySource(makeRecords(1, 8))
  const { pace, destination } = start(t, {
    source,
    destination: new ScriptedDestination(oversize),
    options: { batchRecordsMax: 8 },
  })
  for (let tries = 0; tries < 6; tries++) pace.advance(await pace.untilAsleep())
  await source.untilConfirmed(8)
  assert.deepEqual(
    destination.sent.slice(0, 7).map((batch) => batch.length),
    [8, 8, 8, 4, 4, 4, 2],
  )
})

test('the first failure and the recovery are reported once each', async (t) => {
  const source = new ArraySource(makeRecords(1, 2))
  const { pace, states } = start(t, {
    source,
    destination: new ScriptedDestination(retry, retry, delivered),
    options: { batchRecordsMax: 1 },
  })
  for (let failure = 0; failure < 2; failure++) pace.advance(await pace.untilAsleep())
  await source.untilConfirmed(2)
  assert.deepEqual(
    states.map(({ condition, lastError, since, confirmed }) => ({ condition, lastError, since, confirmed })),
    [
      { condition: 'failing', lastError: 'connection refused', since: 1_700_000_000_000, confirmed: undefined },
      { condition: 'ok', lastError: undefined, since: undefined, confirmed: { stream, sequence: 1 } },
    ],
  )
})

test('a destination that throws is retried like one that fails', async (t) => {
  const source = new ArraySource(makeRecords(1, 1))
  const { pace, states } = start(t, {
    source,
    destination: new ScriptedDestination(() => Promise.reject(new TypeError('no such thing')), delivered),
    options: { batchRecordsMax: 1 },
  })
  pace.advance(await pace.untilAsleep())
  await source.untilConfirmed(1)
  assert.match(states[0]?.lastError ?? '', /defect in this destination: no such thing/)
})

test('a source that fails ends the run, because what it holds cannot be told any more', async (t) => {
  const source = new ArraySource()
  source.onNext = () => {
    throw new Error('EIO')
  }
  const forwarder = new Forwarder({ source, destination: new ScriptedDestination(), pace: new FakePace() })
  await assert.rejects(forwarder.run(t.signal), /EIO/)
})

test('stopping interrupts a sending and confirms nothing of it', async (t) => {
  const source = new ArraySource(makeRecords(1, 1))
  const sending = Promise.withResolvers<void>()
  const hanging = (_: Batch, signal: AbortSignal) =>
    new Promise<Delivery>((resolve) => {
      signal.addEventListener('abort', () => resolve(retry))
      sending.resolve()
    })
  const { stop, pace, forwarder } = start(t, {
    source,
    destination: new ScriptedDestination(hanging),
    options: { batchRecordsMax: 1 },
  })
  await sending.promise
  await stop()
  assert.deepEqual(source.confirmed, [])
  assert.deepEqual(pace.sleeping, [])
  assert.equal(forwarder.state().condition, 'ok', 'a stop is no failure of the destination')
})

test('stopping interrupts the wait for company and leaves no timer', async () => {
  const timersBefore = timers()
  const source = new ArraySource(makeRecords(1, 1))
  const destination = new ScriptedDestination()
  const forwarder = new Forwarder({ source, destination, options: { flushIntervalMs: 3_600_000 } })
  const stopping = new AbortController()
  const running = forwarder.run(stopping.signal)
  await source.untilWaitedFor()
  assert.equal(timers(), timersBefore + 1)
  stopping.abort()
  await running
  assert.equal(timers(), timersBefore)
})

test('stopping interrupts the pause before a retry and leaves no timer', async () => {
  const timersBefore = timers()
  const failed = Promise.withResolvers<void>()
  const busy: Delivery = { status: 'retry', reason: 'HTTP 503', afterMs: 50_000 }
  const forwarder = new Forwarder({
    source: new ArraySource(makeRecords(1, 1)),
    destination: new ScriptedDestination(busy),
    options: { batchRecordsMax: 1 },
    onStateChange: () => failed.resolve(),
  })
  const stopping = new AbortController()
  const running = forwarder.run(stopping.signal)
  await failed.promise
  assert.equal(timers(), timersBefore + 1)
  stopping.abort()
  await running
  assert.equal(timers(), timersBefore)
})

test('an endless backlog to a synchronous destination leaves the thread to others', async (t) => {
  const source = new ArraySource(makeRecords(1, 1))
  const endless = (batch: Batch): Delivery => {
    const last = batch.records.at(-1)?.sequence ?? 0
    if (last < 100_000) source.append(makeRecords(last + 1, last + 1))
    return delivered
  }
  start(t, { source, destination: new ScriptedDestination(endless), options: { batchRecordsMax: 1 } })
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  assert.ok((source.confirmed.at(-1) ?? 0) < 100_000)
})

/** A destination of two sendings, each answered by the test, in any order. */
function answeredByHand() {
  const sendings: { sequences: number[]; answer: (delivery: Delivery) => void }[] = []
  const changes = new EventEmitter()
  const destination = new ScriptedDestination((batch) => {
    const { promise, resolve } = Promise.withResolvers<Delivery>()
    sendings.push({ sequences: batch.records.map((record) => record.sequence), answer: resolve })
    changes.emit('begun')
    return promise
  })
  destination.sendingsMax = 2
  /** Waits for the sending of that number, counted from 1, and answers it. */
  const answer = async (number: number, delivery: Delivery): Promise<void> => {
    while (sendings.length < number) await once(changes, 'begun')
    sendings[number - 1]?.answer(delivery)
  }
  const untilBegun = async (number: number): Promise<number[] | undefined> => {
    while (sendings.length < number) await once(changes, 'begun')
    return sendings[number - 1]?.sequences
  }
  return { destination, answer, untilBegun }
}

test('a destination of two sendings gets the next full batch while one is on its way, and no third', async (t) => {
  const source = new ArraySource(makeRecords(1, 9))
  const { destination, answer, untilBegun } = answeredByHand()
  const { pace } = start(t, { source, destination, options: { batchRecordsMax: 3 } })
  await untilBegun(2)
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  assert.deepEqual(destination.sent, [range(1, 3), range(4, 6)])
  await answer(1, delivered)
  assert.deepEqual(await untilBegun(3), range(7, 9))
  await answer(2, delivered)
  await answer(3, delivered)
  await source.untilConfirmed(9)
  assert.deepEqual([source.confirmed, pace.sleeping], [[3, 6, 9], []])
})

test('what is no full batch does not go behind another before its time', async (t) => {
  const source = new ArraySource(makeRecords(1, 5))
  const { destination, answer } = answeredByHand()
  const { pace } = start(t, { source, destination, options: { batchRecordsMax: 3 } })
  await answer(1, delivered)
  await source.untilConfirmed(3)
  pace.advance(await pace.untilAsleep())
  await answer(2, delivered)
  await source.untilConfirmed(5)
  assert.deepEqual(destination.sent, [range(1, 3), range(4, 5)])
})

test('a later sending that is answered first is confirmed after the earlier one', async (t) => {
  const source = new ArraySource(makeRecords(1, 6))
  const { destination, answer } = answeredByHand()
  start(t, { source, destination, options: { batchRecordsMax: 3 } })
  await answer(2, delivered)
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  assert.deepEqual(source.confirmed, [])
  await answer(1, delivered)
  await source.untilConfirmed(6)
  assert.deepEqual(source.confirmed, [3, 6])
})

for (const [first, second] of [
  [retry, delivered],
  [retry, retry],
  [rejected, delivered],
  [rejected, rejected],
] as const) {
  test(`an earlier sending that is ${first.status}, a later one ${second.status}: both go again, one at a time`, async (t) => {
    const source = new ArraySource(makeRecords(1, 4))
    const { destination, answer, untilBegun } = answeredByHand()
    const { pace, forwarder } = start(t, { source, destination, options: { batchRecordsMax: 2 } })
    await answer(1, first)
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    assert.deepEqual(pace.sleeping, [], 'the later one is waited for')
    await answer(2, second)
    if (first === retry) pace.advance(await pace.untilAsleep())
    const again = await untilBegun(3)
    assert.deepEqual(again, first === retry ? [1, 2] : [1])
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    assert.equal(destination.sent.length, 3)
    assert.equal(forwarder.state().failures, second === delivered ? 1 : 2)
    const answerRest = async () => {
      for (let number = 3; ; number++) await answer(number, delivered)
    }
    void answerRest()
    await source.untilConfirmed(4)
    assert.equal(forwarder.state().delivered, 4)
  })
}

/** Takes everything aside, or says why not as often as it is told; remembers what it was given. */
class ScriptedQuarantine implements Quarantine {
  readonly runs: SetAsideRun[] = []
  readonly #obstacles: string[]
  readonly #last = new Set<number>()

  constructor(...obstacles: string[]) {
    this.#obstacles = obstacles
  }

  follows({ sequence }: StoredRecord): boolean {
    return this.#last.has(sequence - 1)
  }

  async setAside(run: SetAsideRun): Promise<string | undefined> {
    const obstacle = this.#obstacles.shift()
    if (obstacle !== undefined) return obstacle
    this.runs.push(run)
    if (run.kind === 'forked') this.#last.add(run.records.at(-1)?.sequence ?? 0)
    return undefined
  }
}

const held = { sequence: 4, hash: 'ab'.repeat(32) }
/** Holds other records from sequence 4 on; forked is what begins there. */
const forksAtFour = ({ records }: Batch): Delivery => {
  const index = records.findIndex(({ sequence }) => sequence >= 4)
  return index < 0 ? delivered : { status: 'rejected', reason: 'fork', forked: { index, held } }
}

test('forked records are set aside once everything before them is delivered, and delivery goes on', async (t) => {
  const source = new ArraySource(makeRecords(1, 8))
  const quarantine = new ScriptedQuarantine()
  const { destination, states, forwarder, pace } = start(t, {
    source,
    destination: new ScriptedDestination(forksAtFour),
    quarantine,
    options: { batchRecordsMax: 5 },
  })
  await forwarder.flush()
  assert.deepEqual(destination.sent, [range(1, 5), range(1, 3), range(4, 5)])
  assert.deepEqual(source.confirmed, [3, 5, 8])
  const [run] = quarantine.runs
  assert.deepEqual([run?.records.map(({ sequence }) => sequence), run?.held, run?.reason], [range(4, 5), held, 'fork'])
  const { condition, delivered: arrived, quarantined, confirmed } = forwarder.state()
  assert.deepEqual([condition, arrived, quarantined, confirmed], ['ok', 3, 5, { stream, sequence: 8 }])
  assert.deepEqual([states, pace.sleeping], [[], []], 'no failure, and no pause')
})

test('what follows a record in quarantine is set aside without being sent', async (t) => {
  const source = new ArraySource(makeRecords(1, 4))
  const quarantine = new ScriptedQuarantine()
  const { destination, forwarder } = start(t, {
    source,
    destination: new ScriptedDestination(forksAtFour),
    quarantine,
    options: { batchRecordsMax: 4 },
  })
  await forwarder.flush()
  const { length } = destination.sent
  source.append(makeRecords(5, 6))
  await forwarder.flush()
  assert.equal(destination.sent.length, length)
  assert.deepEqual(
    quarantine.runs.map(({ records }) => records.map(({ sequence }) => sequence)),
    [[4], [5, 6]],
  )
})

test('a forked record that cannot be set aside is held up and tried again, and nothing behind it is confirmed', async (t) => {
  const source = new ArraySource(makeRecords(1, 6))
  const { pace, states, forwarder } = start(t, {
    source,
    destination: new ScriptedDestination(forksAtFour),
    quarantine: new ScriptedQuarantine('the disk is full', 'the disk is full'),
    options: { batchRecordsMax: 6 },
  })
  for (let tries = 0; tries < 2; tries++) {
    const pause = await pace.untilAsleep()
    assert.deepEqual(source.confirmed, [3])
    pace.advance(pause)
  }
  await source.untilConfirmed(6)
  assert.match(
    states[0]?.lastError ?? '',
    /record 4 of stream .* is refused, and all behind it wait: fork; the disk is full/,
  )
  assert.deepEqual(
    states.map(({ condition }) => condition),
    ['refused', 'ok'],
  )
  assert.equal(forwarder.state().quarantined, 3)
})

test('a destination that keeps the chain has nothing left out: a gap may close', async (t) => {
  const gap = ({ records }: Batch): Delivery =>
    records.some(({ sequence }) => sequence === 4) ? { status: 'rejected', reason: 'gap', indexes: [3] } : delivered
  const source = new ArraySource(makeRecords(1, 6))
  const quarantine = new ScriptedQuarantine()
  const destination = new ScriptedDestination(gap)
  destination.keepsChain = true
  const { pace, forwarder } = start(t, {
    source,
    destination,
    quarantine,
    options: { batchRecordsMax: 6 },
  })
  for (let tries = 0; tries < 10; tries++) pace.advance(await pace.untilAsleep())
  assert.deepEqual([source.confirmed.at(-1), quarantine.runs, forwarder.state().condition], [3, [], 'refused'])
})

/** Refuses these records, whatever is with them, and says which. */
function refuses(isPoison: (sequence: number) => boolean, { isNamed }: { isNamed: boolean }) {
  return ({ records }: Batch): Delivery => {
    const indexes = records.flatMap(({ sequence }, index) => (isPoison(sequence) ? [index] : []))
    if (indexes.length === 0) return delivered
    return { status: 'rejected', reason: 'HTTP 400', ...(isNamed && { indexes }) }
  }
}

for (const isNamed of [false, true]) {
  test(`of a thousand records exactly the poison is set aside, ${isNamed ? 'when it is named' : 'whoever it is'}`, async (t) => {
    const source = new ArraySource(makeRecords(1, 1_000))
    const quarantine = new ScriptedQuarantine()
    const poison = new Set([1, 400, 401, 777, 1_000])
    const destination = new ScriptedDestination(refuses((sequence) => poison.has(sequence), { isNamed }))
    const { forwarder } = start(t, { source, destination, quarantine, options: { batchRecordsMax: 100 } })
    await forwarder.flush()
    assert.deepEqual(
      quarantine.runs.map(({ kind, records }) => [kind, records.map(({ sequence }) => sequence)]),
      [...poison].map((sequence) => ['poison', [sequence]]),
    )
    const state = forwarder.state()
    assert.deepEqual([state.delivered, state.quarantined, state.condition], [995, 5, 'ok'])
    if (isNamed) assert.ok(destination.sent.length <= 30, `${destination.sent.length} sendings`)
  })
}

test('a peer that refuses everything is not believed for ever: what is left waits, and goes when it takes some again', async (t) => {
  let isSick = true
  const source = new ArraySource(makeRecords(1, 20))
  const quarantine = new ScriptedQuarantine()
  const destination = new ScriptedDestination((batch) => refuses(() => isSick, { isNamed: false })(batch))
  const { pace, forwarder } = start(t, { source, destination, quarantine, options: { batchRecordsMax: 20 } })
  for (let tries = 0; tries < 5; tries++) pace.advance(await pace.untilAsleep())
  const sequences = quarantine.runs.flatMap(({ records }) => records.map(({ sequence }) => sequence))
  assert.deepEqual([sequences, forwarder.state().condition], [range(1, 8), 'refused'])
  isSick = false // before the next try, which the last step of the clock has allowed
  await forwarder.flush()
  assert.deepEqual([forwarder.state().delivered, forwarder.state().condition], [12, 'ok'])
})

test('a destination whose batches have names gets the batch again that was on its way when the last run ended', async (t) => {
  const source = new ArraySource(makeRecords(4, 20))
  source.inFlightTo = { stream, sequence: 9 }
  const destination = new ScriptedDestination()
  destination.repeatsBatches = true
  const { forwarder } = start(t, { source, destination, options: { batchRecordsMax: 10 } })
  await forwarder.flush()
  assert.deepEqual(destination.sent[0], range(4, 9))
  assert.deepEqual(destination.sent.flat(), range(4, 20))
  assert.deepEqual(
    source.begun,
    destination.sent.map((batch) => batch.at(-1)),
    'each is noted before it is sent',
  )
})

test('a batch on its way that is longer than batches are now is sent in batches as they are now', async (t) => {
  const source = new ArraySource(makeRecords(1, 20))
  source.inFlightTo = { stream, sequence: 15 }
  const destination = new ScriptedDestination()
  destination.repeatsBatches = true
  const { forwarder } = start(t, { source, destination, options: { batchRecordsMax: 10 } })
  await forwarder.flush()
  assert.deepEqual(destination.sent, [range(1, 10), range(11, 20)])
})

test('stopping while records are set aside confirms nothing of them', async (t) => {
  const source = new ArraySource(makeRecords(4, 6))
  const begun = Promise.withResolvers<void>()
  const hanging: Quarantine = {
    follows: () => false,
    setAside: (_, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve('stopped'))
        begun.resolve()
      }),
  }
  const { stop, pace } = start(t, {
    source,
    destination: new ScriptedDestination(forksAtFour),
    quarantine: hanging,
    options: { batchRecordsMax: 3 },
  })
  await begun.promise
  await stop()
  assert.deepEqual([source.confirmed, pace.sleeping], [[], []])
})

test('the source is settled before a flush resolves, before a pause, and at the end', async (t) => {
  const source = new ArraySource(makeRecords(1, 6))
  const { destination, answer } = answeredByHand()
  const { forwarder, pace, stop } = start(t, { source, destination, options: { batchRecordsMax: 3 } })
  await answer(1, delivered)
  await answer(2, retry)
  await pace.untilAsleep()
  assert.equal(source.settled, 3)
  pace.advance(await pace.untilAsleep())
  await answer(3, delivered)
  await source.untilConfirmed(6)
  source.append(makeRecords(7, 8))
  const flushed = forwarder.flush()
  await answer(4, delivered)
  await flushed
  assert.equal(source.settled, 8)
  source.settled = undefined
  await stop()
  assert.equal(source.settled, 8)
})

test('whatever two sendings are answered, and in which order, records are confirmed once, in order, and after they arrived', async () => {
  const outcome = fc.record({
    delivery: fc.constantFrom<Delivery>(delivered, delivered, retry, rejected),
    turns: fc.nat(4),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(outcome, { maxLength: 60 }), fc.integer({ min: 1, max: 40 }), async (script, max) => {
      const source = new ArraySource(makeRecords(1, 100))
      const arrived = new Set<number>()
      const faithful = script.map(({ delivery, turns }) => async ({ records }: Batch) => {
        for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
        if (delivery.status === 'delivered') for (const { sequence } of records) arrived.add(sequence)
        return delivery
      })
      const destination = new ScriptedDestination(...faithful, ({ records }) => {
        for (const { sequence } of records) arrived.add(sequence)
        return delivered
      })
      destination.sendingsMax = 2
      const confirm = source.confirm.bind(source)
      source.confirm = (last) => {
        for (let sequence = 1; sequence <= last.sequence; sequence++) assert.ok(arrived.has(sequence))
        confirm(last)
      }
      const pace = new FakePace()
      pace.sleep = async (ms) => pace.advance(ms)
      const forwarder = new Forwarder({ source, destination, pace, options: { batchRecordsMax: max } })
      const stopping = new AbortController()
      const running = forwarder.run(stopping.signal)
      await Promise.race([source.untilConfirmed(100), running])
      stopping.abort()
      await running
      assert.deepEqual(
        source.confirmed,
        [...new Set(source.confirmed)].sort((a, b) => a - b),
      )
      assert.equal(forwarder.state().delivered, 100)
    }),
  )
})

test('whatever a destination answers, every record is confirmed once, in order, and never before it was delivered', async () => {
  const answer = fc.constantFrom<Delivery>(delivered, delivered, retry, rejected)
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { maxLength: 60 }),
      fc.integer({ min: 1, max: 40 }),
      async (script, batchRecordsMax) => {
        const source = new ArraySource(makeRecords(1, 100))
        let reached = 0
        const faithful = script.map((outcome) => (batch: Batch) => {
          assert.equal(batch.records[0]?.sequence, reached + 1, 'the front of what is unconfirmed')
          if (outcome.status === 'delivered') reached = batch.records.at(-1)?.sequence ?? reached
          return outcome
        })
        const destination = new ScriptedDestination(...faithful, () => delivered)
        const pace = new FakePace()
        pace.sleep = async (ms) => pace.advance(ms)
        const forwarder = new Forwarder({ source, destination, pace, options: { batchRecordsMax } })
        const stopping = new AbortController()
        const running = forwarder.run(stopping.signal)
        await source.untilConfirmed(100)
        stopping.abort()
        await running
        assert.deepEqual(
          source.confirmed,
          [...new Set(source.confirmed)].sort((a, b) => a - b),
        )
        assert.equal(forwarder.state().delivered, 100)
      },
    ),
  )
})

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function timers(): number {
  return getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
}
