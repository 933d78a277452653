/**
 * A spool as it lies there, for verification and status: dead, copied or with a live writer, damaged or whole. Writes
 * nothing, takes no lock, and steps over damage instead of stopping at it, because its reader wants to name what is
 * damaged. With a live writer it stops at the published durable position.
 */

import type { StoredRecord } from '../event/record.ts'
import { type ControlState, durableEnd, type Published, readPresentControl } from './control.ts'
import type { Files } from './files.ts'
import { decodeFrame, isBefore, type SpoolPosition, segmentHeaderBytes } from './format.ts'
import { isLocked } from './lock.ts'
import { segmentPath } from './refusals.ts'
import { listSegments, type PathSegment, readPath } from './segment.ts'

const readBytes = 1024 * 1024

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
  return { directory, state, durable, live, segments, records: () => walk(files, directory, { path, durable, live }) }
}

function* walk(
  files: Files,
  directory: string,
  view: { path: readonly PathSegment[]; durable: SpoolPosition; live: boolean },
): Generator<ViewedRecord> {
  for (const one of view.path) {
    const { segment } = one.header
    const limit = view.live && segment === view.durable.segment ? view.durable.offset : one.length
    const path = segmentPath(directory, segment)
    for (const found of walkSegment(files, { path, ...one.header, limit })) {
      yield { ...found, segment, durable: isBefore({ segment, offset: found.offset }, view.durable) }
    }
  }
}

type Found = Omit<ViewedRecord, 'segment' | 'durable'>

/** Every frame of the segment whose header is valid, at any aligned place; links are the verifier's business. */
function* walkSegment(
  files: Files,
  { path, salt, stream, limit }: { path: string; salt: number; stream: string; limit: number | undefined },
): Generator<Found> {
  const file = files.open(path, 'read')
  try {
    const size = Math.min(files.size(file), limit ?? Number.MAX_SAFE_INTEGER)
    let buffer: Buffer = Buffer.alloc(0)
    let start = segmentHeaderBytes
    for (let offset = segmentHeaderBytes; offset < size; ) {
      let reading = decodeFrame(buffer, offset - start, salt)
      const end = start + buffer.length
      if (end < size && (reading.kind === 'partial' || (reading.kind === 'none' && offset + 64 > end))) {
        const fresh = Buffer.allocUnsafeSlow(Math.min(readBytes, size - offset))
        buffer = fresh.subarray(0, files.read(file, fresh, offset))
        start = offset
        reading = decodeFrame(buffer, 0, salt)
      }
      if (reading.kind === 'frame') {
        yield { stream, sequence: reading.frame.sequence, bytes: reading.frame.record, offset, damaged: false }
        offset = reading.frame.end + start
      } else if (reading.kind === 'damaged') {
        const bytes = Buffer.from(buffer.subarray(offset - start, offset - start + reading.needs))
        yield { stream, sequence: reading.header.sequence, bytes, offset, damaged: true }
        offset += reading.needs
      } else {
        offset += 8
      }
    }
  } finally {
    files.close(file)
  }
}
