/**
 * While a destination fails, its records are also printed on standard output, each once, in order; they stay queued for
 * the destination as ever. What was printed is remembered for this run only: after a restart within an outage it is
 * printed again. A standard output that cannot be written holds up printing, and nothing else.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Destination } from '../destination/destination.ts'
import type { StoredRecord } from '../event/record.ts'
import { batchBytesMax, batchRecordsMax } from '../limits.ts'
import type { Cursor } from '../spool/cursor.ts'
import type { Bell } from './bell.ts'

/** How often it looks while the destination fails, in milliseconds. */
const lookMs = 100

/** A reader of its own on the spool, behind the one that delivers or before it. */
export interface FallbackReader {
  seek(cursor: Cursor): void
  next(limit: { records: number; bytes: number }): readonly StoredRecord[]
  close(): void
}

/** How far delivery is. */
export interface FallbackView {
  readonly isFailing: boolean
  /** Records behind it in this run. */
  readonly passed: number
  /** The last of them. */
  readonly confirmed: Cursor
}

export interface FallbackParts {
  readonly reader: FallbackReader
  readonly output: Pick<Destination, 'send' | 'close'>
  readonly view: () => FallbackView
  /** Rings when the destination begins or ceases to fail. */
  readonly changes: Bell
}

export class Fallback {
  readonly #parts: FallbackParts
  /** Records behind the reader, counted from where delivery began in this run. */
  #read = 0
  #isPlaced = false

  constructor(parts: FallbackParts) {
    this.#parts = parts
  }

  /** Prints while the destination fails, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { reader, output, view, changes } = this.#parts
    try {
      while (!signal.aborted) {
        await this.printMissing(signal)
        if (!view().isFailing) await changes.wait(signal)
        else await sleep(lookMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
      }
    } finally {
      reader.close()
      await output.close()
    }
  }

  /** Prints what is durable, neither delivered nor printed, as long as the destination fails. */
  async printMissing(signal: AbortSignal): Promise<void> {
    const { reader, output, view } = this.#parts
    while (!signal.aborted && view().isFailing) {
      this.#overtake(view())
      const records = reader.next({ records: batchRecordsMax, bytes: batchBytesMax })
      if (records.length === 0) return
      const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0)
      // A line that is half out cannot be taken back: the same records, until they are out.
      while (!signal.aborted && (await output.send({ records, bytes }, signal)).status !== 'delivered') {
        await sleep(lookMs, undefined, { signal }).catch(() => {})
      }
      this.#read += records.length
    }
  }

  /** What was delivered in the meantime is not printed. */
  #overtake({ passed, confirmed }: FallbackView): void {
    if (this.#isPlaced && this.#read >= passed) return
    this.#parts.reader.seek(confirmed)
    this.#read = passed
    this.#isPlaced = true
  }
}
