/**
 * The statements on sealed records: append, heads, partitions. A record is never changed and
 * never deleted here, and none is inserted but through `audit.append` or `audit.advance_heads`, which hold the lock on the
 * stream's head, skips only what it holds with the same hash, and refuses forks and gaps.
 */

import { sealedBy } from '../event/record-id.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { bytea, byteaHex, type ElementType, encodeArray, int8, text, timestamptz, uuid } from './binary-array.ts'
import type { Queryable } from './client.ts'
import { type ColumnType, derivedColumns, type ProjectedRecord } from './projection.ts'

/** What became of one stream's records of a batch; what the words mean stands above `audit.append`. */
export interface AppendOutcome {
  readonly stream: string
  readonly status: 'appended' | 'fork' | 'gap' | 'lost'
  readonly inserted: number
  /** Held before, with the same hash. */
  readonly skipped: number
  /** The last sequence held now. */
  readonly headSequence: number
  /** The first record refused, and the two hashes that disagree: held and sent. */
  readonly refusedSequence: number | null
  readonly heldHash: string | null
  readonly sentHash: string | null
}

const elementTypes: Readonly<Record<ColumnType, ElementType<string>>> = { bytea: byteaHex, text, timestamptz, uuid }

/** The parameters of `appendRecords`: one binary array a column. */
export function encodeRecords(records: readonly ProjectedRecord[]): Buffer[] {
  return [
    encodeArray(
      bytea,
      records.map((record) => record.bytes),
    ),
    encodeArray(
      uuid,
      records.map((record) => record.stream),
    ),
    encodeArray(
      int8,
      records.map((record) => record.sequence),
    ),
    ...derivedColumns.map(({ name, type }) =>
      encodeArray(
        elementTypes[type],
        records.map((record) => record.columns[name]),
      ),
    ),
    encodeArray(
      text,
      records.map(({ underived }) => (underived.length === 0 ? null : underived.join())),
    ),
  ]
}

/**
 * What stands between `from` and the call of a function of records, the parameters of which are the first so many: the
 * call is made only where the database holds the stream of the two parameters behind them up to there. The function
 * takes an argument from `held`, so that no plan calls it first.
 */
export function callWhereHeld(name: string, parameters: number): string {
  const [stream, seq] = [`$${parameters + 1}::uuid`, `$${parameters + 2}::bigint`]
  const given = Array.from({ length: parameters - 1 }, (_, index) => `$${index + 1}`).join(', ')
  return `(select true as whole where ${stream} is null
       or exists (select from audit.stream_head h where h.stream = ${stream} and h.seq >= ${seq}) offset 0) as held
     cross join lateral ${name}(${given}, case when held.whole then $${parameters}::text[] end)`
}

/** The two parameters behind those of the function. */
export function heldParameters(after: RecordNumber | undefined): [string | null, number | null] {
  return [after?.stream ?? null, after?.sequence ?? null]
}

const appendCall = callWhereHeld('audit.append', derivedColumns.length + 4)

/**
 * Appends a batch in one round trip and one transaction; streams succeed or are refused one by one. Nothing is done, and
 * nothing returned, where the database lacks the record that the batch comes after.
 */
export async function appendRecords(
  client: Queryable,
  arrays: readonly Buffer[],
  after?: RecordNumber,
): Promise<AppendOutcome[]> {
  const { rows } = await client.query<AppendRow>(
    `select stream, status, inserted, skipped, head_seq, refused_seq,
       encode(held_hash, 'hex') as held_hash, encode(sent_hash, 'hex') as sent_hash
     from ${appendCall}`,
    [...arrays, ...heldParameters(after)],
  )
  return rows.map(toOutcome)
}

/**
 * Moves the head of a stream behind records that it will never get, up to the one of this hash. Resolves to whether it
 * was moved: a head that lies elsewhere is left as it is.
 */
export async function crossGap(
  client: Queryable,
  gap: { readonly stream: string; readonly from: number; readonly to: number; readonly hash: string | undefined },
): Promise<boolean> {
  const { rows } = await client.query(
    `update audit.stream_head set seq = $3, hash = decode($4, 'hex')
     where stream = $1 and seq = $2::bigint - 1 returning seq`,
    [gap.stream, gap.from, gap.to, gap.hash ?? null],
  )
  return rows.length > 0
}

export function toOutcome(row: AppendRow): AppendOutcome {
  return {
    stream: row.stream,
    status: row.status,
    inserted: Number(row.inserted),
    skipped: Number(row.skipped),
    headSequence: Number(row.head_seq),
    refusedSequence: row.refused_seq === null ? null : Number(row.refused_seq),
    heldHash: row.held_hash,
    sentHash: row.sent_hash,
  }
}

/** As the statements give it, hashes in hex. */
export interface AppendRow {
  readonly stream: string
  readonly status: AppendOutcome['status']
  readonly inserted: string
  readonly skipped: string
  readonly head_seq: string
  readonly refused_seq: string | null
  readonly held_hash: string | null
  readonly sent_hash: string | null
}

/** Makes the partitions of times (RFC 3339, at most microseconds; null: now) where they are missing. Blocks no insert. */
export async function ensurePartitions(client: Queryable, times: Iterable<string | null>): Promise<void> {
  await client.query(
    `select audit.ensure_partition(coalesce(at, now())) from unnest($1::timestamptz[]) as at order by at`,
    [[...times]],
  )
}

export function ensurePartition(client: Queryable, at: string | null): Promise<void> {
  return ensurePartitions(client, [at])
}

/** Makes the partitions of now and of the time to come, as the database is told to cut them. */
export async function ensurePartitionsAhead(client: Queryable): Promise<void> {
  await client.query('select audit.make_partitions_ahead()')
}

/** How the partitions to come are cut; `none`: one holds them all. */
export type Partitioning = (typeof partitionings)[number]

export const partitionings = ['monthly', 'weekly', 'daily', 'none'] as const

/** Those that are there stay as they are. Rejects where one holds all that is to come. */
export async function choosePartitioning(client: Queryable, chosen: Partitioning): Promise<void> {
  await client.query('select audit.choose_partitioning($1)', [chosen])
}

/** Where a stream ends in this database. */
export interface StreamHead {
  readonly stream: string
  readonly sequence: number
  readonly hash: string | null
  /** The first record that came here; 1 unless the stream was older than its delivery. */
  readonly firstSequence: number
}

export async function readHeads(client: Queryable): Promise<StreamHead[]> {
  const { rows } = await client.query<{ stream: string; seq: string; hash: string | null; first_seq: string }>(
    `select stream, seq, encode(hash, 'hex') as hash, first_seq from audit.stream_head order by stream`,
  )
  return rows.map(({ stream, seq, hash, first_seq }) => ({
    stream,
    sequence: Number(seq),
    hash,
    firstSequence: Number(first_seq),
  }))
}

/** Where one stream ends in this database; `undefined` where it holds none of it. */
export async function readHead(
  client: Queryable,
  stream: string,
): Promise<{ sequence: number; hash: string | undefined } | undefined> {
  const { rows } = await client.query<{ seq: string; hash: string | null }>(
    `select seq, encode(hash, 'hex') as hash from audit.stream_head where stream = $1`,
    [stream],
  )
  const [head] = rows
  return head === undefined ? undefined : { sequence: Number(head.seq), hash: head.hash ?? undefined }
}

/** Most records are sealed as soon as their ids are made: few rows, whatever a plan makes of them. */
const atOnceMs = 50

/** Where a record with this id stands, by the column; the first, where several have it. */
export async function placeOfId(client: Queryable, id: string): Promise<RecordNumber | undefined> {
  const ranges = [sealedBy(id, atOnceMs), sealedBy(id), { from: '-infinity', to: 'infinity' }]
  for (const range of ranges.filter((one) => one !== undefined)) {
    // One after the other: of all times there is no index on ids, so that all is read.
    const [row] = await placesOfId(client, id, range)
    if (row !== undefined) return { stream: row.stream, sequence: Number(row.seq) }
  }
  return undefined
}

async function placesOfId(client: Queryable, id: string, { from, to }: { readonly from: string; readonly to: string }) {
  const { rows } = await client.query<{ stream: string; seq: string }>(
    `select stream, seq from audit.record
     where record_id::text = $1 and recorded_at >= $2::timestamptz and recorded_at <= $3::timestamptz
     order by recorded_at, stream, seq limit 1`,
    [id, from, to],
  )
  return rows
}
