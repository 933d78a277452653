/**
 * The columns of `audit.record` that are derived from the record's bytes: which they are, and how. Derivation is
 * total: no record, however hostile, makes it throw or yields a value that PostgreSQL refuses. What has no form in
 * its column's type becomes null, and the column is named in `underived`. The destination writes these values and
 * `verify` computes them again, so a change here needs a migration.
 */

import { leafHash } from '../chain/hash.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import { identifierBytesMax } from '../limits.ts'

export type ColumnType = 'bytea' | 'text' | 'timestamptz' | 'uuid'

/** Every derived column but `hash`: name, type, and the path of its member in the record. */
export const derivedMembers = [
  { name: 'prev_hash', type: 'bytea', path: ['prev'] },
  { name: 'event_type', type: 'text', path: ['event_type'] },
  { name: 'record_id', type: 'uuid', path: ['id'] },
  { name: 'recorded_at', type: 'timestamptz', path: ['recorded'] },
  { name: 'occurred_at', type: 'timestamptz', path: ['timestamp'] },
  { name: 'action', type: 'text', path: ['action'] },
  { name: 'operation', type: 'text', path: ['operation'] },
  { name: 'level', type: 'text', path: ['level'] },
  { name: 'outcome', type: 'text', path: ['outcome'] },
  { name: 'actor_type', type: 'text', path: ['actor', 'type'] },
  { name: 'actor_id', type: 'text', path: ['actor', 'id'] },
  { name: 'target_type', type: 'text', path: ['target', 'resource_type'] },
  { name: 'target_id', type: 'text', path: ['target', 'id'] },
  { name: 'tenant', type: 'text', path: ['tenant'] },
  { name: 'session', type: 'text', path: ['session'] },
  { name: 'correlation_id', type: 'text', path: ['correlation_id'] },
  { name: 'trace_id', type: 'uuid', path: ['trace', 'id'] },
  { name: 'span_id', type: 'text', path: ['trace', 'span'] },
  { name: 'service', type: 'text', path: ['service'] },
  { name: 'error_class', type: 'text', path: ['error', 'class'] },
] as const

export type ColumnName = 'hash' | (typeof derivedMembers)[number]['name']

/** The derived columns in the order of the table. */
export const derivedColumns: readonly { readonly name: ColumnName; readonly type: ColumnType }[] = [
  { name: 'hash', type: 'bytea' },
  ...derivedMembers,
]

/**
 * A record with its columns, each in one text form that is the same derived and read back: bytea as lower-case
 * hex, uuid with dashes, timestamptz as RFC 3339 in UTC with microseconds. Null: absent, or named in `underived`.
 */
export interface ProjectedRecord extends StoredRecord {
  readonly columns: Readonly<Record<ColumnName, string | null>>
  readonly underived: readonly string[]
}

/** A column that does not hold what its record says. */
export interface ColumnMismatch {
  readonly column: ColumnName | 'underived'
  readonly expected: string | null
  readonly found: string | null
}

/** Derives every column. A record that cannot be parsed has its hash alone; all else is underived. */
export function deriveColumns(record: StoredRecord): ProjectedRecord {
  return deriveOthers(record, leafHash(record.bytes))
}

/** As `deriveColumns`, of a record whose leaf hash is known. */
export function deriveOthers(record: StoredRecord, hash: string): ProjectedRecord {
  const root: unknown = parseRecord(record.bytes)
  const columns: Partial<Record<ColumnName, string | null>> = { hash }
  const underived: string[] = []
  for (const { name, type, path } of derivedMembers) {
    const value = memberAt(root, path)
    const column = value === undefined || value === null ? null : forms[type](value)
    columns[name] = column ?? null
    if (column === undefined || root === undefined) underived.push(name)
  }
  return { ...record, columns: columns as ProjectedRecord['columns'], underived }
}

/** Compares the columns of a stored row with those that its bytes give. Empty: they agree. */
export function compareColumns(stored: ProjectedRecord): readonly ColumnMismatch[] {
  const derived = deriveColumns(stored)
  const mismatches: ColumnMismatch[] = []
  for (const { name } of derivedColumns) {
    // Without a time of its own a record is filed under its time of arrival.
    if (name === 'recorded_at' && derived.underived.includes(name)) continue
    const [expected, found] = [derived.columns[name], stored.columns[name]]
    if (expected !== found) mismatches.push({ column: name, expected, found })
  }
  const [expected, found] = [derived.underived.join(), stored.underived.join()]
  if (expected !== found) mismatches.push({ column: 'underived', expected, found })
  return mismatches
}

function memberAt(root: unknown, path: readonly string[]): unknown {
  let value = root
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  return value
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const hash = /^[0-9a-f]{64}$/
const traceId = /^[0-9a-f]{32}$/
const timestamp = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/
/** NUL, which PostgreSQL refuses in text, and the halves of surrogate pairs, which Node would change. */
const needsLook = /[\0\ud800-\udfff]/
const utf8BytesMax = 3

/** The column's form of a member; `undefined` when it has none. */
const forms: Readonly<Record<ColumnType, (value: unknown) => string | undefined>> = {
  bytea: (value) => (typeof value === 'string' && hash.test(value) ? value : undefined),
  text: (value) => (typeof value === 'string' && isStorable(value) ? value : undefined),
  timestamptz: (value) => (typeof value === 'string' ? deriveTime(value) : undefined),
  uuid: (value) => {
    if (typeof value !== 'string') return undefined
    if (uuidForm.test(value)) return value
    return traceId.test(value) ? withDashes(value) : undefined
  },
}

/** What is very long an index refuses. */
function isStorable(value: string): boolean {
  if (needsLook.test(value) && (value.includes('\0') || !value.isWellFormed())) return false
  return value.length * utf8BytesMax <= identifierBytesMax || Buffer.byteLength(value) <= identifierBytesMax
}

function withDashes(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A record's time as its column has it; `undefined` for what is none. */
export function deriveTime(value: string): string | undefined {
  return timestamp.test(value) && isSecond(value.slice(0, secondLength)) ? `${value.slice(0, 26)}Z` : undefined
}

const secondLength = '2026-11-22T09:29:59'.length
/** Records of one second follow each other, and happened in others. */
const lastSeconds = new Set<string>()
const secondsMax = 64

/** Whether the calendar has it: February 30 and the like are moved by some engines instead of refused. */
function isSecond(text: string): boolean {
  if (lastSeconds.has(text)) return true
  const second = new Date(`${text}Z`)
  if (Number.isNaN(second.getTime()) || second.toISOString().slice(0, secondLength) !== text) return false
  if (lastSeconds.size >= secondsMax) lastSeconds.clear()
  lastSeconds.add(text)
  return true
}

/** Whether a stream's name can be stored: lower-case UUID. */
export function isStreamId(stream: string): boolean {
  return uuidForm.test(stream)
}
