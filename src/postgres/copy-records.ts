/**
 * Appending by COPY in its binary form (PostgreSQL manual, COPY, "Binary Format"): a signature, then for each row the
 * number of its columns and each column as length and bytes (-1: null), then -1. The heads are locked and judged first,
 * as `audit.append` does it, and only what is new is sent. One transaction: all of it, or nothing.
 */

import type { RecordNumber } from '../spool/cursor.ts'
import { bytea, byteaHex, type ElementType, encodeArray, int8, text, timestamptz, uuid } from './binary-array.ts'
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

/** As `appendRecords`. When it rejects, the transaction is over or ends with the connection. */
export async function copyRecords(
  client: CopyingConnection,
  records: readonly ProjectedRecord[],
  after?: RecordNumber,
): Promise<AppendOutcome[]> {
  // Whoever stops in the middle holds the heads no longer than this.
  await client.query("begin; set local idle_in_transaction_session_timeout = '30s'")
  try {
    const rows = await advanceHeads(client, records, after)
    const from = new Map(rows.map(({ stream, next_seq }) => [stream, Number(next_seq ?? Number.POSITIVE_INFINITY)]))
    const fresh = records.filter(({ stream, sequence }) => sequence >= (from.get(stream) ?? Number.POSITIVE_INFINITY))
    if (fresh.length > 0) await client.copyIn(copyStatement, encodeCopy(fresh))
    await storeDisclosures(client, disclosedOf(fresh))
    await client.query('commit')
    return rows.map(toOutcome)
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // the thrown error is the one to hear of
    throw thrown
  }
}

type AdvancedRow = AppendRow & { readonly next_seq: string | null }

const advanceCall = callWhereHeld('audit.advance_heads', 6)

async function advanceHeads(
  client: CopyingConnection,
  records: readonly ProjectedRecord[],
  after: RecordNumber | undefined,
): Promise<AdvancedRow[]> {
  const arrays = [
    encodeArray(
      uuid,
      records.map(({ stream }) => stream),
    ),
    encodeArray(
      int8,
      records.map(({ sequence }) => sequence),
    ),
    encodeArray(
      byteaHex,
      records.map(({ columns }) => columns.hash),
    ),
    encodeArray(
      byteaHex,
      records.map(({ columns }) => columns.prev_hash),
    ),
    encodeArray(
      timestamptz,
      records.map(({ columns }) => columns.recorded_at),
    ),
    encodeArray(
      text,
      records.map(({ underived }) => (underived.length === 0 ? null : underived.join())),
    ),
  ]
  const { rows } = await client.query<AdvancedRow>(
    `select stream, status, inserted, skipped, head_seq, refused_seq, next_seq,
       encode(held_hash, 'hex') as held_hash, encode(sent_hash, 'hex') as sent_hash
     from ${advanceCall}`,
    [...arrays, ...heldParameters(after)],
  )
  return rows
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
  const copy = new CopyBuffer(headerBytes + 2 + records.reduce((sum, record) => sum + rowBytes(record), 0))
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

function rowBytes(record: ProjectedRecord): number {
  let bytes = 2 + 4 * names.length + record.bytes.length + 16 + 8 + (underivedArray(record)?.length ?? 0)
  for (const { name, type } of derivedColumns) {
    const value = record.columns[name]
    if (value !== null) bytes += derivedTypes[type].byteLength(value)
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
    const length = value === null ? -1 : type.byteLength(value)
    this.#offset = this.#bytes.writeInt32BE(length, this.#offset)
    if (value === null) return
    type.write(value, this.#bytes, this.#offset)
    this.#offset += length
  }

  end(): Buffer {
    this.#offset = this.#bytes.writeInt16BE(-1, this.#offset)
    return this.#bytes.subarray(0, this.#offset)
  }
}
