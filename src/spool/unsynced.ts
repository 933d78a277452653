/**
 * What is written and not yet durable, kept in memory by the application thread, so that it can be written again
 * when the disk loses it: after a failed sync the file's pages prove nothing. Keeps the texts that were written, no
 * copies; `forget` lets go of what has become durable.
 */

import { isBefore, type SpoolPosition } from './format.ts'

export interface UnsyncedRecord {
  readonly record: string
  readonly recordBytes: number
  readonly attachment: Uint8Array
  readonly flags: number
  /** Just behind its frame. */
  end: SpoolPosition
}

export class Unsynced {
  #kept: UnsyncedRecord[] = []
  #first = 0
  #bytes = 0

  /** Bytes of all records kept. */
  get bytes(): number {
    return this.#bytes
  }

  add(one: UnsyncedRecord): void {
    this.#kept.push(one)
    this.#bytes += one.recordBytes + one.attachment.length
  }

  /** Lets go of everything that ends at or before the durable position. */
  forget(durable: SpoolPosition): void {
    while (this.#first < this.#kept.length) {
      const one = this.#kept[this.#first]
      if (one === undefined || isBefore(durable, one.end)) break
      this.#bytes -= one.recordBytes + one.attachment.length
      this.#first += 1
    }
    // The dead places go seldom: moving the rest costs more than they do.
    if (this.#first > 4_096 || this.#first === this.#kept.length) this.#compact()
  }

  /** All that is kept, oldest first. */
  records(): readonly UnsyncedRecord[] {
    this.#compact()
    return this.#kept
  }

  /** They stand elsewhere now: their new ends, in order. */
  move(ends: readonly SpoolPosition[]): void {
    this.#compact()
    this.#kept.forEach((one, index) => {
      one.end = ends[index] ?? one.end
    })
  }

  #compact(): void {
    if (this.#first > 0) this.#kept.splice(0, this.#first)
    this.#first = 0
  }
}
