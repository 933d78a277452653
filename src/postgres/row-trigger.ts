/**
 * The script that records the changes of a table's rows: triggers that call `audit.record_change` with what was chosen for
 * the table. Whatever table and columns are called, nothing of their names is ever SQL but as a quoted identifier or
 * within a quoted text.
 */

import { escapeIdentifier, escapeLiteral } from 'pg'
import type { Queryable } from './client.ts'

export interface TableName {
  readonly schema: string
  readonly table: string
}

export interface RowTrigger extends TableName {
  /** Columns whose values are the id of the target. */
  readonly key: readonly string[]
  /** Columns that are not recorded; an update that changes nothing else is no event. */
  readonly exclude: readonly string[]
  /** Columns of which is recorded that they changed. */
  readonly mask: readonly string[]
  /** What the names of the actions begin with: `row` makes `row.update`. */
  readonly action: string
}

/** What a database knows of a table. */
export interface TableShape {
  readonly columns: readonly string[]
  /** Columns of the primary key, in its order. */
  readonly key: readonly string[]
}

const triggers = { rows: 'otel_audit_rows', truncate: 'otel_audit_truncate' } as const
/** As PostgreSQL is built; a longer name is cut there, and would be another one. */
const identifierBytesMax = 63

/** `invoice`, `sales.invoice`, `sales."Order Lines"`, as SQL reads them; `undefined` for what is no name. Default schema: public. */
export function parseTableName(text: string): TableName | undefined {
  const part = '("(?:[^"\\0]|"")+"|[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*)'
  const [, first, second] = new RegExp(`^${part}(?:\\.${part})?$`).exec(text) ?? []
  if (first === undefined) return undefined
  const names = [first, second].filter((name) => name !== undefined).map(readIdentifier)
  if (names.some((name) => Buffer.byteLength(name) > identifierBytesMax)) return undefined
  const [schema = '', table] = names
  return table === undefined ? { schema: 'public', table: schema } : { schema, table }
}

/** Unquoted, only ASCII letters are folded: what others become depends on the server. */
function readIdentifier(text: string): string {
  if (text.startsWith('"')) return text.slice(1, -1).replaceAll('""', '"')
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

export function formatTableName({ schema, table }: TableName): string {
  return [schema, table].map(formatIdentifier).join('.')
}

function formatIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : escapeIdentifier(name)
}

/** Makes the triggers, or replaces those of an earlier choice; for psql. Waits ten seconds at most for the table's lock. */
export function rowTriggerScript({ schema, table, key, exclude, mask, action }: RowTrigger): string {
  const on = quote({ schema, table })
  const choice = escapeLiteral(
    JSON.stringify({ table: formatTableName({ schema, table }), action, key, exclude, mask }),
  )
  return inTransaction(
    `create or replace trigger ${triggers.rows}
  after insert or update or delete on ${on}
  for each row execute function audit.record_change(${choice});
create or replace trigger ${triggers.truncate}
  after truncate on ${on}
  for each statement execute function audit.record_change(${choice});`,
  )
}

/** Takes them away again. */
export function dropTriggerScript(name: TableName): string {
  const drops = Object.values(triggers).map((trigger) => `drop trigger if exists ${trigger} on ${quote(name)};`)
  return inTransaction(drops.join('\n'))
}

/** `undefined` where there is no such table. */
export async function readTableShape(client: Queryable, name: TableName): Promise<TableShape | undefined> {
  const { rows } = await client.query<{ columns: string[] | null; key: string[] | null }>(
    `select
       (select array_agg(a.attname::text order by a.attnum) from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select array_agg(a.attname::text order by k.position) from pg_catalog.pg_index i,
          unnest(i.indkey::smallint[]) with ordinality as k (number, position), pg_catalog.pg_attribute a
        where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.number) as key
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')`,
    [name.schema, name.table],
  )
  const [row] = rows
  return row && { columns: row.columns ?? [], key: row.key ?? [] }
}

function quote({ schema, table }: TableName): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`
}

function inTransaction(statements: string): string {
  return `begin;
set local lock_timeout = '10s';
set local search_path = pg_catalog;
${statements}
commit;
`
}
