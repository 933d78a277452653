/**
 * What a trail itself says was deleted of its file (`audit.file.deleted`): a copy whose beginning went that way is whole.
 * It counts for files alone; that a file was deleted excuses no other copy.
 */

import type { Reading } from './reading.ts'

/** Records that were deleted, by their numbers and the hash of the last. */
interface DeletedRange {
  readonly stream: string
  readonly from: number
  readonly to: number
  readonly hash: string
}

/** Whether the records of a stream up to this number were deleted, the last of them with this hash where it is known. */
export type Deleted = (stream: string, to: number, hash?: string) => boolean

/** What the records of a reading say. */
export function readDeletions({ source, streams }: Reading): Deleted {
  if (source.kind !== 'ndjson') return () => false
  const ranges = [...streams.values()].flatMap((stream) =>
    stream.standing('deleted').flatMap(({ control }) => rangesIn(control?.details)),
  )
  return (stream, to, hash) => {
    const own = ranges.filter((range) => range.stream === stream).sort((a, b) => a.from - b.from)
    const reaches = own.reduce((end, range) => (range.from <= end + 1 ? Math.max(end, range.to) : end), 0)
    const last = own.find((range) => range.to === to)
    return reaches >= to && (last === undefined || hash === undefined || last.hash === hash)
  }
}

function rangesIn(details: unknown): DeletedRange[] {
  const { ranges } = (details ?? {}) as { ranges?: unknown }
  return Array.isArray(ranges) ? ranges.filter(isRange) : []
}

function isRange(value: unknown): value is DeletedRange {
  const { stream, from, to, hash } = (value ?? {}) as Record<string, unknown>
  return typeof stream === 'string' && typeof from === 'number' && typeof to === 'number' && typeof hash === 'string'
}
