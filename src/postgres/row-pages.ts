/**
 * Every row of `audit.record` in the order of its key, as COPY gives it: a page is asked for while the one before it is
 * looked at. Each page is a range of numbers of one stream, so that no plan reads more than the page, however wrong the
 * statistics are; no snapshot is held between pages, and memory is that of two of them.
 */

import { hashBytes, writeLeafHash } from '../chain/hash.ts'
import type { CopyingConnection } from './client.ts'
import { type ColumnType, derivedColumns, isStreamId, type ProjectedRecord } from './projection.ts'
import { RowComparison } from './row-comparison.ts'
import { columnPlace, copiedColumns, RowPlaces } from './row-places.ts'
import { numberAbove, readRecords, streamsIn } from './stored-records.ts'

/** A row as it was found. */
export interface CopiedRow {
  readonly bytes: Buffer
  readonly sequence: number
  /** Hash of the bytes, 32 bytes. */
  readonly leaf: Buffer
  /** With its columns, where they are to be compared; absent: they are what the record says. */
  readonly stored: ProjectedRecord | undefined
}

/** Rows of one stream, none left out between `behind` and `to`. */
export interface RowPage {
  readonly stream: string
  readonly behind: bigint
  readonly to: bigint
  readonly rows: readonly CopiedRow[]
}

const pageBytes = 2 * 2 ** 20
const [pageNumbersFirst, pageNumbersMin, pageNumbersMax] = [1_000, 32, 4_000]
const numberMin = -(2n ** 63n)
const numberMax = 2n ** 63n - 1n

export interface RowOptions {
  /** Only this stream, behind one number up to another. */
  readonly only?: { readonly stream: string; readonly behind: number; readonly to: number } | undefined
  /** For tests: how many numbers a page spans. */
  readonly pageNumbers?: number | undefined
}

/** Rows that only a forger could have put there come too. */
export async function* readRowPages(client: CopyingConnection, options: RowOptions = {}): AsyncGenerator<RowPage> {
  const { only, pageNumbers } = options
  if (only !== undefined) {
    const [behind, to] = [BigInt(only.behind), BigInt(only.to)]
    yield* readStream(client, { stream: only.stream, behind, to }, pageNumbers)
    return
  }
  for await (const stream of streamsIn(client)) {
    const behind = await behindNext(client, stream, numberMin)
    if (behind !== undefined) yield* readStream(client, { stream, behind, to: numberMax }, pageNumbers)
  }
}

type Extent = Pick<Range, 'stream' | 'behind' | 'to'>

async function* readStream(client: CopyingConnection, whole: Extent, pageNumbers?: number): AsyncGenerator<RowPage> {
  const { stream, to } = whole
  if (!isStreamId(stream)) throw new Error(`no stream: ${stream}`) // it stands in the text of the statement
  const comparison = new RowComparison()
  let numbers = pageNumbers ?? pageNumbersFirst
  const askBehind = (behind: bigint | undefined) =>
    behind === undefined || behind >= to ? undefined : ask(client, { stream, behind, numbers, to })
  let asked = askBehind(whole.behind)
  while (asked !== undefined) {
    const { bytes, range } = await asked
    const rows = rowsIn(bytes, { stream, comparison })
    if (rows.length > 0 && pageNumbers === undefined) numbers = fitting(rows.length, bytes.length)
    // On its way while this page is looked at.
    asked = askBehind(rows.length > 0 || range.to === to ? range.to : await behindNext(client, stream, range.to))
    asked?.catch(() => {}) // whoever waits for it hears of it
    if (rows.length <= range.numbers) yield { stream, behind: range.behind, to: range.to, rows }
    else yield* readDoubled(client, range)
  }
}

interface Range {
  readonly stream: string
  readonly behind: bigint
  readonly to: bigint
  readonly numbers: number
}

/** The number before the next one that the stream has. */
async function behindNext(client: CopyingConnection, stream: string, above: bigint): Promise<bigint | undefined> {
  const next = await numberAbove(client, stream, above)
  return next === undefined ? undefined : next - 1n
}

/** The next so many numbers of what is asked for. */
async function ask(client: CopyingConnection, from: Range): Promise<{ bytes: Buffer; range: Range }> {
  const { stream, behind, numbers } = from
  const to = from.to - behind < BigInt(numbers) ? from.to : behind + BigInt(numbers)
  const bytes = await client.copyOut(
    `copy (select ${copiedColumns.map((name) => `r.${name}`).join(', ')} from audit.record r
     where r.stream = '${stream}' and r.seq > ${behind} and r.seq <= ${to}
     order by r.seq, r.recorded_at limit ${numbers + 1}) to stdout (format binary)`,
  )
  return { bytes, range: { ...from, to } }
}

/** How many numbers make a page, by what those of the last one took. */
function fitting(rows: number, bytes: number): number {
  return Math.max(pageNumbersMin, Math.min(pageNumbersMax, Math.floor((pageBytes * rows) / bytes)))
}

/** A range with more rows than numbers: a forger has doubled some. */
async function* readDoubled(client: CopyingConnection, { stream, behind, to }: Range): AsyncGenerator<RowPage> {
  for await (const stored of readRecords(client, { stream, behind, to })) {
    const leaf = Buffer.allocUnsafe(hashBytes)
    writeLeafHash(stored.bytes, leaf, 0)
    const { bytes, sequence } = stored
    const number = BigInt(sequence)
    yield { stream, behind: number - 1n, to: number, rows: [{ bytes, sequence, leaf, stored }] }
  }
}

function rowsIn(bytes: Buffer, { stream, comparison }: { stream: string; comparison: RowComparison }): CopiedRow[] {
  const rows: CopiedRow[] = []
  const places = new RowPlaces(bytes)
  while (places.next()) {
    const record = places.slice(0)
    const leaf = Buffer.allocUnsafe(hashBytes)
    writeLeafHash(record, leaf, 0)
    const sequence = Number(bytes.readBigInt64BE(places.start(2)))
    const stored = comparison.agrees(places, { record, leaf }) ? undefined : project(places, { stream, sequence })
    rows.push({ bytes: record, sequence, leaf, stored })
  }
  return rows
}

/** The row in the texts of `ProjectedRecord`. */
function project(places: RowPlaces, key: { readonly stream: string; readonly sequence: number }): ProjectedRecord {
  const columns = derivedColumns.map(({ name, type }) => {
    const place = columnPlace(name)
    return [name, places.isNull(place) ? null : textForms[type](places.slice(place))]
  })
  const place = columnPlace('underived')
  const underived = places.isNull(place) ? [] : textsIn(places.slice(place))
  return { ...key, bytes: places.slice(0), columns: Object.fromEntries(columns), underived }
}

const textForms: Readonly<Record<ColumnType, (bytes: Buffer) => string>> = {
  bytea: (bytes) => bytes.toString('hex'),
  text: (bytes) => bytes.toString('utf8'),
  timestamptz: (bytes) => timeOf(bytes.readBigInt64BE(0)),
  uuid: (bytes) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
}

const year2000Micros = 946_684_800_000_000n
/** What `Date` can hold, in microseconds since 1970. */
const dateMicrosMax = 8_640_000_000_000_000_000n

/** RFC 3339 with microseconds; what is beyond that as a number. */
function timeOf(value: bigint): string {
  const micros = value + year2000Micros
  if (micros >= dateMicrosMax || micros <= -dateMicrosMax) return `${value} µs behind 2000`
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const second = new Date(Number((micros - rest) / 1_000n)).toISOString().slice(0, -'.000Z'.length)
  return `${second.replace(/^\+0?/, '')}.${String(rest).padStart(6, '0')}Z`
}

/** The elements of a `text[]` of one dimension: three words, for each dimension two more, then each element. */
function textsIn(bytes: Buffer): string[] {
  const texts: string[] = []
  for (let at = 12 + 8 * bytes.readInt32BE(0); at < bytes.length; ) {
    const length = bytes.readInt32BE(at)
    at += 4
    if (length > 0) texts.push(bytes.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return texts
}
