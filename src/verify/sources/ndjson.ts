/**
 * An NDJSON file of records, one a line, verbatim, in the order of sealing: what the file destination writes and
 * `spool export` prints. A line is exactly the bytes between two newlines; nothing is trimmed.
 */

import { leafHash } from '../../chain/hash.ts'
import { recordBytesMax } from '../../limits.ts'
import type { Damage, FoundRecord, Source } from '../source.ts'
import { type Line, splitLines } from './lines.ts'

/** Room for two records whose newline was destroyed, and then some. */
const lineBytesMax = 8 * recordBytesMax

export function createNdjsonSource(name: string, openBytes: () => AsyncIterable<Buffer>): Source {
  return {
    kind: 'ndjson',
    name,
    ordered: true,
    beginsLater: false,
    locate: (position) => `line ${position}`,
    async *read() {
      for await (const lines of splitLines(openBytes(), lineBytesMax)) yield lines.map(readLine)
    },
  }
}

/** Whether the line can hold a record is seen here only as far as damage and a cut-off end are told apart. */
function readLine(line: Line): FoundRecord | Damage {
  const { bytes, number: position, isEnded, tooLong } = line
  if (tooLong !== undefined) return { damage: 'the line is longer than any record', position, found: tooLong }
  if (!isEnded && !endsLikeRecord(bytes))
    return { damage: 'the last line is cut off', position, found: leafHash(bytes), cutOff: true }
  return { bytes, position }
}

function endsLikeRecord(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}
