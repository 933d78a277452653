/** A source that is an array and a destination that fails on demand. */

import { EventEmitter, once } from 'node:events'
import type { Batch, Delivery, Destination } from '../../src/destination/destination.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import type { RecordSource } from '../../src/forward/source.ts'
import type { RecordNumber } from '../../src/spool/cursor.ts'

export const stream = '0190f5a0-0000-7000-8000-000000000001'

/** Records `from` to `to` (included), each of `bytes` bytes. */
export function makeRecords(from: number, to: number, bytes = 10): StoredRecord[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({
    stream,
    sequence: from + index,
    bytes: Buffer.alloc(bytes, String(from + index)),
  }))
}

export class ArraySource implements RecordSource {
  readonly #changes = new EventEmitter()
  readonly #records: StoredRecord[] = []
  #read = 0
  /** Sequence numbers in the order in which they were confirmed. */
  readonly confirmed: number[] = []
  /** The last that was confirmed at the last `settle`. */
  settled: number | undefined
  inFlightTo: RecordNumber | undefined
  /** The last of each batch that was noted to be on its way. */
  readonly begun: (number | undefined)[] = []
  knowsBacklog = true
  /** Called when the source is asked, before it answers. */
  onNext: () => void = () => {}
  readonly #waiting = new Set<AbortSignal>()

  constructor(records: readonly StoredRecord[] = []) {
    this.#records.push(...records)
  }

  append(records: readonly StoredRecord[]): void {
    this.#records.push(...records)
    this.#waiting.clear()
    this.#changes.emit('more')
  }

  next(limit: { records: number; bytes: number }): readonly StoredRecord[] {
    const taken: StoredRecord[] = []
    let bytes = 0
    for (const record of this.#records.slice(this.#read, this.#read + limit.records)) {
      if (bytes >= limit.bytes) break
      taken.push(record)
      bytes += record.bytes.length
    }
    this.#read += taken.length
    this.onNext()
    return taken
  }

  begin(batch: readonly StoredRecord[]): void {
    this.begun.push(batch.at(-1)?.sequence)
  }

  confirm(last: StoredRecord): void {
    this.confirmed.push(last.sequence)
    this.#changes.emit('confirmed')
  }

  settle(): void {
    this.settled = this.confirmed.at(-1)
  }

  async waitForMore(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#read < this.#records.length) return
    this.#waiting.add(signal)
    this.#changes.emit('waited')
    await once(this.#changes, 'more', { signal }).catch(() => {})
    this.#waiting.delete(signal)
  }

  backlog(): number | undefined {
    return this.knowsBacklog ? this.#records.length - (this.confirmed.at(-1) ?? 0) : undefined
  }

  /** Waits until the forwarder has nothing to read. */
  async untilWaitedFor(): Promise<void> {
    if (this.#waiting.size === 0) await once(this.#changes, 'waited')
  }

  /** Waits until the record is confirmed. */
  async untilConfirmed(sequence: number): Promise<void> {
    while ((this.confirmed.at(-1) ?? 0) < sequence) await once(this.#changes, 'confirmed')
  }
}

type Answer = Delivery | ((batch: Batch, signal: AbortSignal) => Delivery | Promise<Delivery>)

export const delivered: Delivery = { status: 'delivered' }
export const retry: Delivery = { status: 'retry', reason: 'connection refused' }
export const rejected: Delivery = { status: 'rejected', reason: 'HTTP 400' }

/** Answers with `answers` in turn, then with the last one for ever; keeps what it was sent. */
export class ScriptedDestination implements Destination {
  readonly name = 'scripted'
  sendingsMax = 1
  keepsChain = false
  repeatsBatches = false
  readonly #answers: Answer[]
  /** Sequence numbers of each batch. */
  readonly sent: number[][] = []

  constructor(...answers: Answer[]) {
    this.#answers = answers.length > 0 ? answers : [delivered]
  }

  async send(batch: Batch, signal: AbortSignal): Promise<Delivery> {
    this.sent.push(batch.records.map((record) => record.sequence))
    const answer = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0]
    if (answer === undefined) throw new Error('no answer is scripted')
    return typeof answer === 'function' ? answer(batch, signal) : answer
  }

  async close(): Promise<void> {}
}
