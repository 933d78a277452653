/**
 * A spool as it lies there, for verification and status: dead, copied or with a live writer, damaged or whole. Writes
 * nothing, takes no lock, and steps over damage instead of stopping at it, because its reader wants to name what is
 * damaged. With a live writer it stops at the published durable position.
 */

import type { Frontier } from '../chain/merkle.ts'
import type { StoredRecord } from '../event/record.ts'
import { type ControlState, durableEnd, type Published, readPresentControl } from './control.ts'
import type { Files } from './files.ts'
import { isBefore, type SpoolPosition, segmentHeaderBytes } from './format.ts'
import { findFrames } from './frame-search.ts'
import { isLocked } from './lock.ts'
import { findSealed, type NearPlace, readNear, sealedAt } from './near.ts'
import { segmentPath } from './refusals.ts'
import { listSegments, type PathSegment, readPath } from './segment.ts'
import { readSegmentStart, treeOf } from './segment-start.ts'

/** A frame as found: a record, or the bytes of one whose checksum does not match. */
export interface ViewedRecord extends StoredRecord {
  readonly segment: number
  readonly offset: number
  readonly damaged: boolean
  /** At or below the durable position; above it a record may be a torn rest. */
  readonly durable: boolean
}

export interface SpoolView {
  readonly directory: string
  readonly state: ControlState
  /** The published durable position, or the watermark where none was published. */
  readonly durable: Published
  /** A writer holds the lock. */
  readonly live: boolean
  readonly segments: readonly number[]
  records(): Generator<ViewedRecord>
  /** As `records`, stream by stream, without most of what was sealed before `from`, or at `to` or later: RFC 3339. */
  sealed(range: SealedRange): Generator<ViewedRecord>
  /** The trees of the first records of a stream that its segments state, smallest first; nobody has signed them. */
  trees(stream: string): Generator<Frontier>
  /** The whole records with these numbers that can be found without reading all; for whoever checks what is found. */
  near(place: NearPlace): Generator<StoredRecord & { readonly segment: number; readonly offset: number }>
  /** The streams that its segments hold. */
  readonly streams: readonly string[]
}

export interface SealedRange {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** Looks at a spool. Throws `SPOOL_CORRUPT` when not even control or headers can be read, `SPOOL_VERSION` for a later format. */
export function viewSpool(files: Files, directory: string): SpoolView {
  const live = isLocked(directory)
  const control = readPresentControl(files, directory)
  const { state } = control
  const durable = durableEnd(control)
  const last = live ? durable.segment : (listSegments(files, directory).at(-1) ?? 0)
  const path = readPath(files, directory, { first: state.firstSegment, last })
  const segments = path.map((one) => one.header.segment)
  const readable = path.map((segment) => ({ segment, limit: limitOf(segment, { durable, live }) }))
  return {
    directory,
    state,
    durable,
    live,
    segments,
    streams: [...new Set(path.map((one) => one.header.stream))],
    records: () => walk(files, directory, { path, durable, live }),
    sealed: (range) => walkSealed(files, directory, { path, durable, live, range }),
    trees: (stream) => statedTrees(files, directory, { path, stream }),
    near: (place) => readNear(files, directory, { segments: readable, place }),
  }
}

interface WalkedView {
  readonly path: readonly PathSegment[]
  readonly durable: SpoolPosition
  readonly live: boolean
}

function* walk(files: Files, directory: string, view: WalkedView): Generator<ViewedRecord> {
  for (const one of view.path) yield* walkFrom(files, directory, { ...view, one, from: segmentHeaderBytes })
}

/** In a stream times never fall. */
function* walkSealed(
  files: Files,
  directory: string,
  view: WalkedView & { readonly range: SealedRange },
): Generator<ViewedRecord> {
  const { from: at = '', to } = view.range
  for (const own of Map.groupBy(view.path, (one) => one.header.stream).values()) {
    const segments = own.map((segment) => ({ segment, limit: limitOf(segment, view) }))
    const start = findSealed(files, directory, { segments, at })
    walking: for (const [index, one] of own.slice(start.index).entries()) {
      const from = index === 0 ? start.offset : segmentHeaderBytes
      for (const found of walkFrom(files, directory, { ...view, one, from })) {
        if (to !== undefined && !found.damaged && (sealedAt(found.bytes) ?? '') >= to) break walking
        yield found
      }
    }
  }
}

function* statedTrees(
  files: Files,
  directory: string,
  { path, stream }: { readonly path: readonly PathSegment[]; readonly stream: string },
): Generator<Frontier> {
  for (const one of path.filter(({ header }) => header.stream === stream)) {
    const { stated } = readSegmentStart(files, directory, one)
    const tree = stated && treeOf(stated)
    if (tree !== undefined) yield tree
  }
}

function* walkFrom(
  files: Files,
  directory: string,
  view: WalkedView & { readonly one: PathSegment; readonly from: number },
): Generator<ViewedRecord> {
  const { one, from } = view
  const { segment } = one.header
  const path = segmentPath(directory, segment)
  for (const found of walkSegment(files, { path, ...one.header, from, limit: limitOf(one, view) }))
    yield { ...found, segment, durable: isBefore({ segment, offset: found.offset }, view.durable) }
}

/** Where a segment ends for readers, when something says so. */
function limitOf(
  { header, length }: PathSegment,
  { durable, live }: { readonly durable: SpoolPosition; readonly live: boolean },
): number | undefined {
  return live && header.segment === durable.segment ? durable.offset : length
}

interface SegmentToWalk {
  readonly path: string
  readonly salt: number
  readonly stream: string
  readonly from: number
  readonly limit: number | undefined
}

/** Every frame of the segment whose header is valid, at any aligned place; links are the verifier's business. */
function* walkSegment(
  files: Files,
  { path, salt, stream, from, limit }: SegmentToWalk,
): Generator<Omit<ViewedRecord, 'segment' | 'durable'>> {
  const file = files.open(path, 'read')
  try {
    const to = Math.min(files.size(file), limit ?? Number.MAX_SAFE_INTEGER)
    for (const found of findFrames(files, { file, salt, from, to })) {
      const { offset, frame, header } = found
      const place = { stream, sequence: header.sequence, offset }
      if (frame !== undefined) yield { ...place, bytes: frame.record, damaged: false }
      else if (!found.isCut) yield { ...place, bytes: Buffer.from(found.bytes), damaged: true }
    }
  } finally {
    files.close(file)
  }
}
