/**
 * The one loop between a source of records and a destination. Always holds: records go in order; a record is
 * confirmed only after it was delivered, and every record before it too; nothing is dropped for being refused or for
 * waiting long. Owns the batches in hand and the pace; the source owns the durable cursor, the destination a sending.
 *   gather (until full, due or flushed) ─► send ─► delivered: confirm, go on
 *                                               ├► retry: pause, the same records again
 *                                               ├► behind: go back to what it lacks
 *                                               └► rejected: half as many at once; a single or a forked one:
 *                                                              set aside, go on; where that may not be: pause, again
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, Delivery, Destination } from '../destination/destination.ts'
import { errorText } from '../errors.ts'
import { batchBytesMax, batchRecordsMax } from '../limits.ts'
import { Batcher } from './batcher.ts'
import { Flushes } from './flushes.ts'
import { takeInFlight } from './in-flight.ts'
import { type Pace, retryDelayMs, systemPace } from './pace.ts'
import { describeRefusal, findForks, type Quarantine, type SetAsideRun } from './quarantine.ts'
import type { Rewind } from './rewind.ts'
import type { RecordSource } from './source.ts'
import { type ForwarderCondition, type ForwarderState, Standing } from './standing.ts'

const flushIntervalMsDefault = 200
/** A batch that failed so often in a row is halved too: a sidecar reports an oversize batch as 500. */
const pausesBeforeHalving = 3
/** So many records set aside without a delivery between them look like a peer that refuses everything, not like poison. */
const poisonInRowMax = 8

export interface ForwarderOptions {
  readonly destination: Destination
  readonly source: RecordSource
  /** Where records go that are refused for ever; without one they hold up what is behind them. */
  readonly quarantine?: Quarantine | undefined
  /** For a destination that lost records which it had confirmed; without it, such a one refuses what follows. */
  readonly rewind?: Pick<Rewind, 'goBack'> | undefined
  readonly options?: {
    readonly flushIntervalMs?: number | undefined
    readonly batchRecordsMax?: number | undefined
    readonly batchBytesMax?: number | undefined
  }
  /** Called once when the condition changes: at the first failure, not at each, and at recovery. */
  readonly onStateChange?: (state: ForwarderState) => void
  readonly pace?: Pace
}

/** A batch on its way. */
interface Sending {
  readonly batch: Batch
  readonly delivery: Promise<Delivery>
}

type Undelivered = Exclude<Delivery, { status: 'delivered' }>

/** Why a batch stays in hand. */
interface Failure {
  readonly batch: Batch
  readonly condition: ForwarderCondition
  readonly reason: string
  readonly afterMs?: number | undefined
}

export class Forwarder {
  readonly #destination: Destination
  readonly #source: RecordSource
  readonly #pace: Pace
  readonly #flushIntervalMs: number
  readonly #inHand: Batcher
  readonly #quarantine: Quarantine | undefined
  readonly #rewind: ForwarderOptions['rewind']
  readonly #standing: Standing
  readonly #flushes = new Flushes()

  /** Oldest first. */
  #sendings: Sending[] = []
  /** After a failure and until a success, one at a time: what goes behind a batch that fails again goes in vain. */
  #isCautious = false
  /** When the records in hand have waited long enough. */
  #dueMs = Number.POSITIVE_INFINITY
  #pausesInRow = 0
  #poisonInRow = 0
  #wake: () => void = () => {}

  constructor(parts: ForwarderOptions) {
    const { destination, source, options = {}, onStateChange = () => {}, pace = systemPace } = parts
    this.#destination = destination
    this.#source = source
    this.#quarantine = parts.quarantine
    this.#rewind = parts.rewind
    this.#pace = pace
    this.#flushIntervalMs = options.flushIntervalMs ?? flushIntervalMsDefault
    this.#inHand = new Batcher({
      records: options.batchRecordsMax ?? batchRecordsMax,
      bytes: options.batchBytesMax ?? batchBytesMax,
    })
    const looks = { backlog: () => source.backlog(), oldest: () => this.#inHand.oldest }
    this.#standing = new Standing({ name: destination.name, pace, ...looks, onChange: onStateChange })
  }

  /**
   * Forwards until the signal aborts; call it once. Rejects only when the source does (its disk fails); whatever the
   * destination does is retried. What is in hand when it ends was not confirmed and comes again.
   */
  async run(signal: AbortSignal): Promise<void> {
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake)
    try {
      await this.#repeat()
      while (!signal.aborted) {
        if (await this.#mayBegin()) this.#begin(signal)
        else if (this.#sendings.length > 0) await this.#finish(signal)
        else await this.#gather(signal)
        await nextTurn() // a synchronous destination with a long backlog would keep the thread from the others
      }
      while (this.#sendings.length > 0) await this.#finish(signal)
      this.#source.settle()
    } finally {
      signal.removeEventListener('abort', wake)
      this.#flushes.stop()
    }
  }

  /**
   * Sends without waiting for company, and resolves when everything that was durable at the call is confirmed. It
   * waits as long as the destination fails; rejects with AuditError CLOSED when the forwarder stops first.
   */
  flush(): Promise<void> {
    const flushed = this.#flushes.add(this.#standing.passed, this.#source.backlog())
    this.#wake()
    return flushed
  }

  state(): ForwarderState {
    return this.#standing.state()
  }

  /** What was on its way when the last run ended goes again as it was. */
  async #repeat(): Promise<void> {
    if (!this.#destination.repeatsBatches) return
    if (await takeInFlight(this.#source, this.#inHand)) this.#dueMs = Number.NEGATIVE_INFINITY
  }

  /** Whether a batch is due and another sending allowed; behind one on its way, only what is there already counts. */
  async #mayBegin(): Promise<boolean> {
    if (this.#sendings.length === 0) return this.#isDue()
    const sendingsMax = this.#isCautious ? 1 : (this.#destination.sendingsMax ?? 1)
    if (this.#sendings.length >= sendingsMax) return false
    if (!this.#inHand.isFull) await this.#read()
    return this.#isDue()
  }

  #isDue(): boolean {
    if (this.#inHand.isEmpty) return false
    return this.#inHand.isFull || this.#flushes.count > 0 || this.#pace.monotonicMs() >= this.#dueMs
  }

  /** Reads, with nothing on its way, until a batch is due: full, old enough, or wanted by a flush. */
  async #gather(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#inHand.isFull) {
      const asked = this.#flushes.count
      if (await this.#read()) continue
      if (this.#inHand.isEmpty) this.#settleFlushes(asked)
      else if (this.#isDue()) return
      // A flush that came while the source was read wants another look at it.
      if (!signal.aborted && this.#flushes.count === 0) await this.#waitUntil(this.#dueMs)
    }
  }

  async #read(): Promise<boolean> {
    const records = await this.#source.next(this.#inHand.room)
    if (records.length > 0 && this.#inHand.isEmpty) this.#dueMs = this.#pace.monotonicMs() + this.#flushIntervalMs
    this.#inHand.add(records)
    return records.length > 0
  }

  async #waitUntil(dueMs: number): Promise<void> {
    const waiting = new AbortController()
    this.#wake = () => waiting.abort()
    const waits = [this.#source.waitForMore(waiting.signal)]
    if (dueMs < Number.POSITIVE_INFINITY) {
      waits.push(this.#pace.sleep(Math.max(0, dueMs - this.#pace.monotonicMs()), waiting.signal))
    }
    try {
      await Promise.race(waits)
    } finally {
      waiting.abort() // ends the wait that lost: no timer stays behind
    }
  }

  #begin(signal: AbortSignal): void {
    const batch = this.#inHand.take()
    if (this.#destination.repeatsBatches) this.#source.begin?.(batch.records)
    this.#sendings.push({ batch, delivery: this.#send(batch, signal) })
    // What a halved batch leaves was due with it.
    this.#dueMs = this.#inHand.isEmpty ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  }

  /** Waits for the oldest sending. When it failed, what went behind it is sent again: it may have arrived, or not. */
  async #finish(signal: AbortSignal): Promise<void> {
    const [oldest, ...others] = this.#sendings
    if (oldest === undefined) return
    const delivery = await oldest.delivery
    if (delivery.status === 'delivered') {
      this.#sendings.shift()
      this.#confirm(oldest.batch, 'delivered')
      return
    }
    // Waited for, so that none arrives after its own repetition.
    const behind = await Promise.all(others.map((sending) => sending.delivery))
    this.#sendings = []
    this.#inHand.putBack()
    this.#dueMs = Number.NEGATIVE_INFINITY
    if (signal.aborted) return
    this.#standing.countFailures(1 + behind.filter(({ status }) => status !== 'delivered').length)
    await this.#retreat(oldest.batch, delivery, signal)
  }

  async #send(batch: Batch, signal: AbortSignal): Promise<Delivery> {
    const [first] = batch.records
    if (first !== undefined && this.#quarantine?.follows(first))
      return { status: 'rejected', reason: 'it follows a record that was set aside' }
    try {
      return await this.#standing.time(() => this.#destination.send(batch, signal))
    } catch (thrown) {
      // A defect of ours. Stopping would hold the records up just as long, and less visibly.
      return { status: 'retry', reason: `defect in this destination: ${errorText(thrown)}` }
    }
  }

  #confirm(batch: Batch, fate: 'delivered' | 'quarantined'): void {
    const last = batch.records.at(-1)
    if (last === undefined) return
    this.#source.confirm(last)
    this.#inHand.confirm(batch)
    this.#pausesInRow = 0
    if (fate === 'delivered') this.#poisonInRow = 0
    this.#isCautious = false
    this.#standing.pass(batch.records, fate)
    this.#settleFlushes(0)
  }

  /** What follows a failure. */
  async #retreat(batch: Batch, delivery: Undelivered, signal: AbortSignal): Promise<void> {
    this.#isCautious = true
    if (delivery.status === 'retry') return this.#pause({ batch, ...delivery, condition: 'failing' }, signal)
    if (delivery.isBehind && this.#rewind !== undefined) return await this.#goBack(this.#rewind, batch, signal)
    const forks = this.#quarantine === undefined ? undefined : findForks(batch.records, delivery, this.#quarantine)
    if (forks !== undefined && forks.from > 0) return this.#inHand.limitNext(forks.from) // what goes before arrives
    if (forks !== undefined) return await this.#setAside(forks.run, signal)
    if (batch.records.length > 1) return this.#inHand.narrow(batch, delivery.indexes)
    if (this.#maySetAside) {
      this.#poisonInRow += 1
      return await this.#setAside({ kind: 'poison', records: batch.records, reason: delivery.reason }, signal)
    }
    const reason = describeRefusal(batch.records, delivery.reason)
    await this.#pause({ batch, reason, condition: 'refused' }, signal)
  }

  /** Records that were confirmed go again, before those in hand, which come again behind them. */
  async #goBack(rewind: Pick<Rewind, 'goBack'>, batch: Batch, signal: AbortSignal): Promise<void> {
    const { isBack, reason } = await rewind.goBack(batch, signal)
    if (isBack) this.#inHand.clear()
    if (isBack) this.#flushes.postpone()
    await this.#pause({ batch, reason, condition: isBack ? 'failing' : 'refused' }, signal)
  }

  /** Whether a record that is refused by itself may be left out there. */
  get #maySetAside(): boolean {
    return this.#quarantine !== undefined && !this.#destination.keepsChain && this.#poisonInRow < poisonInRowMax
  }

  /** The records at the front are confirmed when they are in quarantine and that is sealed. */
  async #setAside(run: SetAsideRun, signal: AbortSignal): Promise<void> {
    const obstacle = await this.#quarantine?.setAside(run, signal)
    const batch = this.#inHand.take(run.records.length)
    if (obstacle === undefined) return this.#confirm(batch, 'quarantined')
    this.#inHand.putBack()
    const reason = describeRefusal(run.records, `${run.reason}; ${obstacle}`)
    await this.#pause({ batch, reason, condition: 'refused' }, signal)
  }

  async #pause({ batch, reason, condition, afterMs }: Failure, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    if (++this.#pausesInRow % pausesBeforeHalving === 0) this.#inHand.halve(batch)
    const retryMs = retryDelayMs(this.#pausesInRow, afterMs, this.#pace.random())
    this.#standing.enter(condition, { reason, retryMs })
    this.#source.settle() // the pause may be a long one
    await this.#pace.sleep(retryMs, signal)
  }

  /** Resolves the flushes whose records are confirmed, and the first `dry`, which were there when nothing was left. */
  #settleFlushes(dry: number): void {
    const resolve = this.#flushes.take(dry, this.#standing.passed)
    if (resolve === undefined) return
    this.#source.settle()
    resolve()
  }
}
