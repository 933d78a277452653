/** A trail in PostgreSQL as its owner writes it: rows of any records, with columns and heads that fit them. */

import { leafHash } from '../../src/chain/hash.ts'
import { parseRecord } from '../../src/event/record.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { type ColumnType, deriveColumns, derivedColumns, type ProjectedRecord } from '../../src/postgres/projection.ts'
import { unguard } from '../support/migrated.ts'

const fromText: Readonly<Record<ColumnType, (value: string) => string>> = {
  bytea: (value) => `decode(${value}, 'hex')`,
  text: (value) => value,
  timestamptz: (value) => `(${value})::timestamptz`,
  uuid: (value) => `(${value})::uuid`,
}

/** Replaces whatever the database holds. */
export async function fillDatabase(client: Queryable, lines: readonly string[]): Promise<void> {
  await client.query(unguard)
  await client.query('delete from audit.record')
  await client.query('delete from audit.partition')
  await client.query('delete from audit.stream_head')
  const rows = rowsOf(lines)
  await client.query(insertStatement, [JSON.stringify(rows.map(toJson))])
  for (const { stream, sequence, hash } of headsOf(rows)) {
    await client.query(`insert into audit.stream_head (stream, seq, hash, first_seq) values ($1, $2, $3, 1)`, [
      stream,
      sequence,
      Buffer.from(hash, 'hex'),
    ])
  }
}

const columns = derivedColumns.map(({ name }) => name).join(', ')
const values = derivedColumns.map(({ name, type }) => fromText[type](`one -> 'columns' ->> '${name}'`)).join(', ')
const insertStatement = `insert into audit.record (record, stream, seq, underived, ${columns})
  select decode(one ->> 'record', 'hex'), (one ->> 'stream')::uuid, (one ->> 'seq')::bigint,
    nullif(string_to_array(one ->> 'underived', ','), '{}'), ${values}
  from jsonb_array_elements($1::jsonb) as one`

/** A table holds one row of each number and time: a second one is filed an hour later. What has no number gets one. */
function rowsOf(lines: readonly string[]): ProjectedRecord[] {
  const taken = new Set<string>()
  return lines.map((line, index) => {
    const bytes = Buffer.from(line)
    const { stream = '019b7c2f-1111-7000-8000-000000000001', seq = 1_000 + index } = parseRecord(bytes) ?? {}
    const row = deriveColumns({ stream, sequence: seq, bytes })
    let recordedAt = row.columns.recorded_at ?? '2026-01-02T00:00:00.000000Z'
    while (taken.has(`${stream} ${seq} ${recordedAt}`)) recordedAt = anHourLater(recordedAt)
    taken.add(`${stream} ${seq} ${recordedAt}`)
    return { ...row, columns: { ...row.columns, recorded_at: recordedAt } }
  })
}

function anHourLater(time: string): string {
  return `${new Date(Date.parse(time) + 3_600_000).toISOString().slice(0, 19)}.000000Z`
}

function toJson({ bytes, stream, sequence, columns: texts, underived }: ProjectedRecord): object {
  return { record: bytes.toString('hex'), stream, seq: sequence, columns: texts, underived: underived.join() }
}

function headsOf(rows: readonly ProjectedRecord[]): Iterable<{ stream: string; sequence: number; hash: string }> {
  const heads = new Map<string, { stream: string; sequence: number; hash: string }>()
  for (const { stream, sequence, bytes } of rows) {
    const isRecord = parseRecord(bytes)?.seq === sequence
    if (isRecord && sequence > (heads.get(stream)?.sequence ?? 0))
      heads.set(stream, { stream, sequence, hash: leafHash(bytes) })
  }
  return heads.values()
}
