/**
 * The statements on the outbox: one insert in the caller's transaction, and claiming in the sequencer's. A row leaves
 * only in the transaction that stores its record. No cursor over its numbers decides what has been seen, because a
 * number that was taken early may be committed late.
 */

import type { Queryable } from './client.ts'

/** Bytes of events that one claim takes at most, and at least one event. */
const claimBytesMax = 16 * 2 ** 20

/** Anything that runs a statement in the caller's transaction: a `pg` client, or what a library has in its place. */
export interface TransactionClient {
  /** `values` are texts, one for each of `$1`, `$2` …, which stand in `text` in this order and once each. */
  query(text: string, values: unknown[]): PromiseLike<unknown>
}

/** An event of the outbox. */
export interface OutboxRow {
  readonly number: number
  readonly recordId: string
  /** RFC 3339 with microseconds. */
  readonly emittedAt: string
  /** Policy and redaction have run. */
  readonly isAdmitted: boolean
  readonly event: Buffer
}

/** Enlists an admitted event in the transaction that the client is in. Rejects as the client does. */
export async function insertEvent(
  client: TransactionClient,
  { id, event }: { id: string; event: string },
): Promise<void> {
  // Text and not bytes, because every driver can send that. A call is not planned (ADR 0017).
  await client.query('call audit.enlist($1::uuid, $2::text)', [id, event])
}

/** Emits an event that nobody has judged or redacted: the sequencer does. In the caller's transaction, or one of its own. */
export async function emitForeign(client: Queryable, event: object): Promise<void> {
  await client.query('select audit.emit($1::jsonb)', [JSON.stringify(event)])
}

/** Whether there is an event above this number. Takes no lock. */
export async function hasEvents(client: Queryable, above: number): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    'select exists (select from audit.outbox where number > $1) as found',
    [above],
  )
  return rows[0]?.found === true
}

/**
 * Takes events above a number out of the outbox, in the order in which they came in. Call it with the journal locked:
 * when the transaction rolls back they are there again.
 */
export async function claimEvents(client: Queryable, limit: { above: number; rows: number }): Promise<OutboxRow[]> {
  const { rows } = await client.query<ClaimedRow>(
    `with ready as (
       select number, octet_length(event) as bytes from audit.outbox
       where number > $1 order by number limit $2 for update skip locked
     ), counted as (
       select number, sum(bytes) over (order by number) - bytes as before from ready
     )
     delete from audit.outbox o where o.number = any (array(select number from counted where before < $3))
     returning o.number, o.record_id, o.admitted, o.event,
       to_char(o.emitted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as emitted_at`,
    [limit.above, limit.rows, claimBytesMax],
  )
  const claimed = rows.map(({ number, record_id, emitted_at, admitted, event }) => {
    return { number: Number(number), recordId: record_id, emittedAt: emitted_at, isAdmitted: admitted, event }
  })
  return claimed.sort((one, other) => one.number - other.number)
}

interface ClaimedRow {
  readonly number: string
  readonly record_id: string
  readonly emitted_at: string
  readonly admitted: boolean
  readonly event: Buffer
}

/** Events that wait to be sealed, counted up to a limit, and the age of the oldest of them in seconds. */
export async function readBacklog(
  client: Queryable,
  countMax = 100_000,
): Promise<{ events: number; oldestSeconds: number }> {
  const { rows } = await client.query<{ events: string; oldest: string }>(
    `select (select count(*) from (select from audit.outbox limit $1) as counted) as events,
       coalesce(extract(epoch from clock_timestamp() - (
         select emitted_at from audit.outbox order by number limit 1)), 0) as oldest`,
    [countMax],
  )
  return { events: Number(rows[0]?.events ?? 0), oldestSeconds: Number(rows[0]?.oldest ?? 0) }
}
