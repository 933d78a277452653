/**
 * Appending by COPY in its binary form (PostgreSQL manual, COPY, "Binary Format"): a signature, then for each row the
 * number of its columns and each column as length and bytes (-1: null), then -1. The heads are locked and judged first,
 * as `audit.append` does it, and only what is new is sent. One transaction: all of it, or nothing.
 */

import type { RecordNumber } from '../spool/cursor.ts'
import {
  bytea,
  byteaHex,
  type ElementType,
  encodeArray,
  int8,
  lengthBytes,
  text,
  timestamptz,
  uuid,
  writeElement,
} from './binary-array.ts'
import type { CopyingConnection } from './client.ts'
import { disclosedOf, storeDisclosures } from './disclosures.ts'
import { type ColumnType, derivedColumns, type ProjectedRecord } from './projection.ts'
import { type AppendOutcome, type AppendRow, callWhereHeld, heldParameters, toOutcome } from './records.ts'

/** From so many records on COPY costs less than one statement does; below, its round trips cost more. */
export const copyRecordsMin = 64

/** Whether these can be copied: a record without a time of its own needs the server to say when it arrived. */
export function isCopyable(records: readonly ProjectedRecord[]): boolean {
  return records.length >= copyRecordsMin && records.every(({ columns }) => columns.recorded_at !== null)
}

/** Records in the forms in which they are sent: all that can be done without the server. */
export interface PreparedCopy {
  readonly records: readonly ProjectedRecord[]
  /** The parameters of `audit.advance_heads`. */
  readonly heads: readonly Buffer[]
  /** The rows of all of them: mostly, all are new. */
  readonly rows: Buffer
}

export function prepareCopy(records: readonly ProjectedRecord[]): PreparedCopy {
  return { records, heads: encodeHeads(records), rows: encodeCopy(records) }
}

/**
 * As `appendRecords`. When it rejects, the transaction is over or ends with the connection. `onSent` is called when all
 * is on its way, and the server alone has something to do.
 */
export async function copyRecords(
  client: CopyingConnection,
  { records, heads, rows }: PreparedCopy,
  { after, onSent = () => {} }: { after?: RecordNumber | undefined; onSent?: () => void } = {},
): Promise<AppendOutcome[]> {
  // Whoever stops in the middle holds the heads no longer than this.
  await client.query("begin; set local idle_in_transaction_session_timeout = '30s'")
  try {
    const advanced = await advanceHeads(client, heads, after)
    const from = new Map(advanced.map(({ stream, next_seq }) => [stream, Number(next_seq ?? Number.POSITIVE_INFINITY)]))
    const fresh = records.filter(({ stream, sequence }) => sequence >= (from.get(stream) ?? Number.POSITIVE_INFINITY))
    const input = fresh.length < records.length ? encodeCopy(fresh) : rows
    if (fresh.length > 0) await client.copyIn(copyStatement, input, onSent)
    await storeDisclosures(client, disclosedOf(fresh))
    await client.query('commit')
    return advanced.map(toOutcome)
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // the thrown error is the one to hear of
    throw thrown
  }
}

type AdvancedRow = AppendRow & { readonly next_seq: string | null }

const advanceCall = callWhereHeld('audit.advance_heads', 6)

async function advanceHeads(
  client: CopyingConnection,
  heads: readonly Buffer[],
  after: RecordNumber | undefined,
): Promise<AdvancedRow[]> {
  const { rows } = await client.query<AdvancedRow>(
    `select stream, status, inserted, skipped, head_seq, refused_seq, next_seq,
       encode(held_hash, 'hex') as held_hash, encode(sent_hash, 'hex') as sent_hash
     from ${advanceCall}`,
    [...heads, ...heldParameters(after)],
  )
  return rows
}

function encodeHeads(records: readonly ProjectedRecord[]): Buffer[] {
  const array = <Value>(type: ElementType<Value>, valueIn: (record: ProjectedRecord) => Value | null) =>
    encodeArray(type, records.map(valueIn))
  return [
    array(uuid, ({ stream }) => stream),
    array(int8, ({ sequence }) => sequence),
    array(byteaHex, ({ columns }) => columns.hash),
    array(byteaHex, ({ columns }) => columns.prev_hash),
    array(timestamptz, ({ columns }) => columns.recorded_at),
    array(text, ({ underived }) => (underived.length === 0 ? null : underived.join())),
  ]
}

const names = ['record', 'stream', 'seq', ...derivedColumns.map(({ name }) => name), 'underived']
/** Takes what `encodeCopy` gives. */
export const copyStatement = `copy audit.record (${names.join(', ')}) from stdin (format binary)`
const derivedTypes: Readonly<Record<ColumnType, ElementType<string>>> = { bytea: byteaHex, text, timestamptz, uuid }
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** Behind the signature: no flags, no extension. */
const headerBytes = signature.length + 8

/** The rows in the form of COPY, columns in the order of the statement. */
export function encodeCopy(records: readonly ProjectedRecord[]): Buffer {
  const copy = new CopyBuffer(headerBytes + 2 + records.reduce((sum, record) => sum + rowBytesMax(record), 0))
  for (const record of records) {
    copy.beginRow(names.length)
    copy.add(bytea, record.bytes)
    copy.add(uuid, record.stream)
    copy.add(int8, record.sequence)
    for (const { name, type } of derivedColumns) copy.add(derivedTypes[type], record.columns[name])
    copy.add(bytea, underivedArray(record))
  }
  return copy.end()
}

/** An array is one value: its bytes are those of a parameter. */
function underivedArray({ underived }: ProjectedRecord): Buffer | null {
  return underived.length === 0 ? null : encodeArray(text, underived)
}

function rowBytesMax(record: ProjectedRecord): number {
  let bytes = 2 + lengthBytes * names.length + record.bytes.length + 16 + 8 + (underivedArray(record)?.length ?? 0)
  for (const { name, type } of derivedColumns) {
    const value = record.columns[name]
    if (value !== null) bytes += derivedTypes[type].bytesMax(value)
  }
  return bytes
}

class CopyBuffer {
  readonly #bytes: Buffer
  #offset: number

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size)
    signature.copy(this.#bytes)
    this.#bytes.fill(0, signature.length, headerBytes)
    this.#offset = headerBytes
  }

  beginRow(columns: number): void {
    this.#offset = this.#bytes.writeInt16BE(columns, this.#offset)
  }

  add<Value>(type: ElementType<Value>, value: Value | null): void {
    this.#offset = writeElement(type, value, { target: this.#bytes, offset: this.#offset })
  }

  end(): Buffer {
    this.#offset = this.#bytes.writeInt16BE(-1, this.#offset)
    return this.#bytes.subarray(0, this.#offset)
  }
}
