/** Records as lines of NDJSON, and back. */

import type { StoredRecord } from '../event/record.ts'

const newline = 0x0a

/** The lines of the records, in their order. */
export function encodeLines(records: readonly StoredRecord[]): Buffer {
  const lines = Buffer.allocUnsafe(lengthOf(records))
  writeLines(records, lines)
  return lines
}

/** Encodes lines into one buffer, which it keeps: half a megabyte anew for each batch was a full collection for every 20. */
export class LineEncoder {
  #bytes = Buffer.alloc(0)

  /** As `encodeLines`; the lines change with the next call. */
  encode(records: readonly StoredRecord[]): Buffer {
    const length = lengthOf(records)
    if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(length)
    writeLines(records, this.#bytes)
    return this.#bytes.subarray(0, length)
  }
}

function lengthOf(records: readonly StoredRecord[]): number {
  return records.reduce((length, { bytes }) => length + bytes.length + 1, 0)
}

function writeLines(records: readonly StoredRecord[], lines: Buffer): void {
  let end = 0
  for (const { bytes } of records) {
    end += bytes.copy(lines, end)
    end = lines.writeUInt8(newline, end)
  }
}

/** The lines of a text that ends with a newline, without it. */
export function splitLines(text: Buffer): Buffer[] {
  const lines: Buffer[] = []
  for (let start = 0, end = text.indexOf(newline); end !== -1; end = text.indexOf(newline, start)) {
    lines.push(text.subarray(start, end))
    start = end + 1
  }
  return lines
}
