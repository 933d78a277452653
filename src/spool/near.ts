/**
 * The records around a number or behind a time, found without reading the whole spool: by what segments begin with, then by
 * halving the segment until little is left to read: in a stream neither falls. For proofs, which are checked by
 * themselves, and for queries: what a damaged segment hides is not found here, and nothing is called missing.
 */

import { parseRecord, type StoredRecord } from '../event/record.ts'
import { scanRecord } from '../event/record-scan.ts'
import type { Files } from './files.ts'
import { segmentHeaderBytes } from './format.ts'
import { type FoundFrame, type FrameRange, findFrames } from './frame-search.ts'
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
    const from = findStart(files, { file, salt, to }, ({ header }) => header.sequence <= place.from)
    for (const { frame, offset } of findFrames(files, { file, salt, from, to }))
      if (frame !== undefined) yield { stream, sequence: frame.sequence, bytes: frame.record, offset }
  } finally {
    files.close(file)
  }
}

/**
 * Where to begin reading the segments of one stream for what was sealed at a time or later: index of the segment and
 * offset in it, at most a little before that.
 */
export function findSealed(
  files: Files,
  directory: string,
  { segments, at }: { readonly segments: readonly ReadableSegment[]; readonly at: string },
): { readonly index: number; readonly offset: number } {
  const isBefore = ({ frame }: FoundFrame): boolean => frame !== undefined && (sealedAt(frame.record) ?? at) < at
  const inSegment = <Result>(one: ReadableSegment, use: (range: FrameRange) => Result): Result => {
    const { segment, salt } = one.segment.header
    const file = files.open(segmentPath(directory, segment), 'read')
    try {
      const to = Math.min(files.size(file), one.limit ?? Number.MAX_SAFE_INTEGER)
      return use({ file, salt, from: segmentHeaderBytes, to })
    } finally {
      files.close(file)
    }
  }
  const beginsBefore = (one: ReadableSegment): boolean =>
    inSegment(one, (range) => {
      const [first] = findFrames(files, { ...range, to: Math.min(range.to, range.from + probeBytes) })
      return first !== undefined && isBefore(first)
    })
  let [low, high] = [0, segments.length]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const one = segments[middle]
    if (one !== undefined && beginsBefore(one)) low = middle
    else high = middle
  }
  const holding = segments[low]
  const offset = holding && inSegment(holding, (range) => findStart(files, range, isBefore))
  return { index: low, offset: offset ?? segmentHeaderBytes }
}

/** When a record was sealed, with microseconds as the times that it is compared with; undefined where it does not say so. */
export function sealedAt(record: Buffer): string | undefined {
  const recorded = scanRecord(record)?.recorded ?? parseRecord(record)?.recorded
  return recorded && `${recorded.slice(0, 26)}Z`
}

/** A place before the first frame that is not before what is looked for, and not far from it. */
function findStart(
  files: Files,
  { file, salt, to }: { readonly file: number; readonly salt: number; readonly to: number },
  isBefore: (found: FoundFrame) => boolean,
): number {
  let [low, high] = [segmentHeaderBytes, to]
  while (high - low > readThroughBytes) {
    const middle = low + Math.floor((high - low) / 16) * 8
    const [first] = findFrames(files, { file, salt, from: middle, to: Math.min(high, middle + probeBytes) })
    if (first !== undefined && isBefore(first)) low = first.offset
    else high = middle
  }
  return low
}
