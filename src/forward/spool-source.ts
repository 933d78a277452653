/**
 * A spool as a destination's source of records: reads behind its durable cursor and never past the durable position.
 * Always holds: the durable cursor is never ahead of what was confirmed; it may lag, which after a crash costs
 * repetitions and nothing else. Polls for more, because the durable position lives in shared memory or, for another
 * process, in a file.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { type Cursor, CursorFile } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { SpoolReader } from '../spool/reader.ts'
import type { ReadPlace } from '../spool/segment.ts'
import type { RecordSource } from './source.ts'

/** How soon new records are noticed while there is traffic, and when there has been none for a while. */
const pollMs = { busy: 10, idle: 50 }
/** How often the cursor is saved while records flow: a save is an fdatasync, which at full speed is 1 ms in 8. */
const saveIntervalMs = 100

export interface SpoolSourceOptions {
  readonly files: Files
  readonly directory: string
  /** The destination's durable name. */
  readonly name: string
  /** The stream that is being written; its last sequences are what the backlog is counted from. */
  readonly stream: string
  readonly durable: () => SpoolEnd
  /** For tests. */
  readonly monotonicMs?: () => number
}

/** Where a read of the spool has ended. */
interface ReadEnd {
  readonly last: StoredRecord
  readonly place: ReadPlace | undefined
}

export class SpoolSource implements RecordSource {
  readonly #options: SpoolSourceOptions
  readonly #cursor: CursorFile
  readonly #reader: SpoolReader
  readonly #monotonicMs: () => number
  /** Of the reads that are not confirmed. */
  #readEnds: ReadEnd[] = []
  /** What is confirmed, durable or not. */
  #confirmed: Cursor
  #savedAtMs = Number.NEGATIVE_INFINITY
  #ranDryAt: number | undefined

  constructor(options: SpoolSourceOptions) {
    this.#options = options
    this.#cursor = new CursorFile(options.files, options.directory, options.name)
    this.#reader = new SpoolReader(options.files, options.directory, options.durable)
    this.#confirmed = this.#cursor.cursor
    this.#monotonicMs = options.monotonicMs ?? monotonicMs
    this.#reader.seek(this.#confirmed)
  }

  next(limit: { records: number; bytes: number }): readonly StoredRecord[] {
    const records = this.#reader.next(limit)
    const last = records.at(-1)
    if (last !== undefined) this.#readEnds.push({ last, place: this.#reader.place })
    this.#ranDryAt = records.length > 0 ? undefined : this.#options.durable().nextSequence
    return records
  }

  confirm(last: StoredRecord): void {
    const confirmed = { stream: last.stream, sequence: last.sequence }
    const index = this.#readEnds.findIndex((end) => end.last === last)
    this.#confirmed = { confirmed, hint: this.#readEnds[index]?.place }
    this.#readEnds.splice(0, index + 1)
    this.#settleWhenDue()
  }

  settle(): void {
    if (this.#confirmed === this.#cursor.cursor) return
    this.#savedAtMs = this.#monotonicMs()
    try {
      this.#cursor.save(this.#confirmed)
    } catch (error) {
      // A disk that refuses must not stop delivery: the cursor lags, and the next save is tried when it is due.
      if (errorCode(error) === undefined) throw error
    }
  }

  #settleWhenDue(): void {
    if (this.#monotonicMs() - this.#savedAtMs >= saveIntervalMs) this.settle()
  }

  async waitForMore(signal: AbortSignal): Promise<void> {
    const interval = this.#ranDryAt === this.#options.durable().nextSequence ? pollMs.idle : pollMs.busy
    this.#settleWhenDue()
    await sleep(interval, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
  }

  backlog(): number | undefined {
    const { confirmed } = this.#confirmed
    const durable = this.#options.durable().nextSequence - 1
    if (confirmed === undefined) return undefined
    return confirmed.stream === this.#options.stream ? durable - confirmed.sequence : undefined
  }

  /** Releases the files. What was confirmed and not settled comes again. */
  close(): void {
    this.#reader.close()
    this.#cursor.close()
  }
}
