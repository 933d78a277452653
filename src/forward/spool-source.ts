/**
 * A spool as a destination's source of records: reads behind its durable cursor and never past the durable position.
 * Polls for more, because the durable position lives in shared memory or, for another process, in a file.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredRecord } from '../event/record.ts'
import { CursorFile } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { SpoolReader } from '../spool/reader.ts'
import type { RecordSource } from './source.ts'

/** How soon new records are noticed while there is traffic, and when there has been none for a while. */
const pollMs = { busy: 10, idle: 50 }

export interface SpoolSourceOptions {
  readonly files: Files
  readonly directory: string
  /** The destination's durable name. */
  readonly name: string
  /** The stream that is being written; its last sequences are what the backlog is counted from. */
  readonly stream: string
  readonly durable: () => SpoolEnd
}

export class SpoolSource implements RecordSource {
  readonly #options: SpoolSourceOptions
  readonly #cursor: CursorFile
  readonly #reader: SpoolReader
  #lastRead: StoredRecord | undefined
  #ranDryAt: number | undefined

  constructor(options: SpoolSourceOptions) {
    this.#options = options
    this.#cursor = new CursorFile(options.files, options.directory, options.name)
    this.#reader = new SpoolReader(options.files, options.directory, options.durable)
    this.#reader.seek(this.#cursor.cursor)
  }

  next(limit: { records: number; bytes: number }): readonly StoredRecord[] {
    const records = this.#reader.next(limit)
    this.#lastRead = records.at(-1) ?? this.#lastRead
    this.#ranDryAt = records.length > 0 ? undefined : this.#options.durable().nextSequence
    return records
  }

  confirm(last: StoredRecord): void {
    const confirmed = { stream: last.stream, sequence: last.sequence }
    this.#cursor.save({ confirmed, hint: last === this.#lastRead ? this.#reader.place : undefined })
  }

  async waitForMore(signal: AbortSignal): Promise<void> {
    const interval = this.#ranDryAt === this.#options.durable().nextSequence ? pollMs.idle : pollMs.busy
    await sleep(interval, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
  }

  backlog(): number | undefined {
    const { confirmed } = this.#cursor.cursor
    const durable = this.#options.durable().nextSequence - 1
    if (confirmed === undefined) return undefined
    return confirmed.stream === this.#options.stream ? durable - confirmed.sequence : undefined
  }

  close(): void {
    this.#reader.close()
    this.#cursor.close()
  }
}
