/** The contenders of `postgres`: ways to put rows into a table. Each is given the same records, in batches of 1,000. */

import { Client } from 'pg'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import { createConnection } from '../../src/postgres/client.ts'
import { copyStatement, encodeCopy } from '../../src/postgres/copy-records.ts'
import { deriveColumns, derivedColumns, type ProjectedRecord } from '../../src/postgres/projection.ts'
import { appendRecords, encodeRecords } from '../../src/postgres/records.ts'

/** A way to write a batch; `trips` is how often it waits for the server. */
export interface TableWriter {
  write(records: readonly StoredRecord[]): Promise<void>
  /** How many batches it is given at once, default 1; they arrive in their order. */
  readonly writesMax?: number | undefined
  trips(batchRecords: number): number
  close(): Promise<void>
}

const textual = `insert into audit.record (record, stream, seq, ${derivedColumns.map(({ name }) => name).join(', ')}) values `

export const tableWriters: Readonly<Record<string, (url: string) => Promise<TableWriter>>> = {
  destination: async (url) => {
    const destination = createPostgresDestination({ type: 'postgres', url })
    const never = new AbortController().signal
    return {
      async write(records) {
        const { status } = await destination.send({ records, bytes: 0 }, never)
        if (status !== 'delivered') throw new Error(status)
      },
      writesMax: destination.sendingsMax,
      trips: () => 5, // begin, heads, COPY, its rows, commit
      close: () => destination.close(),
    }
  },
  unnest: (url) =>
    connected(url, 1, async (connection, records) => {
      await appendRecords(connection, encodeRecords(records.map(deriveColumns)))
    }),
  copy: (url) =>
    connected(url, 2, (connection, records) =>
      connection.copyIn(copyStatement, encodeCopy(records.map(deriveColumns))),
    ),
  values: (url) =>
    connected(url, 1, async (connection, records) => {
      const rows = records.map(deriveColumns).map(valuesOf)
      const width = rows[0]?.length ?? 0
      const text = rows.map((_, row) => `(${rows[row]?.map((_, at) => `$${row * width + at + 1}`).join(', ')})`)
      await connection.query(textual + text.join(', '), rows.flat())
    }),
  'home-made': async (url) => {
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query(homeMade)
    return {
      async write(records) {
        // One after the other: as an application writes its audit table, one event at a time.
        for (const { bytes } of records) {
          const event = JSON.parse(bytes.toString())
          const { timestamp, actor, action, target, outcome, details } = event
          await client.query(
            `insert into public.audit_log (happened_at, actor, action, target, outcome, details) values ($1, $2, $3, $4, $5, $6)`,
            [timestamp, actor.id, action, target.id, outcome, details],
          )
        }
      },
      trips: (batchRecords) => batchRecords,
      close: () => client.end(),
    }
  },
}

/** What many a service has. */
const homeMade = `create table if not exists public.audit_log (
  id bigint generated always as identity primary key, happened_at timestamptz not null, actor text, action text,
  target text, outcome text, details jsonb);
  create index if not exists audit_log_actor on public.audit_log (actor, happened_at);
  create index if not exists audit_log_target on public.audit_log (target, happened_at)`

async function connected(
  url: string,
  trips: number,
  write: (connection: ReturnType<typeof createConnection>, records: readonly StoredRecord[]) => Promise<void>,
): Promise<TableWriter> {
  const connection = createConnection({ url })
  await connection.open()
  return { write: (records) => write(connection, records), trips: () => trips, close: () => connection.end() }
}

function valuesOf({ bytes, stream, sequence, columns }: ProjectedRecord): unknown[] {
  const derived = derivedColumns.map(({ name, type }) => {
    const value = columns[name]
    return type === 'bytea' && value !== null ? Buffer.from(value, 'hex') : value
  })
  return [bytes, stream, sequence, ...derived]
}
