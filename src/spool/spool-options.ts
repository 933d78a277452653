/** How a spool is opened, and what follows from its budget. */

import { segmentBytesMax } from '../limits.ts'
import { checkpointFlag, disclosuresFlag } from './format.ts'
import type { AppendOptions } from './writer.ts'

export interface SpoolOptions {
  readonly directory: string
  readonly deployment: string
  /** Names of the destinations that must confirm a segment before it goes. */
  readonly destinations?: readonly string[] | undefined
  /** Most bytes of all segments together; default unlimited. */
  readonly bytesMax?: number | undefined
  /** Events are refused when the disk has less; records of importance may go so far beyond `bytesMax`. Default none. */
  readonly reserveBytes?: number | undefined
  /** Most bytes of records in memory that are not durable; default unlimited. */
  readonly unsyncedBytesMax?: number | undefined
  /** How long a segment is kept at least after it was full, in milliseconds; default 0. */
  readonly keepMs?: number | undefined
  /** How long somebody else may keep the lock; default long enough for one who only looks. */
  readonly lockWaitSeconds?: number | undefined
  /** For tests: where a segment is full, in bytes. */
  readonly segmentBytesMax?: number | undefined
}

export interface AppendMode {
  readonly isCheckpoint?: boolean | undefined
  /** May go beyond the budget, into the reserve. */
  readonly mayUseReserve?: boolean | undefined
  /** Travels beside the record, outside its hash, for the one destination that keeps disclosures. */
  readonly disclosures?: Uint8Array | undefined
}

/** Of the budget, within bounds: small enough that what is delivered can be given back piece by piece. */
const segmentShare = { parts: 8, least: 16 * 1024 }
/** Of the budget, within bounds: enough for the header of a rescue and some records. */
const ballastShare = { parts: 64, least: 16 * 1024, most: 1024 * 1024 }

/** Where a segment is full, in bytes. */
export function segmentBytes({ bytesMax = Number.POSITIVE_INFINITY, segmentBytesMax: given }: SpoolOptions): number {
  return given ?? Math.max(segmentShare.least, Math.min(segmentBytesMax, Math.floor(bytesMax / segmentShare.parts)))
}

/** Size of the ballast; none without a budget. */
export function ballastBytes({ bytesMax }: SpoolOptions): number {
  if (bytesMax === undefined) return 0
  return Math.max(ballastShare.least, Math.min(ballastShare.most, Math.floor(bytesMax / ballastShare.parts)))
}

/** How the writer is to write a record. */
export function writingOf({ isCheckpoint, mayUseReserve, disclosures: attachment }: AppendMode): AppendOptions {
  const flags = isCheckpoint === true ? checkpointFlag : attachment === undefined ? 0 : disclosuresFlag
  return { flags, mayUseReserve, attachment }
}
