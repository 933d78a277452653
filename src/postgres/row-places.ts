/**
 * Where the columns of one row stand in what `COPY (…) TO STDOUT (format binary)` has sent: for each a length and its
 * bytes (-1: null), all big-endian. Columns are those of `copiedColumns`, in that order.
 */

import { type ColumnName, derivedColumns } from './projection.ts'

/** The columns that are read, in their order; what is derived stands between the key and `underived`. */
export const copiedColumns = [
  'record',
  'stream',
  'seq',
  ...derivedColumns.map(({ name }) => name),
  'underived',
] as const

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** Behind the signature flags, and the length of an extension that is passed over. */
const headBytes = signature.length + 8

/** The places of one row after the other; `next` changes them. */
export class RowPlaces {
  readonly bytes: Buffer
  readonly #starts = new Int32Array(copiedColumns.length)
  /** -1: null. */
  readonly #lengths = new Int32Array(copiedColumns.length)
  #at: number

  /** Throws where the bytes are no such output. */
  constructor(bytes: Buffer) {
    if (!bytes.subarray(0, signature.length).equals(signature)) throw new Error('the server has sent no binary rows')
    this.bytes = bytes
    this.#at = headBytes + bytes.readInt32BE(signature.length + 4)
  }

  /** Goes on to the next row; `false` behind the last one. */
  next(): boolean {
    const { bytes } = this
    const columns = bytes.readInt16BE(this.#at)
    if (columns === -1) return false
    if (columns !== copiedColumns.length) throw new Error(`a row of ${columns} columns`)
    let at = this.#at + 2
    for (let column = 0; column < columns; column += 1) {
      const length = bytes.readInt32BE(at)
      at += 4
      this.#starts[column] = at
      this.#lengths[column] = length
      if (length > 0) at += length
    }
    this.#at = at
    return true
  }

  start(column: number): number {
    return this.#starts[column] ?? 0
  }

  isNull(column: number): boolean {
    return this.length(column) < 0
  }

  /** -1: null. */
  length(column: number): number {
    return this.#lengths[column] ?? -1
  }

  slice(column: number): Buffer {
    return this.bytes.subarray(this.start(column), this.start(column) + Math.max(0, this.length(column)))
  }
}

/** Where a derived column stands in a row. */
export function columnPlace(name: ColumnName | 'record' | 'seq' | 'underived'): number {
  return copiedColumns.indexOf(name)
}
