/**
 * The one loop between a source of records and a destination. Always holds: records go in order; a record is
 * confirmed only after it was delivered, and every record before it too; nothing is dropped for being refused or for
 * waiting long. Owns the batches in hand and the pace; the source owns the durable cursor, the destination a sending.
 *   gather (until full, due or flushed) ─► send ─► delivered: confirm, go on
 *                                               ├► retry: pause, the same records again
 *                                               └► rejected: half as many at once; a single one: pause, again
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, Delivery, Destination } from '../destination/destination.ts'
import { AuditError, errorText } from '../errors.ts'
import { batchBytesMax, batchRecordsMax } from '../limits.ts'
import { Batcher } from './batcher.ts'
import { type Pace, retryDelayMs, systemPace } from './pace.ts'
import type { RecordSource } from './source.ts'

const flushIntervalMsDefault = 200
/** A batch that failed so often in a row is halved too: a sidecar reports an oversize batch as 500. */
const pausesBeforeHalving = 3

/** `failing`: the last try failed. `refused`: a record is refused by itself, and everything behind it waits. */
export type ForwarderCondition = 'ok' | 'failing' | 'refused'

export interface ForwarderState {
  readonly name: string
  readonly condition: ForwarderCondition
  /** The last confirmed record of this run. */
  readonly confirmed: { readonly stream: string; readonly sequence: number } | undefined
  /** Records delivered in this run. */
  readonly delivered: number
  /** Sendings that did not deliver, in this run. */
  readonly failures: number
  readonly backlog: number | undefined
  /** Why the last try failed; absent when the condition is `ok`. */
  readonly lastError?: string | undefined
  /** Since when the condition is not `ok`, milliseconds since the epoch. */
  readonly since?: number | undefined
}

export interface ForwarderOptions {
  readonly destination: Destination
  readonly source: RecordSource
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

interface Flush {
  /** Count of delivered records that satisfies it; without one, the source must run dry. */
  readonly delivered: number
  resolve(): void
  reject(reason: Error): void
}

export class Forwarder {
  readonly #destination: Destination
  readonly #source: RecordSource
  readonly #pace: Pace
  readonly #flushIntervalMs: number
  readonly #inHand: Batcher
  readonly #onStateChange: (state: ForwarderState) => void

  /** Oldest first. */
  #sendings: Sending[] = []
  /** After a failure and until a success, one at a time: what goes behind a batch that fails again goes in vain. */
  #isCautious = false
  /** When the records in hand have waited long enough. */
  #dueMs = Number.POSITIVE_INFINITY
  #pausesInRow = 0
  #flushes: Flush[] = []
  #stopped = false
  #wake: () => void = () => {}

  #condition: ForwarderCondition = 'ok'
  #lastError: string | undefined
  #since: number | undefined
  #confirmed: ForwarderState['confirmed']
  #delivered = 0
  #failures = 0

  constructor({ destination, source, options = {}, onStateChange = () => {}, pace = systemPace }: ForwarderOptions) {
    this.#destination = destination
    this.#source = source
    this.#pace = pace
    this.#flushIntervalMs = options.flushIntervalMs ?? flushIntervalMsDefault
    this.#inHand = new Batcher({
      records: options.batchRecordsMax ?? batchRecordsMax,
      bytes: options.batchBytesMax ?? batchBytesMax,
    })
    this.#onStateChange = onStateChange
  }

  /**
   * Forwards until the signal aborts; call it once. Rejects only when the source does (its disk fails); whatever the
   * destination does is retried. What is in hand when it ends was not confirmed and comes again.
   */
  async run(signal: AbortSignal): Promise<void> {
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake)
    try {
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
      this.#stop()
    }
  }

  /**
   * Sends without waiting for company, and resolves when everything that was durable at the call is confirmed. It
   * waits as long as the destination fails; rejects with AuditError CLOSED when the forwarder stops first.
   */
  flush(): Promise<void> {
    if (this.#stopped) return Promise.reject(stoppedError())
    const backlog = this.#source.backlog()
    if (backlog === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#flushes.push({ delivered: this.#delivered + (backlog ?? Number.POSITIVE_INFINITY), resolve, reject })
      this.#wake()
    })
  }

  state(): ForwarderState {
    return {
      name: this.#destination.name,
      condition: this.#condition,
      confirmed: this.#confirmed,
      delivered: this.#delivered,
      failures: this.#failures,
      backlog: this.#source.backlog(),
      lastError: this.#lastError,
      since: this.#since,
    }
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
    return this.#inHand.isFull || this.#flushes.length > 0 || this.#pace.monotonicMs() >= this.#dueMs
  }

  /** Reads, with nothing on its way, until a batch is due: full, old enough, or wanted by a flush. */
  async #gather(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#inHand.isFull) {
      const asked = this.#flushes.length
      if (await this.#read()) continue
      if (this.#inHand.isEmpty) this.#settleFlushes(asked)
      else if (this.#isDue()) return
      // A flush that came while the source was read wants another look at it.
      if (!signal.aborted && this.#flushes.length === 0) await this.#waitUntil(this.#dueMs)
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
      this.#confirm(oldest.batch)
      return
    }
    // Waited for, so that none arrives after its own repetition.
    const behind = await Promise.all(others.map((sending) => sending.delivery))
    this.#sendings = []
    this.#inHand.putBack()
    this.#dueMs = Number.NEGATIVE_INFINITY
    if (signal.aborted) return
    this.#failures += 1 + behind.filter(({ status }) => status !== 'delivered').length
    await this.#retreat(oldest.batch, delivery, signal)
  }

  async #send(batch: Batch, signal: AbortSignal): Promise<Delivery> {
    try {
      return await this.#destination.send(batch, signal)
    } catch (thrown) {
      // A defect of ours. Stopping would hold the records up just as long, and less visibly.
      return { status: 'retry', reason: `defect in this destination: ${errorText(thrown)}` }
    }
  }

  #confirm(batch: Batch): void {
    const last = batch.records.at(-1)
    if (last === undefined) return
    this.#source.confirm(last)
    this.#inHand.confirm(batch)
    this.#confirmed = { stream: last.stream, sequence: last.sequence }
    this.#delivered += batch.records.length
    this.#pausesInRow = 0
    this.#isCautious = false
    this.#enter('ok')
    this.#settleFlushes(0)
  }

  /** What follows a failure. A refused record will be set aside here, once quarantine exists; until then it waits. */
  async #retreat(
    batch: Batch,
    delivery: Exclude<Delivery, { status: 'delivered' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const isRefused = delivery.status === 'rejected'
    this.#isCautious = true
    if (isRefused && batch.records.length > 1) return this.#inHand.halve(batch)
    this.#pausesInRow += 1
    if (this.#pausesInRow % pausesBeforeHalving === 0) this.#inHand.halve(batch)
    if (isRefused) this.#enter('refused', describeRefusal(batch, delivery.reason))
    else this.#enter('failing', delivery.reason)
    this.#source.settle() // the pause may be a long one
    const afterMs = delivery.status === 'retry' ? delivery.afterMs : undefined
    await this.#pace.sleep(retryDelayMs(this.#pausesInRow, afterMs, this.#pace.random()), signal)
  }

  #enter(condition: ForwarderCondition, lastError?: string): void {
    this.#lastError = lastError
    if (condition === this.#condition) return
    this.#condition = condition
    this.#since = condition === 'ok' ? undefined : this.#pace.nowMs()
    this.#onStateChange(this.state())
  }

  /** Resolves the flushes whose records are confirmed, and the first `dry`, which were there when nothing was left. */
  #settleFlushes(dry: number): void {
    const isSettled = (flush: Flush, index: number) => index < dry || this.#delivered >= flush.delivered
    const settled = this.#flushes.filter(isSettled)
    if (settled.length > 0) this.#source.settle()
    this.#flushes = this.#flushes.filter((flush) => !settled.includes(flush))
    for (const flush of settled) flush.resolve()
  }

  #stop(): void {
    this.#stopped = true
    for (const flush of this.#flushes.splice(0)) flush.reject(stoppedError())
  }
}

function describeRefusal({ records }: Batch, reason: string): string {
  const [record] = records
  return `record ${record?.sequence} of stream ${record?.stream} is refused, and all behind it wait: ${reason}`
}

function stoppedError(): AuditError {
  return new AuditError('CLOSED', 'delivery stopped before everything was confirmed', {
    hint: 'What is not confirmed stays in the spool and is delivered after the next start.',
  })
}
