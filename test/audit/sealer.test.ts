import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { EventCounts } from '../../src/audit/counts.ts'
import { Sealer, type SealerParts, type SealingSpool } from '../../src/audit/sealer.ts'
import { Suppressions } from '../../src/audit/suppressions.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { useClocks } from '../../src/clock.ts'
import { compileCatalogue } from '../../src/event/catalogue-check.ts'
import type { ControlFact } from '../../src/event/record.ts'
import { compilePolicy } from '../../src/policy/policy.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import type { AppendMode } from '../../src/spool/spool-options.ts'
import { type RefusalReason, SpoolRefusal } from '../../src/spool/state.ts'
import { fakeTime } from '../support/fake-time.ts'
import type { RecordJson } from './opened.ts'

/** A spool in memory that refuses on demand, and has another stream on demand. */
class FakeSpool implements SealingSpool {
  readonly records: RecordJson[] = []
  readonly asked: string[] = []
  waits = 0
  refusing: RefusalReason | undefined
  hasReserve = false
  /** What a wait for room finds. */
  whenWaited: () => boolean = () => false
  /** The stream that is ready. */
  ready: string | undefined

  append(record: string, { mayUseReserve = false }: AppendMode = {}): string {
    const refusal = this.refusal()
    if (refusal !== undefined && !(mayUseReserve && this.hasReserve)) throw refusal
    this.records.push(JSON.parse(record) as RecordJson)
    return leafHash(Buffer.from(record))
  }

  refusal(): Error | undefined {
    return this.refusing === undefined ? undefined : new SpoolRefusal(this.refusing, `it is ${this.refusing}`)
  }

  waitForRoom(): boolean {
    this.waits += 1
    return this.whenWaited()
  }

  startStream(reason: string): void {
    this.asked.push(reason)
  }

  enterStream(): string | undefined {
    const stream = this.ready
    this.ready = undefined
    return stream
  }

  durable(): Promise<void> {
    return Promise.resolve()
  }

  get actions(): string[] {
    return this.records.map(({ action }) => action)
  }
}

const redaction = compileRedaction({ preset: 'default', keys: [] })
const opening: ControlFact[] = [{ type: 'audit.stream.opened', details: { reason: 'first' } }]

const noSlot = { save: () => true, close: () => {} }

function createSealer(spool: FakeSpool, parts: Partial<SealerParts> = {}): Sealer {
  const policy = compilePolicy({ enabled: true, level: 'all', redaction })
  return new Sealer({
    inForce: { policy, redaction },
    catalogue: compileCatalogue(undefined, 'record'),
    suppressions: new Suppressions({ slot: noSlot, found: [], epoch: 1, policy: policy.hash }),
    spool,
    service: 'billing',
    owner: { deployment: 'test', verifierKey: 'test+00000000+AA' },
    blockMsMax: 100,
    counts: new EventCounts([]),
    onRefusal: () => {},
    opening,
    head: { stream: 'first', epoch: 1, sequence: 0, hash: undefined, recorded: undefined },
    ...parts,
  })
}

const emit = (sealer: Sealer, action: string, isRequired = false) =>
  sealer.seal({ action }, { trace: undefined, resource: undefined, isRequired }).status

/** A wall clock that the test moves. */
function stoppedClock(t: TestContext, ms = Date.parse('2026-11-22T12:00:00Z')): { ms: number } {
  const clock = { ms }
  t.after(useClocks({ wallMs: () => clock.ms }))
  return clock
}

test('an event that finds no room waits once; when there is room then, it is recorded', () => {
  const spool = new FakeSpool()
  const sealer = createSealer(spool)
  spool.refusing = 'full'
  spool.whenWaited = () => {
    spool.refusing = undefined
    return true
  }
  assert.equal(emit(sealer, 'a'), 'written')
  spool.refusing = 'unsynced'
  assert.equal(emit(sealer, 'b'), 'written', 'after a success the next refusal may wait again')
  assert.equal(spool.waits, 2)
  assert.equal(sealer.emergencies, 0)
})

test('after a wait in vain nothing waits until an event was taken, also when a required one got through', () => {
  const spool = new FakeSpool()
  const sealer = createSealer(spool)
  spool.refusing = 'full'
  for (const action of ['a', 'b', 'c']) assert.equal(emit(sealer, action), 'emergency')
  spool.refusing = undefined
  assert.equal(emit(sealer, 'required', true), 'written')
  spool.refusing = 'full'
  assert.equal(emit(sealer, 'd'), 'emergency')
  assert.equal(spool.waits, 1)
  spool.refusing = undefined
  assert.equal(emit(sealer, 'e'), 'written')
  spool.refusing = 'full'
  emit(sealer, 'f')
  assert.equal(spool.waits, 2)
  assert.deepEqual(spool.actions, ['audit.stream.opened', 'audit.gap', 'required', 'audit.gap', 'e'])
  const counts = spool.records.filter(({ action }) => action === 'audit.gap').map(({ details }) => details?.count)
  assert.deepEqual(counts, [3, 1], 'each emergency is in one account')
})

test('while the spool stays full, what goes to standard error is accounted for once a minute in the reserve', (t) => {
  const time = fakeTime(t)
  const spool = new FakeSpool()
  const sealer = createSealer(spool)
  spool.refusing = 'full'
  emit(sealer, 'a')
  time.pass(60_000)
  spool.hasReserve = true
  emit(sealer, 'b')
  time.pass(59_999)
  assert.deepEqual(spool.actions, ['audit.stream.opened'], 'there was no room; it is tried again after a minute')
  time.pass(1)
  for (const action of ['c', 'd']) emit(sealer, action)
  time.stall(60_000)
  emit(sealer, 'e')
  const counts = spool.records.slice(1).map(({ action, details }) => [action, details?.count])
  assert.deepEqual(counts, [
    ['audit.gap', 2],
    ['audit.gap', 3],
  ])
  assert.equal(time.hasTimers, false, 'with nothing to account for it rests')
  emit(sealer, 'f')
  sealer.close()
  time.pass(60_000)
  assert.equal(spool.records.length, 3, 'a stream that is ending takes nothing any more')
})

test('a disk that fails is not waited for, and neither is anything with blockMsMax 0', () => {
  const failing = new FakeSpool()
  const sealer = createSealer(failing)
  failing.refusing = 'failed'
  emit(sealer, 'a')
  const refusing = new FakeSpool()
  const other = createSealer(refusing, { blockMsMax: 0 })
  refusing.refusing = 'full'
  emit(other, 'a')
  assert.deepEqual([failing.waits, refusing.waits], [0, 0])
})

test('what must be said first is owed until the spool takes it, in order, before any event', () => {
  const spool = new FakeSpool()
  spool.refusing = 'failed'
  const fact = { type: 'audit.gap', details: { reason: 'loss' } } as const
  const sealer = createSealer(spool, { opening: [...opening, fact] })
  assert.equal(emit(sealer, 'a'), 'emergency')
  assert.equal(sealer.sealFact({ type: 'audit.checkpoint', details: {} }), false)
  spool.refusing = undefined
  assert.equal(emit(sealer, 'b'), 'written')
  assert.deepEqual(spool.actions, ['audit.stream.opened', 'audit.gap', 'audit.gap', 'b'])
  assert.deepEqual(
    spool.records.slice(1, 3).map(({ details }) => details?.reason),
    ['loss', 'emergency'],
  )
  assert.deepEqual(
    spool.records.map(({ seq }) => seq),
    [1, 2, 3, 4],
  )
})

test('a clock up to a minute behind moves recorded forward; one further behind asks for a new stream', (t) => {
  const clock = stoppedClock(t)
  const spool = new FakeSpool()
  const sealer = createSealer(spool)
  clock.ms -= 60_000
  emit(sealer, 'a')
  assert.deepEqual(spool.asked, [])
  clock.ms -= 1
  emit(sealer, 'b')
  assert.deepEqual(spool.asked, ['clock'])
  const [opened, a, b] = spool.records
  assert.deepEqual([a?.recorded, b?.recorded], [opened?.recorded, opened?.recorded])
  assert.deepEqual([a?.clock, b?.clock], ['2026-11-22T11:59:00.000000000Z', '2026-11-22T11:58:59.999000000Z'])
})

test('the new stream begins with opened, which names what it follows; its clock is the raw one', (t) => {
  const clock = stoppedClock(t)
  const spool = new FakeSpool()
  const sealer = createSealer(spool)
  emit(sealer, 'a')
  const { hash } = sealer.head
  clock.ms -= 3_600_000
  spool.ready = undefined
  emit(sealer, 'b') // goes into the old stream: the new one is not ready
  spool.ready = 'second'
  emit(sealer, 'c')
  emit(sealer, 'd')
  assert.deepEqual(spool.actions, ['audit.stream.opened', 'a', 'b', 'audit.stream.opened', 'c', 'd'])
  const [opened, c] = spool.records.slice(3)
  assert.deepEqual([opened?.stream, opened?.seq, opened?.prev, c?.seq], ['second', 1, undefined, 2])
  assert.equal(opened?.recorded, '2026-11-22T11:00:00.000000000Z')
  assert.equal(opened?.clock, undefined)
  assert.notEqual(hash, undefined)
  const { predecessor, reason } = opened?.details ?? {}
  const last = spool.records[2]
  assert.deepEqual(predecessor, {
    hash: leafHash(Buffer.from(JSON.stringify(last))),
    reason: 'clock',
    seq: 3,
    stream: 'first',
  })
  assert.equal(reason, 'clock')
  assert.equal(sealer.head.stream, 'second')
  emit(sealer, 'e')
  assert.equal(spool.asked.length, 1, 'and then the clock is right again')
})
