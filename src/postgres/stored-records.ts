/**
 * Sealed records as a database holds them, in order, with their columns as texts. Nothing is changed, no snapshot is held
 * between pages, and no plan reads more than a page. Verification of all of them is faster by COPY (`row-pages.ts`).
 */

import type { Queryable } from './client.ts'
import { type ColumnName, type ColumnType, derivedColumns, type ProjectedRecord } from './projection.ts'

/**
 * Every record, or those of one stream, ordered by stream and sequence, in pages: memory does not grow with the
 * table, and no snapshot is held between pages. Rows that only a forger could have put there come too.
 */
export async function* readRecords(
  client: Queryable,
  options: {
    readonly stream?: string | undefined
    /** Begins behind this sequence, and ends with that one; of one stream only. */
    readonly behind?: number | bigint | undefined
    readonly to?: bigint | undefined
    readonly pageRecords?: number | undefined
  } = {},
): AsyncGenerator<ProjectedRecord> {
  const { stream, behind = numberMin, to = numberMax, pageRecords = 1_000 } = options
  const range = { behind: BigInt(behind), to, pageRecords }
  if (stream !== undefined) yield* readStream(client, stream, range)
  // One stream after the other, in their order.
  else for await (const one of streamsIn(client)) yield* readStream(client, one, range)
}

const numberMin = -(2n ** 63n)
const numberMax = 2n ** 63n - 1n

/** The last row of a page: its number, and as what stands before the next one its time. */
interface PageEnd {
  readonly sequence: bigint
  readonly time: string
}

/**
 * Each page ends with a number: statistics know little of the newest records, and without that a plan may read and sort
 * all that is left of the stream, for every page anew.
 */
async function* readStream(
  client: Queryable,
  stream: string,
  { behind, to, pageRecords }: { readonly behind: bigint; readonly to: bigint; readonly pageRecords: number },
): AsyncGenerator<ProjectedRecord> {
  let after: PageEnd | undefined = behind === numberMin ? await endAbove(client, stream, behind) : endOf(behind)
  while (after !== undefined && after.sequence < to) {
    // One page after the other: each begins where the last one ended.
    const end = min(after.sequence + BigInt(pageRecords), to)
    const rows = await readPage(client, { stream, after, end, pageRecords })
    for (const row of rows) yield fromRow(row)
    const last = rows.at(-1)
    if (last === undefined) after = await endAbove(client, stream, end)
    else after = rows.length < pageRecords ? endOf(end) : { sequence: BigInt(last.seq), time: last.page_key }
  }
}

async function readPage(
  client: Queryable,
  page: { readonly stream: string; readonly after: PageEnd; readonly end: bigint; readonly pageRecords: number },
): Promise<RecordRow[]> {
  const { stream, after, end, pageRecords } = page
  const { rows } = await client.query<RecordRow>(
    `select ${selection}, r.recorded_at::text as page_key from audit.record r
     where r.stream = $1 and r.seq <= $2::bigint and (r.seq, r.recorded_at) > ($3::bigint, $4::timestamptz)
     order by r.seq, r.recorded_at limit $5`,
    [stream, end, after.sequence, after.time, pageRecords],
  )
  return rows
}

function endOf(sequence: bigint): PageEnd {
  return { sequence, time: 'infinity' }
}

/** Right below the first number above this one. */
async function endAbove(client: Queryable, stream: string, sequence: bigint): Promise<PageEnd | undefined> {
  const next = await numberAbove(client, stream, sequence)
  return next === undefined ? undefined : endOf(next - 1n)
}

function min(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}

/** Every stream that has records here, in their order. */
export async function* streamsIn(client: Queryable): AsyncGenerator<string> {
  let stream: string | undefined
  for (;;) {
    // Each depends on the one before: no plan looks at every row to tell streams apart.
    const rows: readonly { stream: string }[] = await streamAbove(client, stream)
    stream = rows[0]?.stream
    if (stream === undefined) return
    yield stream
  }
}

async function streamAbove(client: Queryable, stream: string | undefined): Promise<{ stream: string }[]> {
  const { rows } = await client.query<{ stream: string }>(
    'select r.stream from audit.record r where $1::uuid is null or r.stream > $1 order by r.stream limit 1',
    [stream ?? null],
  )
  return rows
}

/** The first number of a stream above another one. */
export async function numberAbove(client: Queryable, stream: string, number: bigint): Promise<bigint | undefined> {
  const { rows } = await client.query<{ seq: string }>(
    'select r.seq from audit.record r where r.stream = $1 and r.seq > $2 order by r.seq limit 1',
    [stream, number],
  )
  return rows[0] && BigInt(rows[0].seq)
}

type RecordRow = Readonly<Record<ColumnName, string | null>> & {
  readonly record: Buffer
  readonly stream: string
  readonly seq: string
  readonly underived: readonly string[] | null
  readonly page_key: string
}

/** A column in the text form of `ProjectedRecord`; qualified, so that the index can serve the order. */
const textForms: Readonly<Record<ColumnType, (column: string) => string>> = {
  bytea: (column) => `encode(r.${column}, 'hex') as ${column}`,
  text: (column) => `r.${column}`,
  timestamptz: (column) => `to_char(r.${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`,
  uuid: (column) => `r.${column}`,
}

const selection = [
  'r.record, r.stream, r.seq, r.underived',
  ...derivedColumns.map(({ name, type }) => textForms[type](name)),
].join(', ')

function fromRow(row: RecordRow): ProjectedRecord {
  const { record, stream, seq, underived, page_key: _, ...columns } = row
  return { bytes: record, stream, sequence: Number(seq), columns, underived: underived ?? [] }
}
