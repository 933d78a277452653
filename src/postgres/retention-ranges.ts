/**
 * The rows of `audit.partition`: noted before anything goes, sealed, kept for ever. What is sealed of a stream is said for
 * all ranges that lie side by side at once, so that the newest statement is enough.
 */

import type { Queryable } from './client.ts'
import { withConnection } from './client.ts'
import type { PruneRange } from './retention-plan.ts'

/** What `audit.pruned` says. */
export interface Statement {
  readonly stream: string
  readonly from: number
  readonly to: number
  /** Leaf hash of the record `to`. */
  readonly hash: string
  /** Root of the tree of the first `to` records, base64; absent where it is not known. */
  readonly root?: string
  readonly archive?: string
}

/** A range that left the table, as verification reads it. */
export interface PrunedRange {
  readonly stream: string
  readonly from: number
  readonly to: number
  readonly hash: string
  /** The roots of the perfect subtrees of the first `to` records. */
  readonly tree: readonly Buffer[] | undefined
}

/** Notes a range; nothing of it may go before it is sealed. */
export async function closeRange(client: Queryable, range: PruneRange, archive: string | undefined): Promise<void> {
  const { stream, from, to, recordedFrom, recordedTo, hash, tree } = range
  await client.query(
    `insert into audit.partition (stream, from_seq, to_seq, recorded_from, recorded_to, hash, root, tree, archive)
     values ($1, $2, $3, $4, $5, decode($6, 'hex'), $7, $8, $9)`,
    [stream, from, to, recordedFrom, recordedTo, hash, tree?.root() ?? null, tree?.hashes() ?? null, archive ?? null],
  )
}

/** What was noted and not sealed is forgotten. */
export async function discardUnsealed(client: Queryable): Promise<void> {
  await client.query('delete from audit.partition where sealed_at is null')
}

/** What is to be said of the ranges side by side that end with `to`. */
export async function readStatement(client: Queryable, stream: string, to: number): Promise<Statement | undefined> {
  const { rows } = await client.query<{ from_seq: string; hash: string; root: Buffer | null; archive: string | null }>(
    `with recursive chain as (
       select p.* from audit.partition p where p.stream = $1 and p.to_seq = $2
       union all
       select p.* from audit.partition p join chain c on p.stream = c.stream and p.to_seq = c.from_seq - 1
     )
     select min(from_seq) as from_seq,
       (select encode(hash, 'hex') from chain where to_seq = $2) as hash,
       (select root from chain where to_seq = $2) as root,
       (select archive from chain where to_seq = $2) as archive
     from chain having count(*) > 0`,
    [stream, to],
  )
  const [row] = rows
  if (row === undefined) return undefined
  const { from_seq, hash, root, archive } = row
  return {
    stream,
    from: Number(from_seq),
    to,
    hash,
    ...(root !== null && { root: root.toString('base64') }),
    ...(archive !== null && { archive }),
  }
}

export async function markSealed(client: Queryable, { stream, from, to }: Statement): Promise<void> {
  await client.query(
    'update audit.partition set sealed_at = now() where stream = $1 and from_seq >= $2 and to_seq <= $3',
    [stream, from, to],
  )
}

/** Streams whose statement was sealed before this and would itself go soon. */
export async function staleStreams(client: Queryable, sealedBefore: string): Promise<string[]> {
  const { rows } = await client.query<{ stream: string }>(
    `select stream from audit.partition where sealed_at is not null
     group by stream having min(sealed_at) < $1 order by stream`,
    [sealedBefore],
  )
  return rows.map(({ stream }) => stream)
}

/** Every sealed range, by stream and number. None where the schema is older than retention. */
export async function readPrunedRanges(client: Queryable): Promise<PrunedRange[]> {
  const exists = await client.query<{ found: boolean }>("select to_regclass('audit.partition') is not null as found")
  if (exists.rows[0]?.found !== true) return []
  const { rows } = await client.query<{
    stream: string
    from_seq: string
    to_seq: string
    hash: string
    tree: Buffer[] | null
  }>(
    `select stream, from_seq, to_seq, encode(hash, 'hex') as hash, tree from audit.partition
     where sealed_at is not null order by stream, from_seq`,
  )
  return rows.map(({ stream, from_seq, to_seq, hash, tree }) => {
    return { stream, from: Number(from_seq), to: Number(to_seq), hash, tree: tree ?? undefined }
  })
}

/** What stands in `audit.partition` and around it. */
export interface RetentionStatus {
  readonly ranges: number
  readonly records: number
  /** Ranges that are sealed and not removed yet. */
  readonly pending: number
  /** Ranges of which records were restored, and are here until their time is over. */
  readonly restored: number
  readonly holds: number
  readonly retiring: readonly string[]
  /** RFC 3339; of the oldest record that is here. */
  readonly oldest: string | null
}

export async function readRetentionStatus(client: Queryable): Promise<RetentionStatus> {
  const { rows } = await client.query<{
    ranges: string
    records: string
    pending: string
    restored: string
    holds: string
    retiring: string[]
    oldest: Date | null
  }>(
    `select count(*) filter (where sealed_at is not null) as ranges,
       coalesce(sum(to_seq - from_seq + 1) filter (where removed_at is not null), 0) as records,
       count(*) filter (where removed_at is null and sealed_at is not null and restored_until is null) as pending,
       count(restored_until) as restored,
       (select count(*) from audit.legal_hold where released_at is null) as holds,
       array(select partition from audit.retiring order by partition) as retiring,
       (select min(recorded_at) from audit.record) as oldest
     from audit.partition`,
  )
  const [row] = rows
  return {
    ranges: Number(row?.ranges ?? 0),
    records: Number(row?.records ?? 0),
    pending: Number(row?.pending ?? 0),
    restored: Number(row?.restored ?? 0),
    holds: Number(row?.holds ?? 0),
    retiring: row?.retiring ?? [],
    oldest: row?.oldest?.toISOString() ?? null,
  }
}

/**
 * Runs `act` while no other process of this database does; `undefined` when one does. The lock is a transaction's, on a
 * connection of its own: it goes with the process, and a pooler in transaction mode keeps it.
 */
export async function withRetentionLock<Result>(url: string, act: () => Promise<Result>): Promise<Result | undefined> {
  return withConnection({ url }, async (client) => {
    await client.query('begin; set local idle_in_transaction_session_timeout = 0')
    const { rows } = await client.query<{ locked: boolean }>(
      "select pg_try_advisory_xact_lock(hashtextextended('audit.retention', 0)) as locked",
    )
    const result = rows[0]?.locked === true ? await act() : undefined
    await client.query('commit')
    return result
  })
}
