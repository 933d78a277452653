/**
 * The table of records in ClickHouse, and what is asked of it. Truth is `record`, the sealed bytes; every other column is
 * derived and for queries only. Always holds: rows sort by stream, number and hash, so that a repetition merges with
 * itself, and two records under one number both stay; no value that a record may hold keeps it from being inserted.
 */

import { leafHash } from '../chain/hash.ts'
import type { JsonValue } from '../event/canonical.ts'
import { isObject } from '../event/object-members.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'

/** What makes the table. `fsync_after_insert` is what lets an answer mean that the rows are on disk. */
export function createTable(table: string): string {
  return `create table if not exists ${table}
(
    stream String,
    sequence UInt64,
    hash String,
    id String,
    recorded DateTime64(9, 'UTC'),
    timestamp DateTime64(9, 'UTC'),
    event_type LowCardinality(String),
    action LowCardinality(String),
    operation LowCardinality(String),
    outcome LowCardinality(String),
    level LowCardinality(String),
    service LowCardinality(String),
    tenant String,
    actor_type LowCardinality(String),
    actor_id String,
    target_type LowCardinality(String),
    target_id String,
    correlation_id String,
    trace_id String,
    record String codec(ZSTD(3)),
    index by_actor actor_id type bloom_filter granularity 4,
    index by_target target_id type bloom_filter granularity 4,
    index by_correlation correlation_id type bloom_filter granularity 4,
    index by_trace trace_id type bloom_filter granularity 4
)
engine = ReplacingMergeTree
partition by toYYYYMM(recorded)
order by (stream, sequence, hash)
settings fsync_after_insert = 1, fsync_part_directory = 1`
}

/** Where a stream ends; the parameter is `stream`. */
export function selectHead(table: string): string {
  return `select sequence, hash from ${table} where stream = {stream:String} order by sequence desc limit 1`
}

/** The names of the columns of a table, and nothing where there is none; the parameters are `database` and `table`. */
export const selectColumns =
  'select name from system.columns where database = {database:String} and table = {table:String}'

/** Every record with its columns, by stream and number; the bytes in base64, whatever they are. */
export function selectRecords(table: string): string {
  return `select base64Encode(record) as bytes, toString(sequence) as number, * except (record, sequence)
from ${table}
order by stream, sequence, hash`
}

/** Every record that a collector's exporter has put into its own table, with its attributes. */
export function selectCollected(table: string): string {
  return `select base64Encode(Body) as bytes, LogAttributes as attributes
from ${table}
where LogAttributes['audit.record.id'] != '' or ScopeName = 'otel-audit'
order by LogAttributes['audit.sequence.stream_id'], toUInt64OrZero(LogAttributes['audit.sequence.number'])`
}

export type Row = Readonly<Record<string, string | number>>

/** The row of a record. What it does not hold is the column's empty value. */
export function rowOf({ stream, sequence, bytes }: StoredRecord): Row {
  const members = parseRecord(bytes) ?? {}
  const { id, recorded, timestamp, event_type, action, operation, outcome, level, service, tenant } = members
  return {
    stream,
    sequence,
    hash: leafHash(bytes),
    id: id ?? '',
    recorded: timeOf(recorded),
    timestamp: timeOf(timestamp),
    event_type: event_type ?? '',
    action: action ?? '',
    operation: operation ?? '',
    outcome: outcome ?? '',
    level: level ?? '',
    service: service ?? '',
    tenant: tenant ?? '',
    actor_type: textIn(members.actor, 'type'),
    actor_id: textIn(members.actor, 'id'),
    target_type: textIn(members.target, 'resource_type'),
    target_id: textIn(members.target, 'id'),
    correlation_id: members.correlation_id ?? '',
    trace_id: textIn(members.trace, 'id'),
    record: bytes.toString('utf8'),
  }
}

function textIn(value: JsonValue | undefined, member: string): string {
  const found = isObject(value) && Object.hasOwn(value, member) ? value[member] : undefined
  return typeof found === 'string' ? found : ''
}

/** What 64 bits of nanoseconds hold; a time outside, which ClickHouse would take for another, is the epoch. */
const knownYears = /^(?:19[7-9]\d|20\d\d|21\d\d|22[0-5]\d|226[01])-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/

function timeOf(timestamp: string | undefined): string {
  if (timestamp === undefined || !knownYears.test(timestamp) || Number.isNaN(Date.parse(timestamp)))
    return '1970-01-01 00:00:00.000000000'
  return `${timestamp.slice(0, 10)} ${timestamp.slice(11, 29)}`
}
