/**
 * What goes when a closed file is deleted, as the trail is to tell of it: of each stream the numbers and the last hash.
 * The file may hold what was sealed about files deleted before it; that is said again, so that the facts which remain
 * always cover everything that is gone.
 */

import { leafHash } from '../chain/hash.ts'
import type { JsonObject, JsonValue } from '../event/canonical.ts'
import { parseRecord, type RecordMembers } from '../event/record.ts'

/** Records of a stream, the first and the last included; `hash` is the last one's leaf hash. */
type DeletedRange = { readonly stream: string; readonly from: number; readonly to: number; readonly hash: string }

/** The `details` of `audit.file.deleted` for a file of this destination with these lines. */
export async function describeDeleted(lines: AsyncIterable<Buffer>, destination: string): Promise<JsonObject> {
  const own = new Map<string, { stream: string; from: number; to: number; hash: string }>()
  const before: DeletedRange[] = []
  let records = 0
  for await (const line of lines) {
    const members = parseRecord(line)
    const { stream, seq } = members ?? {}
    if (members === undefined || stream === undefined || seq === undefined) continue
    records += 1
    before.push(...rangesSealedIn(members, destination))
    const range = own.get(stream)
    if (range === undefined) own.set(stream, { stream, from: seq, to: seq, hash: leafHash(line) })
    else if (seq > range.to) Object.assign(range, { to: seq, hash: leafHash(line) })
  }
  return { records, ranges: mergeRanges([...before, ...own.values()]) }
}

function rangesSealedIn({ event_type: type, details }: RecordMembers, destination: string): DeletedRange[] {
  if (type !== 'audit.file.deleted' || details?.destination !== destination) return []
  return Array.isArray(details.ranges) ? details.ranges.filter(isRange) : []
}

function isRange(value: JsonValue): value is DeletedRange {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { stream, from, to, hash } = value
  return typeof stream === 'string' && typeof from === 'number' && typeof to === 'number' && typeof hash === 'string'
}

/** Ranges of a stream that touch or overlap become one. */
function mergeRanges(ranges: readonly DeletedRange[]): DeletedRange[] {
  const merged: DeletedRange[] = []
  for (const range of ranges.toSorted((a, b) =>
    a.stream === b.stream ? a.from - b.from : a.stream < b.stream ? -1 : 1,
  )) {
    const last = merged.at(-1)
    const isJoined = last !== undefined && last.stream === range.stream && range.from <= last.to + 1
    if (!isJoined) merged.push(range)
    else if (range.to > last.to) merged.splice(-1, 1, { ...range, from: last.from })
  }
  return merged
}
