/**
 * What the forwarder does with records that a destination refuses for ever: asks which they are, and has them set
 * aside. Forked so far: they contradict what the destination holds, and sending them again can never help. Where they
 * are kept is `quarantine-folder.ts`.
 */

import type { Delivery } from '../destination/destination.ts'
import type { StoredRecord } from '../event/record.ts'

/** Records of one stream, in order, that a destination can never take. */
export interface ForkedRun {
  readonly records: readonly StoredRecord[]
  /** Leaf hash of what the destination holds in the place of the first, or below it, as far as it said. */
  readonly heldHash?: string | undefined
  readonly reason: string
}

export interface Quarantine {
  /** Whether the record follows, in its stream, one that was set aside. */
  follows(record: StoredRecord): boolean
  /**
   * Puts the records away and has that sealed in the trail. Resolves to `undefined` when both are durable, otherwise
   * to why not yet; to be asked again then.
   */
  setAside(run: ForkedRun, signal: AbortSignal): Promise<string | undefined>
}

/**
 * The first forked run of a refused batch, and how many records go before it. Whatever follows a forked record in its
 * stream is forked too, because it names that one's hash.
 */
export function findForks(
  records: readonly StoredRecord[],
  { reason, forked }: Extract<Delivery, { status: 'rejected' }>,
  quarantine: Quarantine,
): { readonly from: number; readonly run: ForkedRun } | undefined {
  const [first] = records
  const from = first !== undefined && quarantine.follows(first) ? 0 : forked?.index
  const fork = from === undefined ? undefined : records[from]
  if (from === undefined || fork === undefined) return undefined
  const behind = records.slice(from)
  const end = behind.findIndex((record, at) => record.stream !== fork.stream || record.sequence !== fork.sequence + at)
  const heldHash = forked?.index === from ? forked.heldHash : undefined
  return { from, run: { records: end < 0 ? behind : behind.slice(0, end), heldHash, reason } }
}
