/** Records as lines of NDJSON, and back. */

import type { StoredRecord } from '../event/record.ts'

const newline = 0x0a

/** The lines of the records, in their order. */
export function encodeLines(records: readonly StoredRecord[]): Buffer {
  const lines = Buffer.allocUnsafe(records.reduce((bytes, record) => bytes + record.bytes.length + 1, 0))
  let end = 0
  for (const { bytes } of records) {
    end += bytes.copy(lines, end)
    end = lines.writeUInt8(newline, end)
  }
  return lines
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
