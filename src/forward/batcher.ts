/**
 * The records in hand: read from the source, not yet confirmed, in order, and cut into batches. A batch is always
 * the front of what is in hand. Refused batches are halved and grow back by steps, so that a peer with a lower limit
 * than ours is met near that limit and not with a refusal every other time.
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
  #bytes = 0
  /** How many records a batch may have now. */
  #sendMax: number

  constructor(limits: BatchLimits) {
    this.#limits = limits
    this.#sendMax = limits.records
  }

  get isEmpty(): boolean {
    return this.#records.length === 0
  }

  /** A full batch is in hand. The last record may go beyond the limit of bytes. */
  get isFull(): boolean {
    return this.#records.length >= this.#limits.records || this.#bytes >= this.#limits.bytes
  }

  /** What may still be read. */
  get room(): BatchLimits {
    return { records: this.#limits.records - this.#records.length, bytes: this.#limits.bytes - this.#bytes }
  }

  add(records: readonly StoredRecord[]): void {
    this.#records.push(...records)
    this.#bytes += sizeOf(records)
  }

  /** The batch to send now; the same one until it is confirmed or halved. */
  next(): Batch {
    const records = this.#records.slice(0, this.#sendMax)
    return { records, bytes: sizeOf(records) }
  }

  /** Lets go of a batch that is confirmed. */
  confirm(batch: Batch): void {
    this.#records = this.#records.slice(batch.records.length)
    this.#bytes -= batch.bytes
    this.#sendMax = Math.min(this.#limits.records, this.#sendMax + Math.ceil(this.#limits.records / growthSteps))
  }

  /** Makes the next batch half of this one, one record at the least. */
  halve(batch: Batch): void {
    this.#sendMax = Math.ceil(batch.records.length / 2)
  }
}

function sizeOf(records: readonly StoredRecord[]): number {
  return records.reduce((bytes, record) => bytes + record.bytes.length, 0)
}
