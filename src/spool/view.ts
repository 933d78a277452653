/**
 * A spool as it lies there, for verification and status: dead, copied or with a live writer, damaged or whole. Writes
 * nothing, takes no lock, and steps over damage instead of stopping at it, because its reader wants to name what is
 * damaged. With a live writer it stops at the published durable position.
 */

import type { StoredRecord } from '../event/record.ts'
import { type ControlState, durableEnd, type Published, readPresentControl } from './control.ts'
import type { Files } from './files.ts'
import { isBefore, type SpoolPosition, segmentHeaderBytes } from './format.ts'
import { findFrames } from './frame-search.ts'
import { isLocked } from './lock.ts'
import { type NearPlace, readNear } from './near.ts'
import { segmentPath } from './refusals.ts'
import { listSegments, type PathSegment, readPath } from './segment.ts'

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
  /** The whole records with these numbers that can be found without reading all; for whoever checks what is found. */
  near(place: NearPlace): Generator<StoredRecord & { readonly segment: number; readonly offset: number }>
  /** The streams that its segments hold. */
  readonly streams: readonly string[]
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
    near: (place) => readNear(files, directory, { segments: readable, place }),
  }
}

function* walk(
  files: Files,
  directory: string,
  view: { path: readonly PathSegment[]; durable: SpoolPosition; live: boolean },
): Generator<ViewedRecord> {
  for (const one of view.path) {
    const { segment } = one.header
    const limit = limitOf(one, view)
    const path = segmentPath(directory, segment)
    for (const found of walkSegment(files, { path, ...one.header, limit })) {
      yield { ...found, segment, durable: isBefore({ segment, offset: found.offset }, view.durable) }
    }
  }
}

/** Where a segment ends for readers, when something says so. */
function limitOf(
  { header, length }: PathSegment,
  { durable, live }: { readonly durable: SpoolPosition; readonly live: boolean },
): number | undefined {
  return live && header.segment === durable.segment ? durable.offset : length
}

/** Every frame of the segment whose header is valid, at any aligned place; links are the verifier's business. */
function* walkSegment(
  files: Files,
  { path, salt, stream, limit }: { path: string; salt: number; stream: string; limit: number | undefined },
): Generator<Omit<ViewedRecord, 'segment' | 'durable'>> {
  const file = files.open(path, 'read')
  try {
    const to = Math.min(files.size(file), limit ?? Number.MAX_SAFE_INTEGER)
    for (const found of findFrames(files, { file, salt, from: segmentHeaderBytes, to })) {
      const { offset, frame, header } = found
      const place = { stream, sequence: header.sequence, offset }
      if (frame !== undefined) yield { ...place, bytes: frame.record, damaged: false }
      else if (!found.isCut) yield { ...place, bytes: Buffer.from(found.bytes), damaged: true }
    }
  } finally {
    files.close(file)
  }
}
