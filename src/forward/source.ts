/** What the forwarder asks of the place records come from. */

import type { StoredRecord } from '../event/record.ts'
import type { RecordNumber } from '../spool/cursor.ts'

/** A spool read with one destination's cursor, or an array in tests. */
export interface RecordSource {
  /**
   * The records after those it returned last, in order; `[]` when there are none. At least one when there is one,
   * at most `records`, and no further one once `bytes` is reached. Never what is not durable.
   */
  next(limit: { records: number; bytes: number }): Promise<readonly StoredRecord[]> | readonly StoredRecord[]
  /** The last record of a batch that was on its way when the last run ended, unless it was confirmed. */
  readonly inFlightTo?: RecordNumber | undefined
  /** Notes durably that this batch is on its way. */
  begin?(batch: readonly StoredRecord[]): void
  /** Notes that everything up to and including this record is confirmed; durable soon, and after `settle` at the latest. */
  confirm(last: StoredRecord): void
  /** Makes durable what was confirmed. */
  settle(): void
  /** Resolves when there may be more (at once when there is), after a bounded time, or on abort; does not reject then. */
  waitForMore(signal: AbortSignal): Promise<void>
  /** Durable records that are not confirmed, where that is known. */
  backlog(): number | undefined
}
