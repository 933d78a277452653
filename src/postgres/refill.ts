/**
 * Putting records back that a database held and lost: rows below the head of their stream. Always holds: nothing is
 * overwritten, nothing goes in that contradicts its neighbours, and what a sealed statement removed stays removed. The
 * personal values beside the records do not come back: they may have been erased since.
 */

import type { CopyingConnection } from './client.ts'
import { copyStatement, encodeCopy } from './copy-records.ts'
import type { ProjectedRecord } from './projection.ts'

/**
 * `filled`: all of them are held now, or were removed for good. `fork`: another record is held, or a neighbour does not
 * fit; `expected` is what the database says. `short`: the stream does not reach so far there.
 */
export type RefillOutcome =
  | { readonly status: 'filled'; readonly inserted: number }
  | { readonly status: 'fork'; readonly sequence: number; readonly expected: string; readonly found: string }
  | { readonly status: 'short'; readonly head: number }

/** A row beside or in the range. */
interface HeldRow {
  readonly seq: string
  readonly hash: string
  readonly prev_hash: string | null
}

/** Records of one stream that follow one another. When it rejects, the transaction is over or ends with the connection. */
export async function refillRecords(
  client: CopyingConnection,
  records: readonly ProjectedRecord[],
): Promise<RefillOutcome> {
  await client.query("begin; set local idle_in_transaction_session_timeout = '30s'; set local lock_timeout = '10s'")
  try {
    // As everywhere: the commit waits for the disk, whatever the default is.
    await client.query(`select set_config('synchronous_commit', 'on', true)
       where current_setting('synchronous_commit') not in ('on', 'remote_apply')`)
    const outcome = await refill(client, records)
    await client.query('commit')
    return outcome
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // the thrown error is the one to hear of
    throw thrown
  }
}

async function refill(client: CopyingConnection, records: readonly ProjectedRecord[]): Promise<RefillOutcome> {
  const [first, last] = [records[0], records.at(-1)]
  if (first === undefined || last === undefined) return { status: 'filled', inserted: 0 }
  const { rows: heads } = await client.query<{ seq: string }>(
    'select seq from audit.stream_head where stream = $1 for update',
    [first.stream],
  )
  const head = Number(heads[0]?.seq ?? 0)
  if (head < last.sequence) return { status: 'short', head }
  const range = [first.stream, first.sequence, last.sequence]
  const { rows } = await client.query<HeldRow>(
    `select seq, encode(hash, 'hex') as hash, encode(prev_hash, 'hex') as prev_hash from audit.record
     where stream = $1 and seq between $2::bigint - 1 and $3::bigint + 1`,
    range,
  )
  const held = new Map(rows.map((row) => [Number(row.seq), row]))
  const fork = findFork(records, held)
  if (fork !== undefined) return fork
  const { rows: removed } = await client.query<{ seq: string }>(
    `select seq from generate_series($2::bigint, $3::bigint) as seq where audit.is_pruned($1, seq)`,
    range,
  )
  const gone = new Set(removed.map(({ seq }) => Number(seq)))
  const lost = records.filter(({ sequence }) => !held.has(sequence) && !gone.has(sequence))
  if (lost.length > 0) await client.copyIn(copyStatement, encodeCopy(lost))
  return { status: 'filled', inserted: lost.length }
}

/** The first record that the database, or a neighbour that it holds, contradicts. */
function findFork(records: readonly ProjectedRecord[], held: ReadonlyMap<number, HeldRow>): RefillOutcome | undefined {
  for (const { sequence, columns, underived } of records) {
    const own = held.get(sequence)?.hash
    const before = held.get(sequence - 1)?.hash
    const behind = held.get(sequence + 1)?.prev_hash
    const { hash, prev_hash } = columns
    if (own !== undefined && own !== hash) return { status: 'fork', sequence, expected: own, found: hash ?? '' }
    if (before !== undefined && before !== prev_hash && !underived.includes('prev_hash'))
      return { status: 'fork', sequence, expected: before, found: prev_hash ?? '' }
    if (behind && behind !== hash) return { status: 'fork', sequence, expected: behind, found: hash ?? '' }
  }
  return undefined
}
