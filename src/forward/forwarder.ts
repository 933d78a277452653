/**
 * The one loop between a source of records and a destination. Always holds: records go in order; a record is
 * confirmed only after it was delivered, and every record before it too; nothing is dropped for being refused or for
 * waiting long. Owns the batch in hand and the pace; the source owns the durable cursor, the destination one sending.
 *
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
        if (this.#inHand.isEmpty) await this.#gather(signal)
        else await this.#deliver(signal)
        await nextTurn() // a synchronous destination with a long backlog would keep the thread from the others
      }
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

  /** Reads, with nothing in hand, until a batch is due: full, old enough, or wanted by a flush. */
  async #gather(signal: AbortSignal): Promise<void> {
    let dueMs = Number.POSITIVE_INFINITY
    while (!signal.aborted && !this.#inHand.isFull) {
      const asked = this.#flushes.length
      if (await this.#read()) {
        dueMs = Math.min(dueMs, this.#pace.monotonicMs() + this.#flushIntervalMs)
        continue
      }
      if (this.#inHand.isEmpty) this.#settleFlushes(asked)
      else if (this.#flushes.length > 0 || this.#pace.monotonicMs() >= dueMs) return
      // A flush that came while the source was read wants another look at it.
      if (!signal.aborted && this.#flushes.length === 0) await this.#waitUntil(dueMs)
    }
  }

  async #read(): Promise<boolean> {
    const records = await this.#source.next(this.#inHand.room)
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

  async #deliver(signal: AbortSignal): Promise<void> {
    const batch = this.#inHand.next()
    const delivery = await this.#send(batch, signal)
    if (delivery.status === 'delivered') this.#confirm(batch)
    else if (!signal.aborted) await this.#retreat(batch, delivery, signal)
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
    this.#failures += 1
    if (isRefused && batch.records.length > 1) return this.#inHand.halve(batch)
    this.#pausesInRow += 1
    if (this.#pausesInRow % pausesBeforeHalving === 0) this.#inHand.halve(batch)
    if (isRefused) this.#enter('refused', describeRefusal(batch, delivery.reason))
    else this.#enter('failing', delivery.reason)
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
