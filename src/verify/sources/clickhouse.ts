/**
 * The records of a ClickHouse table, by stream and number: that of our destination, or the one that a collector's exporter
 * makes. What stands beside the bytes is derived from them and compared. A column store promises no order of its own, and
 * a repetition stays until it is merged: neither is a finding. One query that is read as it comes; nothing is written.
 *   clickhouse://user:password@host:8123/database?table=audit_record&secure=false
 */

import type { ClickHouseClient } from '@clickhouse/client'
import { rowOf, selectCollected, selectColumns, selectRecords } from '../../clickhouse/table.ts'
import { AuditError, errorCode, errorText } from '../../errors.ts'
import { projectRecord } from '../../event/log-record.ts'
import { attributeNames } from '../../event/names.ts'
import type { RecordMembers } from '../../event/record.ts'
import type { FoundRecord, ProjectionMismatch, Source } from '../source.ts'

/** Longest silence of the server, in milliseconds: sorting a large table takes its time. */
const silenceMsMax = 600_000
const groupRecords = 500
const hint =
  'write clickhouse://user:password@host:8123/database?table=audit_record (secure=true for TLS), of a user who may read'

interface Place {
  /** Without the password. */
  readonly name: string
  readonly url: string
  readonly database: string
  readonly table: string
}

type Row = Readonly<Record<string, unknown>>

/** Asks the table for its columns. Rejects with SOURCE_UNREADABLE, or MODULE_NOT_FOUND without the client. */
export async function openClickhouseSource(text: string): Promise<Source> {
  const place = readPlace(text)
  const columns = await connected(place, async (client) => {
    const { database, table } = place
    const answer = await client.query({
      query: selectColumns,
      query_params: { database, table },
      format: 'JSONEachRow',
    })
    return new Set((await answer.json<{ name: string }>()).map(({ name }) => name))
  })
  const isOurs = ['record', 'stream', 'sequence', 'hash'].every((name) => columns.has(name))
  if (!isOurs && !(columns.has('Body') && columns.has('LogAttributes'))) {
    const reason = columns.size === 0 ? 'there is no such table' : 'it holds no column for records'
    throw unreadable(place, `${reason}: ${place.database}.${place.table}`)
  }
  const read = isOurs
    ? { query: selectRecords(nameOf(place)), toFound }
    : { query: selectCollected(nameOf(place)), toFound: toCollected }
  return {
    kind: 'clickhouse',
    name: place.name,
    ordered: false,
    beginsLater: false,
    locate: (position) => `row ${position}, by stream and number`,
    read: () => readRows(place, read),
  }
}

interface Reading {
  readonly query: string
  readonly toFound: (row: Row, position: number) => FoundRecord
}

async function* readRows(place: Place, { query, toFound }: Reading): AsyncGenerator<FoundRecord[]> {
  const client = await connect(place)
  let position = 0
  let group: FoundRecord[] = []
  try {
    const answer = await client.query({ query, format: 'JSONEachRow' })
    for await (const rows of answer.stream<Row>()) {
      for (const row of rows) {
        position += 1
        group.push(toFound(row.json(), position))
      }
      if (group.length < groupRecords) continue
      yield group
      group = []
    }
    yield group
  } catch (cause) {
    throw unreadable(place, errorText(cause), cause)
  } finally {
    await client.close()
  }
}

function bytesOf({ bytes }: Row): Buffer {
  return Buffer.from(String(bytes), 'base64')
}

function toFound(row: Row, position: number): FoundRecord {
  const { stream, number } = row
  const place = { stream: String(stream), sequence: Number(number) }
  return { bytes: bytesOf(row), position, place, checkProjection: (members) => compareColumns(row, members) }
}

/** The columns that the table has of ours, against the record. */
function compareColumns(row: Row, { stream = '', seq = 0 }: RecordMembers): ProjectionMismatch | undefined {
  const derived = rowOf({ stream, sequence: seq, bytes: bytesOf(row) })
  const held: Row = { ...row, sequence: row.number }
  for (const [name, value] of Object.entries(derived)) {
    if (name === 'record' || held[name] === undefined) continue
    const [expected, found] = [String(value), String(held[name])]
    if (expected !== found) return { name, expected, found }
  }
  return undefined
}

function toCollected(row: Row, position: number): FoundRecord {
  const attributes = (row.attributes ?? {}) as Readonly<Record<string, string>>
  const stream = attributes[attributeNames.streamId]
  const sequence = Number(attributes[attributeNames.sequence])
  return {
    bytes: bytesOf(row),
    position,
    place: stream !== undefined && Number.isSafeInteger(sequence) ? { stream, sequence } : undefined,
    checkProjection: (members, leaf) => compareAttributes(attributes, projectRecord(members, leaf).attributes),
  }
}

function compareAttributes(
  attributes: Readonly<Record<string, string>>,
  derived: Readonly<Record<string, unknown>>,
): ProjectionMismatch | undefined {
  for (const name of Object.values(attributeNames)) {
    const [expected, found] = [String(derived[name] ?? ''), attributes[name] ?? '']
    if (expected !== found) return { name, expected, found }
  }
  return undefined
}

function readPlace(text: string): Place {
  const url = URL.parse(text)
  if (url === null || url.hostname === '')
    throw new AuditError('SOURCE_UNREADABLE', `${text.replace(/\/\/[^@/]*@/, '//')} is no URL of a ClickHouse server`, {
      setting: 'SOURCE',
      hint,
    })
  const isSecure = url.searchParams.get('secure') === 'true'
  const database = decodeURIComponent(url.pathname.slice(1)) || 'default'
  const table = url.searchParams.get('table') ?? 'audit_record'
  const http = new URL(`${isSecure ? 'https' : 'http'}://${url.host}`)
  if (url.port === '') http.port = isSecure ? '8443' : '8123'
  http.username = url.username
  http.password = url.password
  return { name: `clickhouse://${url.host}/${database}?table=${table}`, url: http.href, database, table }
}

function nameOf({ database, table }: Place): string {
  return [database, table].map((part) => `\`${part.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``).join('.')
}

async function connect({ name, url }: Place): Promise<ClickHouseClient> {
  try {
    const { createClient, ClickHouseLogLevel } = await import('@clickhouse/client')
    return createClient({
      url,
      application: 'otel-audit',
      request_timeout: silenceMsMax,
      log: { level: ClickHouseLogLevel.OFF },
    })
  } catch (cause) {
    if (errorCode(cause) !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new AuditError('MODULE_NOT_FOUND', `${name} needs the package @clickhouse/client, which is not installed`, {
      setting: 'SOURCE',
      hint: 'Install it: npm install @clickhouse/client',
      cause,
    })
  }
}

async function connected<Result>(place: Place, use: (client: ClickHouseClient) => Promise<Result>): Promise<Result> {
  const client = await connect(place)
  try {
    return await use(client)
  } catch (cause) {
    throw unreadable(place, errorText(cause), cause)
  } finally {
    await client.close()
  }
}

function unreadable({ name }: Place, reason: string, cause?: unknown): AuditError {
  return new AuditError('SOURCE_UNREADABLE', `${name}: ${reason}`, { setting: 'SOURCE', hint, cause })
}
