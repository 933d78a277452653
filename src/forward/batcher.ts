/**
 * The records in hand: read from the source, not yet confirmed, in order, and cut into batches. Batches are taken from
 * the front and confirmed in that order; what was taken and failed is put back. Refused batches are halved and grow
 * back by steps, so that a peer with a lower limit than ours is met near it and not with a refusal every other time.
 */

import type { Batch } from '../destination/destination.ts'
import type { StoredRecord } from '../event/record.ts'

/** A halved batch grows back by this part of the full one with each success. */
const growthSteps = 16

export interface BatchLimits {
  readonly records: number
  readonly bytes: number
}

export class Batcher {
  readonly #limits: BatchLimits
  #records: StoredRecord[] = []
  /** How many of them, from the front, are taken. */
  #taken = 0
  /** Bytes of those that are not. */
  #bytes = 0
  /** How many records a batch may have now. */
  #sendMax: number
  /** How many the next batch may have, where that is less. */
  #nextMax = Number.POSITIVE_INFINITY

  constructor(limits: BatchLimits) {
    this.#limits = limits
    this.#sendMax = limits.records
  }

  /** Nothing is left to take. */
  get isEmpty(): boolean {
    return this.#records.length === this.#taken
  }

  /** A full batch can be taken. The last record may go beyond the limit of bytes. */
  get isFull(): boolean {
    return this.#records.length - this.#taken >= this.#limits.records || this.#bytes >= this.#limits.bytes
  }

  get oldest(): StoredRecord | undefined {
    return this.#records[0]
  }

  /** What may still be read. */
  get room(): BatchLimits {
    const records = this.#limits.records - (this.#records.length - this.#taken)
    return { records, bytes: this.#limits.bytes - this.#bytes }
  }

  add(records: readonly StoredRecord[]): void {
    this.#records.push(...records)
    this.#bytes += sizeOf(records)
  }

  /** The next batch to send; of exactly so many records, when told. */
  take(exactly = Math.min(this.#sendMax, this.#nextMax)): Batch {
    const records = this.#records.slice(this.#taken, this.#taken + exactly)
    this.#nextMax = Number.POSITIVE_INFINITY
    const bytes = sizeOf(records)
    this.#taken += records.length
    this.#bytes -= bytes
    return { records, bytes }
  }

  /** Makes everything that is not confirmed a thing to send again. */
  putBack(): void {
    this.#bytes += sizeOf(this.#records.slice(0, this.#taken))
    this.#taken = 0
  }

  /** Lets go of everything: other records come next. */
  clear(): void {
    this.#records = []
    this.#taken = 0
    this.#bytes = 0
    this.#nextMax = Number.POSITIVE_INFINITY
  }

  /** Lets go of the oldest batch that is taken: it is confirmed. */
  confirm(batch: Batch): void {
    this.#records = this.#records.slice(batch.records.length)
    this.#taken -= batch.records.length
    this.#sendMax = Math.min(this.#limits.records, this.#sendMax + Math.ceil(this.#limits.records / growthSteps))
  }

  /** The next batch, and only that one, has no more records than these. */
  limitNext(records: number): void {
    this.#nextMax = records
  }

  /** Towards the record that is refused: what goes before it is sent first, then it alone. */
  narrow(batch: Batch, indexes: readonly number[] | undefined): void {
    const first = indexes?.[0]
    if (first === undefined || first >= batch.records.length) this.halve(batch)
    else this.limitNext(Math.max(1, first))
  }

  /** Makes the next batch half of this one, one record at the least. */
  halve(batch: Batch): void {
    this.#sendMax = Math.ceil(batch.records.length / 2)
  }
}

function sizeOf(records: readonly StoredRecord[]): number {
  return records.reduce((bytes, record) => bytes + record.bytes.length, 0)
}
