/**
 * What a query asks of records, each question once as SQL and once for the columns of a single record: the same question
 * has the same answer in the database and in every other copy. Values never become part of the text of a statement.
 */

import type { ProjectedRecord } from './projection.ts'

type Columns = ProjectedRecord['columns']
type TextColumn = Exclude<
  keyof Columns,
  'hash' | 'prev_hash' | 'recorded_at' | 'occurred_at' | 'trace_id' | 'record_id'
>

/** One question; records match a query when they match all of its conditions. */
export interface Condition {
  /** As a term over `audit.record r`; `parameter` takes a value and gives what stands for it. */
  sql(parameter: (value: string) => string): string
  matches(columns: Columns): boolean
  /** When what matches was sealed: not before, and before; as far as the question says. */
  readonly sealed?: SealedRange | undefined
}

/** Times with microseconds, as `ProjectedRecord` writes them. */
export interface SealedRange {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** A column that holds this text; with `*` at the end, one that begins with what stands before it. */
export function textIs(column: TextColumn, text: string): Condition {
  if (!text.endsWith('*')) {
    return {
      sql: (parameter) => `r.${column} = ${parameter(text)}`,
      matches: (columns) => columns[column] === text,
    }
  }
  const start = text.slice(0, -1)
  return {
    sql: (parameter) => `starts_with(r.${column}, ${parameter(start)})`,
    matches: (columns) => columns[column]?.startsWith(start) === true,
  }
}

/** An actor or a target: `ID`, `TYPE:ID`, or `TYPE:` for any of this type. An id may hold colons itself. */
export function referenceIs(kind: 'actor' | 'target', reference: string): Condition {
  const [typeColumn, idColumn] = [`${kind}_type`, `${kind}_id`] as const
  const colon = reference.indexOf(':')
  if (colon === -1) return textIs(idColumn, reference)
  const [type, id] = [reference.slice(0, colon), reference.slice(colon + 1)]
  if (id === '') return textIs(typeColumn, type)
  return {
    sql: (parameter) =>
      `(r.${idColumn} = ${parameter(reference)} or (r.${typeColumn} = ${parameter(type)} and r.${idColumn} = ${parameter(id)}))`,
    matches: (columns) => columns[idColumn] === reference || (columns[typeColumn] === type && columns[idColumn] === id),
  }
}

/** A trace, by the 32 hex digits of its id. */
export function traceIs(traceId: string): Condition {
  const uuid = traceId.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return {
    sql: (parameter) => `r.trace_id = ${parameter(uuid)}::uuid`,
    matches: (columns) => columns.trace_id === uuid,
  }
}

/** Events alone, without what the trail records about itself. */
export const isEvent: Condition = {
  sql: () => `coalesce(r.event_type, 'audit') = 'audit'`,
  matches: (columns) => (columns.event_type ?? 'audit') === 'audit',
}

/**
 * Happened in [since, until), times as `ProjectedRecord` writes them. The partitions are by the time of sealing: records
 * that were sealed more than the slack after they happened (or before it, by another clock) are not found.
 */
export function happened(range: {
  since?: string | undefined
  until?: string | undefined
  slackMs: number
}): Condition {
  const { since, until, slackMs } = range
  const [from, to] = [since && shift(since, -slackMs), until && shift(until, slackMs)]
  return {
    sealed: { from, to },
    sql: (parameter) => {
      const terms = [
        ...(since && from ? [`${time} >= ${parameter(since)}::timestamptz`, sealedAt('>=', parameter(from))] : []),
        ...(until && to ? [`${time} < ${parameter(until)}::timestamptz`, sealedAt('<', parameter(to))] : []),
      ]
      return terms.join(' and ') || 'true'
    },
    matches: ({ occurred_at, recorded_at }) => {
      const at = occurred_at ?? recorded_at
      if (at === null || recorded_at === null) return since === undefined && until === undefined
      const isLate = (since && at < since) || (from && recorded_at < from)
      const isEarly = (until && at >= until) || (to && recorded_at >= to)
      return !isLate && !isEarly
    },
  }
}

const time = 'coalesce(r.occurred_at, r.recorded_at)'

function sealedAt(operator: string, parameter: string): string {
  return `r.recorded_at ${operator} ${parameter}::timestamptz`
}

/** Of a time with microseconds; beyond the years 0001 to 9999 it stays at their ends. */
function shift(at: string, byMs: number): string {
  const ms = Date.parse(at) + byMs
  const [first, last] = ['0001-01-01T00:00:00.000000Z', '9999-12-31T23:59:59.999999Z'] as const
  if (!(ms > Date.parse(first))) return first
  if (!(ms < Date.parse(last))) return last
  return new Date(ms).toISOString().replace('Z', `${at.slice(23, 26)}Z`)
}
