/**
 * Puts records that retention has removed back into `audit.record`, for a time. Always holds: only what a sealed statement
 * says was removed is put back, nothing is written over, and retention takes it out again when its time is over. Heads do
 * not move. Whether these are the records that were removed is for the caller to show (`audit/restore.ts`).
 */

import type { CopyingConnection, Queryable } from './client.ts'
import { copyStatement, encodeCopy } from './copy-records.ts'
import type { ProjectedRecord } from './projection.ts'
import { ensurePartitions } from './records.ts'

/** A range that left the table. */
export interface RemovedRange {
  readonly from: number
  readonly to: number
  /** Leaf hash of the record `to`. */
  readonly hash: string
  /** When that was sealed, RFC 3339. */
  readonly recordedTo: string
}

/** What was removed of a stream, by number. */
export async function readRemoved(client: Queryable, stream: string): Promise<RemovedRange[]> {
  const { rows } = await client.query<{ from_seq: string; to_seq: string; hash: string; recorded_to: Date }>(
    `select from_seq, to_seq, encode(hash, 'hex') as hash, recorded_to from audit.partition
     where stream = $1 and sealed_at is not null order by from_seq`,
    [stream],
  )
  return rows.map(({ from_seq, to_seq, hash, recorded_to }) => {
    return { from: Number(from_seq), to: Number(to_seq), hash, recordedTo: recorded_to.toISOString() }
  })
}

/** From now on retention leaves what is there of these ranges, until this time. */
export async function keepRestored(
  client: Queryable,
  { stream, from, to }: { readonly stream: string; readonly from: number; readonly to: number },
  until: string,
): Promise<void> {
  await client.query(
    `update audit.partition set restored_until = greatest(restored_until, $4)
     where stream = $1 and from_seq <= $3 and to_seq >= $2 and sealed_at is not null`,
    [stream, from, to, until],
  )
}

/** What was restored and is past its time is to be removed again. */
export async function endRestored(client: Queryable): Promise<void> {
  await client.query('update audit.partition set removed_at = null, restored_until = null where restored_until < now()')
}

/**
 * Puts back records of one stream that lie in one removed range; how many were not there. One transaction. Rejects when
 * another record stands in the place of one: nothing of them is put back then.
 */
export async function putBackRecords(
  client: CopyingConnection,
  records: readonly ProjectedRecord[],
  { recordedTo }: RemovedRange,
): Promise<number> {
  const dated = records.map((record) => {
    const { recorded_at } = record.columns
    return recorded_at === null ? { ...record, columns: { ...record.columns, recorded_at: recordedTo } } : record
  })
  const days = new Set(dated.map(({ columns }) => `${columns.recorded_at?.slice(0, 10)}T00:00:00Z`))
  await ensurePartitions(client, days)
  await client.query("begin; set local synchronous_commit = on; set local idle_in_transaction_session_timeout = '30s'")
  try {
    const held = await readHeld(client, dated)
    const fresh = dated.filter(({ sequence, columns }) => {
      const found = held.get(sequence)
      if (found !== undefined && found !== columns.hash)
        throw new Error(`record ${sequence} is there with another hash`)
      return found === undefined
    })
    if (fresh.length > 0) await client.copyIn(copyStatement, encodeCopy(fresh))
    await client.query('commit')
    return fresh.length
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // the thrown error is the one to hear of
    throw thrown
  }
}

async function readHeld(client: Queryable, records: readonly ProjectedRecord[]): Promise<Map<number, string>> {
  const { rows } = await client.query<{ seq: string; hash: string }>(
    `select seq, encode(hash, 'hex') as hash from audit.record where stream = $1 and seq between $2 and $3`,
    [records[0]?.stream, records[0]?.sequence, records.at(-1)?.sequence],
  )
  return new Map(rows.map(({ seq, hash }) => [Number(seq), hash]))
}
