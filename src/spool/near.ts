/**
 * The records around a number, found without reading the whole spool: by the numbers at which segments begin, then by
 * halving the segment until little is left to read. For proofs, which are checked by themselves: what a damaged segment
 * hides is not found here, and nothing is called missing.
 */

import type { StoredRecord } from '../event/record.ts'
import type { Files } from './files.ts'
import { segmentHeaderBytes } from './format.ts'
import { findFrames } from './frame-search.ts'
import { segmentPath } from './refusals.ts'
import type { PathSegment } from './segment.ts'
import { readSegmentStart } from './segment-start.ts'

/** A part of a segment that is read through rather than halved again. */
const readThroughBytes = 512 * 1_024
/** Holds a whole frame, wherever it begins. */
const probeBytes = 128 * 1_024

export interface NearPlace {
  readonly stream: string
  /** The first and the last number wanted. */
  readonly from: number
  readonly to: number
}

/** A segment and where it ends for readers; undefined: where the file does. */
export interface ReadableSegment {
  readonly segment: PathSegment
  readonly limit: number | undefined
}

/** In order, each with the segment and the offset of its frame. */
export function* readNear(
  files: Files,
  directory: string,
  { segments, place }: { readonly segments: readonly ReadableSegment[]; readonly place: NearPlace },
): Generator<StoredRecord & { readonly segment: number; readonly offset: number }> {
  const own = segments.filter(({ segment }) => segment.header.stream === place.stream)
  const starts = own.map(({ segment }) => readSegmentStart(files, directory, segment).base)
  const holding = starts.findLastIndex((base) => base !== undefined && base <= place.from)
  for (const one of own.slice(Math.max(0, holding))) {
    const { segment } = one.segment.header
    for (const record of readSegmentNear(files, directory, { one, place })) {
      if (record.sequence > place.to) return
      if (record.sequence >= place.from) yield { ...record, segment }
    }
  }
}

function* readSegmentNear(
  files: Files,
  directory: string,
  { one, place }: { readonly one: ReadableSegment; readonly place: NearPlace },
): Generator<StoredRecord & { readonly offset: number }> {
  const { segment, salt, stream } = one.segment.header
  const file = files.open(segmentPath(directory, segment), 'read')
  try {
    const to = Math.min(files.size(file), one.limit ?? Number.MAX_SAFE_INTEGER)
    const from = findStart(files, { file, salt, to }, place.from)
    for (const { frame, offset } of findFrames(files, { file, salt, from, to }))
      if (frame !== undefined) yield { stream, sequence: frame.sequence, bytes: frame.record, offset }
  } finally {
    files.close(file)
  }
}

/** A place before the frame of this number and not far from it. */
function findStart(
  files: Files,
  { file, salt, to }: { readonly file: number; readonly salt: number; readonly to: number },
  sequence: number,
): number {
  let [low, high] = [segmentHeaderBytes, to]
  while (high - low > readThroughBytes) {
    const middle = low + Math.floor((high - low) / 16) * 8
    const [first] = findFrames(files, { file, salt, from: middle, to: Math.min(high, middle + probeBytes) })
    if (first !== undefined && first.header.sequence <= sequence) low = first.offset
    else high = middle
  }
  return low
}
