/** What the database holds and what that costs, asked of the database itself. */

import { queryOnce } from '../../test/support/postgres.ts'

export interface Storage {
  readonly rows: number
  readonly tableBytesPerRow: number
  readonly indexBytesPerRow: number
}

/** Rows of a stream that are events of the application. */
export async function countEvents(url: string, stream: string): Promise<number> {
  const where = `where event_type = 'audit' and stream = $1`
  const [row] = await queryOnce(url, `select count(*) as count from audit.record ${where}`, [stream])
  return Number(row?.count)
}

/** The counts of events that were not recorded, as they are sealed in a stream, by rule. */
export async function readSealedCounts(url: string, stream: string): Promise<Record<string, number>> {
  const rows = await queryOnce(
    url,
    `select rule ->> 'id' as rule, sum((rule ->> 'count')::bigint) as count
     from audit.record, jsonb_array_elements(convert_from(record, 'UTF8')::jsonb -> 'details' -> 'rules') as rule
     where event_type = 'audit.suppressed' and stream = $1 group by 1 order by 2 desc`,
    [stream],
  )
  return Object.fromEntries(rows.map(({ rule, count }) => [String(rule), Number(count)]))
}

/** How many successful reads of each session are recorded. */
export async function readsBySession(url: string, stream: string): Promise<number[]> {
  const rows = await queryOnce(
    url,
    `select count(*) as count from audit.record
     where event_type = 'audit' and operation = 'read' and outcome = 'success' and stream = $1 group by session`,
    [stream],
  )
  return rows.map(({ count }) => Number(count))
}

/** Size on disk of all partitions, their TOAST included, for each row of any type. */
export async function measureStorage(url: string): Promise<Storage> {
  const [row] = await queryOnce(
    url,
    `select (select count(*) from audit.record) as rows,
            sum(pg_table_size(inhrelid)) as table_bytes, sum(pg_indexes_size(inhrelid)) as index_bytes
     from pg_inherits where inhparent = 'audit.record'::regclass`,
  )
  const rows = Number(row?.rows)
  const perRow = (bytes: unknown) => Math.round(Number(bytes) / rows)
  return { rows, tableBytesPerRow: perRow(row?.table_bytes), indexBytesPerRow: perRow(row?.index_bytes) }
}
