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
import { type Cursor, CursorFile, type RecordNumber } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { SpoolReader } from '../spool/reader.ts'
import { type ReadPlace, readSegmentHeader } from '../spool/segment.ts'
import type { RecordSource } from './source.ts'

/** How soon new records are noticed while there is traffic, and when there is none. */
const pollMs = { busy: 10, idle: 50 }
/** How often it is looked where the durable end tells by itself when it has moved. */
const toldMs = 1_000
/** How often the cursor is saved while records flow: a save is an fdatasync, which at full speed is 1 ms in 8. */
const saveIntervalMs = 100

export interface SpoolSourceOptions {
  readonly files: Files
  readonly directory: string
  /** The destination's durable name. */
  readonly name: string
  readonly durable: () => SpoolEnd
  /** Resolves when the next durable sequence is another one, or after so many milliseconds; absent: it is polled. */
  readonly moved?: ((nextSequence: number, ms: number) => Promise<void>) | undefined
  /** Hands out with each record what travels beside it; for the one destination that keeps it. Default false. */
  readonly withDisclosures?: boolean | undefined
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
  #confirmed: Cursor
  /** The first record that was read while none is confirmed. */
  #oldest: RecordNumber | undefined
  /** What is confirmed in the cursor file. */
  #saved: Cursor
  #savedAtMs = Number.NEGATIVE_INFINITY
  /** The reader stands elsewhere. */
  #isRewound = false
  #ranDryAt: number | undefined
  /** The segment in which the durable end was last seen, and its stream. */
  #newest: { readonly segment: number; readonly stream: string | undefined } | undefined

  constructor(options: SpoolSourceOptions) {
    this.#options = options
    this.#cursor = new CursorFile(options.files, options.directory, options.name)
    const { files, directory, durable: limit, withDisclosures = false } = options
    this.#reader = new SpoolReader(files, directory, { limit, withDisclosures })
    this.#confirmed = this.#cursor.cursor
    this.#saved = this.#confirmed
    this.#monotonicMs = options.monotonicMs ?? monotonicMs
    this.#reader.seek(this.#confirmed)
  }

  /** What is confirmed, durable or not. */
  get confirmed(): Cursor {
    return this.#confirmed
  }

  next(limit: { records: number; bytes: number }): readonly StoredRecord[] {
    if (this.#isRewound) this.#reader.seek(this.#confirmed)
    this.#isRewound = false
    const records = this.#reader.next(limit)
    const last = records.at(-1)
    if (last !== undefined) this.#readEnds.push({ last, place: this.#reader.place })
    if (this.#confirmed.confirmed === undefined) this.#oldest ??= numberOf(records[0])
    this.#ranDryAt = records.length > 0 ? undefined : this.#options.durable().nextSequence
    return records
  }

  confirm(last: StoredRecord): void {
    const confirmed = numberOf(last)
    const index = this.#readEnds.findIndex((end) => end.last === last)
    this.#confirmed = { confirmed, hint: this.#readEnds[index]?.place }
    this.#readEnds.splice(0, index + 1)
    this.#settleWhenDue()
  }

  /**
   * Begins again behind this record, or with the oldest that is retained. Saved first: segments are given back by what
   * the cursor says. The place is looked for with the next reading, when nobody can be removing it any more.
   */
  rewind(to: RecordNumber | undefined): void {
    this.#confirmed = to === undefined ? {} : { confirmed: to }
    this.#readEnds = []
    this.#oldest = undefined
    this.#ranDryAt = undefined
    this.#isRewound = true
    this.#save(this.#confirmed)
  }

  get inFlightTo(): RecordNumber | undefined {
    return this.#cursor.cursor.inFlightTo
  }

  begin(batch: readonly StoredRecord[]): void {
    const last = batch.at(-1)
    if (last !== undefined) this.#save({ ...this.#confirmed, inFlightTo: numberOf(last) })
  }

  settle(): void {
    if (this.#confirmed !== this.#saved) this.#save(this.#confirmed)
  }

  #save(cursor: Cursor): void {
    this.#savedAtMs = this.#monotonicMs()
    try {
      this.#cursor.save(cursor)
      this.#saved = this.#confirmed
    } catch (error) {
      // A disk that refuses must not stop delivery: the cursor lags, and the next save is tried when it is due.
      if (errorCode(error) === undefined) throw error
    }
  }

  #settleWhenDue(): void {
    if (this.#monotonicMs() - this.#savedAtMs >= saveIntervalMs) this.settle()
  }

  async waitForMore(signal: AbortSignal): Promise<void> {
    const isDry = this.#ranDryAt === this.#options.durable().nextSequence
    this.#settleWhenDue()
    if (isDry && this.#ranDryAt !== undefined && this.#confirmed === this.#saved && this.#options.moved !== undefined) {
      await unlessAborted(this.#options.moved(this.#ranDryAt, toldMs), signal)
      return
    }
    const interval = isDry ? pollMs.idle : pollMs.busy
    await sleep(interval, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
  }

  backlog(): number | undefined {
    const { confirmed } = this.#confirmed
    const { segment, nextSequence } = this.#options.durable()
    const first = confirmed === undefined ? this.#oldest : { ...confirmed, sequence: confirmed.sequence + 1 }
    if (first === undefined || first.stream !== this.#streamOf(segment)) return undefined
    const backlog = nextSequence - first.sequence
    return backlog < 0 ? undefined : backlog // below 0 while the writer changes streams
  }

  /** Sequences can be compared within a stream only, and another may have begun in the running process. */
  #streamOf(segment: number): string | undefined {
    if (this.#newest?.segment === segment) return this.#newest.stream
    const { files, directory } = this.#options
    const decoded = readSegmentHeader(files, directory, segment)
    this.#newest = { segment, stream: decoded.ok ? decoded.header.stream : undefined }
    return this.#newest.stream
  }

  /** Releases the files. What was confirmed and not settled comes again. */
  close(): void {
    this.#reader.close()
    this.#cursor.close()
  }
}

function numberOf(record: StoredRecord): RecordNumber
function numberOf(record: StoredRecord | undefined): RecordNumber | undefined
function numberOf(record: StoredRecord | undefined): RecordNumber | undefined {
  return record && { stream: record.stream, sequence: record.sequence }
}

/** What is waited for goes on by itself when the signal aborts. */
async function unlessAborted(waited: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const aborted = Promise.withResolvers<void>()
  const abort = () => aborted.resolve()
  signal.addEventListener('abort', abort, { once: true })
  await Promise.race([waited, aborted.promise])
  signal.removeEventListener('abort', abort)
}
