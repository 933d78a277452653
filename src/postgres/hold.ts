/**
 * Legal holds: records that match every criterion of a hold in force are not removed. A record whose column could not be
 * derived, or that has several targets, counts as matching where its bytes hold the value: a hold keeps rather too much.
 */

import type { Queryable } from './client.ts'

/** What a hold keeps; all that is given must match. Times are RFC 3339, `from` inclusive, `to` exclusive. */
export interface HoldCriteria {
  readonly stream?: string | undefined
  readonly tenant?: string | undefined
  readonly actor?: string | undefined
  readonly targetType?: string | undefined
  readonly target?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

export interface LegalHold extends HoldCriteria {
  readonly id: number
  readonly reason: string
  readonly placedBy: string
  /** RFC 3339. */
  readonly placedAt: string
  readonly releasedBy?: string
  readonly releasedAt?: string
  readonly releaseReason?: string
}

/** That a column has the value, or that it has none and the bytes hold it as a JSON string. */
function matches(column: string, criterion: string): string {
  const bytes = `convert_to(to_json(h.${criterion})::text, 'UTF8')`
  return `(h.${criterion} is null or r.${column} = h.${criterion} or (r.${column} is null and position(${bytes} in r.record) > 0))`
}

/** SQL: whether the hold `h` is in force and keeps the row `r`. */
export const keepsRow = `(h.released_at is null
    and (h.stream is null or r.stream = h.stream)
    and ${matches('tenant', 'tenant')}
    and ${matches('actor_id', 'actor_id')}
    and ${matches('target_type', 'target_type')}
    and ${matches('target_id', 'target_id')}
    and (h.happened_from is null or greatest(r.recorded_at, r.occurred_at) >= h.happened_from)
    and (h.happened_to is null or least(r.recorded_at, r.occurred_at) < h.happened_to)
)`

/** SQL: whether a hold in force keeps the row `r`. */
export const isHeld = `exists (select from audit.legal_hold h where ${keepsRow})`

const columns = `id, stream, tenant, actor_id, target_type, target_id, happened_from, happened_to, reason, placed_by,
  placed_at, released_by, released_at, release_reason`

/** Places a hold. It is in force when this resolves. */
export async function addHold(
  client: Queryable,
  criteria: HoldCriteria,
  { reason, operator }: { readonly reason: string; readonly operator: string },
): Promise<LegalHold> {
  const { stream, tenant, actor, targetType, target, from, to } = criteria
  const { rows } = await client.query<HoldRow>(
    `insert into audit.legal_hold
       (stream, tenant, actor_id, target_type, target_id, happened_from, happened_to, reason, placed_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning ${columns}`,
    [stream, tenant, actor, targetType, target, from, to, reason, operator].map((value) => value ?? null),
  )
  return fromRow(rows[0] as HoldRow)
}

/** Releases a hold; `undefined` where none of this number is in force. */
export async function releaseHold(
  client: Queryable,
  id: number,
  { reason, operator }: { readonly reason: string; readonly operator: string },
): Promise<LegalHold | undefined> {
  const { rows } = await client.query<HoldRow>(
    `update audit.legal_hold set released_at = now(), released_by = $2, release_reason = $3
     where id = $1 and released_at is null returning ${columns}`,
    [id, operator, reason],
  )
  return rows[0] && fromRow(rows[0])
}

/** Holds in force, or all there ever were, oldest first. */
export async function listHolds(client: Queryable, withReleased: boolean): Promise<LegalHold[]> {
  const { rows } = await client.query<HoldRow>(
    `select ${columns} from audit.legal_hold where $1 or released_at is null order by id`,
    [withReleased],
  )
  return rows.map(fromRow)
}

/** Takes back what was placed or released and could not be sealed. */
export async function undoHold(client: Queryable, { id, releasedAt }: LegalHold): Promise<void> {
  await client.query(
    releasedAt === undefined
      ? 'delete from audit.legal_hold where id = $1'
      : 'update audit.legal_hold set released_at = null, released_by = null, release_reason = null where id = $1',
    [id],
  )
}

interface HoldRow {
  readonly id: string
  readonly reason: string
  readonly placed_by: string
  readonly placed_at: Date
  readonly released_by: string | null
  readonly released_at: Date | null
  readonly release_reason: string | null
  readonly stream: string | null
  readonly tenant: string | null
  readonly actor_id: string | null
  readonly target_type: string | null
  readonly target_id: string | null
  readonly happened_from: Date | null
  readonly happened_to: Date | null
}

function fromRow(row: HoldRow): LegalHold {
  return {
    id: Number(row.id),
    reason: row.reason,
    placedBy: row.placed_by,
    placedAt: row.placed_at.toISOString(),
    ...(row.stream !== null && { stream: row.stream }),
    ...(row.tenant !== null && { tenant: row.tenant }),
    ...(row.actor_id !== null && { actor: row.actor_id }),
    ...(row.target_type !== null && { targetType: row.target_type }),
    ...(row.target_id !== null && { target: row.target_id }),
    ...(row.happened_from !== null && { from: row.happened_from.toISOString() }),
    ...(row.happened_to !== null && { to: row.happened_to.toISOString() }),
    ...(row.released_by !== null && { releasedBy: row.released_by }),
    ...(row.released_at !== null && { releasedAt: row.released_at.toISOString() }),
    ...(row.release_reason !== null && { releaseReason: row.release_reason }),
  }
}
