/**
 * The statements of a query: records in the order of their sealing, page by page, each page found by key where the last
 * one ended, so that the last page costs what the first one does. What a query filters by are the derived columns; that
 * they agree with the records is for `verify` to say.
 */

import { AuditError } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import type { Queryable } from './client.ts'
import type { Condition } from './filter.ts'
import { quote } from './partitions.ts'

export interface QueryOptions {
  readonly conditions: readonly Condition[]
  /** The newest first. */
  readonly isNewestFirst?: boolean | undefined
  /** Most records; default all. */
  readonly limit?: number | undefined
  /** Only what comes behind this record. */
  readonly after?: { readonly stream: string; readonly sequence: number } | undefined
  readonly pageRecords?: number | undefined
}

/** Where a record stands in the order; the time as PostgreSQL writes it in this session. */
interface PageKey {
  readonly recorded_at: string
  readonly stream: string
  readonly seq: string
}

/** Pages of at least one record. Holds no snapshot between them: what is sealed meanwhile may come or not. */
export async function* queryRecords(client: Queryable, options: QueryOptions): AsyncGenerator<StoredRecord[]> {
  const { after, pageRecords = 1_000 } = options
  let left = options.limit ?? Number.POSITIVE_INFINITY
  let key = after === undefined ? undefined : await readKey(client, after)
  if (after !== undefined && key === undefined) throw unknownPlace(after)
  while (left > 0) {
    const limit = Math.min(left, pageRecords)
    // One page after the other: each begins where the last one ended.
    const rows = await readPage(client, { ...options, key, limit })
    if (rows.length > 0) yield rows.map(({ record, stream, seq }) => ({ stream, sequence: Number(seq), bytes: record }))
    if (rows.length < limit) return
    left -= rows.length
    key = rows.at(-1)
  }
}

/** The statement of one page and its values, for those who want to see its plan. */
export function pageStatement(page: QueryOptions & { key?: PageKey | undefined; limit: number }): {
  readonly text: string
  readonly values: string[]
} {
  const values: string[] = []
  const parameter = (value: string) => `$${values.push(value)}`
  const { key, conditions, isNewestFirst = false } = page
  const [beyond, direction] = isNewestFirst ? ['<', 'desc'] : ['>', 'asc']
  const terms = conditions.map((condition) => condition.sql(parameter))
  if (key !== undefined) {
    // The first term says nothing new, but partitions are pruned by it.
    terms.push(`r.recorded_at ${beyond}= ${parameter(key.recorded_at)}::timestamptz`)
    const place = `${parameter(key.recorded_at)}::timestamptz, ${parameter(key.stream)}::uuid, ${parameter(key.seq)}::bigint`
    terms.push(`(r.recorded_at, r.stream, r.seq) ${beyond} (${place})`)
  }
  const text = `select r.record, r.stream, r.seq, r.recorded_at::text as recorded_at from audit.record r
    ${terms.length === 0 ? '' : `where ${terms.join(' and ')}`}
    order by r.recorded_at ${direction}, r.stream ${direction}, r.seq ${direction} limit ${parameter(String(page.limit))}::bigint`
  return { text, values }
}

async function readPage(client: Queryable, page: Parameters<typeof pageStatement>[0]) {
  const { text, values } = pageStatement(page)
  return (await client.query<PageKey & { record: Buffer }>(text, values)).rows
}

async function readKey(
  client: Queryable,
  { stream, sequence }: NonNullable<QueryOptions['after']>,
): Promise<PageKey | undefined> {
  const { rows } = await client.query<PageKey>(
    'select recorded_at::text as recorded_at, stream, seq from audit.record where stream = $1 and seq = $2 limit 1',
    [stream, sequence],
  )
  return rows[0]
}

/** For whoever goes on behind a record that is not there. */
export function unknownPlace({ stream, sequence }: NonNullable<QueryOptions['after']>): AuditError {
  return new AuditError('INVALID_OPTION', `there is no record ${stream}/${sequence} here to go on behind`, {
    setting: '--after',
    hint: 'it may have been pruned since: ask with --since instead',
  })
}

/** Whether the query was recorded: `absent` where nothing seals what is enlisted, or where the schema is older. */
export type NotedQuery = 'noted' | 'absent'

/** Enlists that the trail was queried, in the journal of the same database. */
export async function noteQuery(client: Queryable, details: Readonly<Record<string, unknown>>): Promise<NotedQuery> {
  const { rows } = await client.query<{ id: string | null }>('select audit.note_query($1::jsonb) as id', [
    JSON.stringify(details),
  ])
  return typeof rows[0]?.id === 'string' ? 'noted' : 'absent'
}

const missingIndexes = `select p.name as partition, searched.name as searched, c.oid is not null as is_broken
  from audit.list_partitions() p
  cross join unnest(array['actor_id', 'target_id', 'action', 'tenant']) with ordinality as searched (name, place)
  left join pg_class c
    on c.relnamespace = 'audit'::regnamespace and c.relname = p.name || '_' || searched.name || '_at'
  left join pg_index x on x.indexrelid = c.oid
  where p.high < now() - interval '1 day' and not p.is_leaving and x.indisvalid is not true
  order by p.name, searched.place`

/**
 * Builds what is missing of the indexes of one partition that no new record comes into any more, and returns its name;
 * `undefined` when nothing is missing. Blocks nobody; waits for whoever has an old snapshot. What broke off is built anew.
 */
export async function indexClosedPartition(client: Queryable): Promise<string | undefined> {
  const { rows } = await client.query<{ partition: string; searched: string; is_broken: boolean }>(missingIndexes)
  const partition = rows[0]?.partition
  if (partition === undefined) return undefined
  for (const { searched, is_broken } of rows.filter((row) => row.partition === partition)) {
    const index = quote(`${partition}_${searched}_at`)
    if (is_broken) await client.query(`drop index concurrently audit.${index}`)
    await client.query(
      `create index concurrently ${index} on audit.${quote(partition)} (${searched}, recorded_at) where ${searched} is not null`,
    )
  }
  return partition
}
