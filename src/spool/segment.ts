/**
 * Reading and making segments: headers, the path that live segments form by their `previous` numbers, and the one
 * loop that walks frames. What is a frame is decided here for recovery, readers and the sync thread alike; what it
 * means that there is none is decided by them.
 */

import { randomBytes } from 'node:crypto'
import { nowMs } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { Files } from './files.ts'
import {
  type DecodedFrame,
  decodeFrame,
  encodeFrame,
  type FrameLoad,
  frameBytes,
  frameHeaderBytes,
  nextSector,
  type SpoolPosition,
  segmentHeaderBytes,
  segmentNumber,
} from './format.ts'
import { damaged, newerVersion, segmentPath } from './refusals.ts'
import {
  type DecodedSegmentHeader,
  decodeSegmentHeader,
  encodeSegmentHeader,
  headerCrc,
  type SegmentHeader,
} from './segment-header.ts'

const readBytes = 256 * 1024

/** Where frames go on: behind `frameNumber` frames of this segment, linked to `frameCrc`. */
export interface FramePlace {
  readonly offset: number
  readonly frameNumber: number
  readonly frameCrc: number
}

/** A place in the spool to go on reading from. */
export interface ReadPlace extends FramePlace {
  readonly segment: number
}

/** The segment being written. */
export interface OpenSegment extends FramePlace {
  readonly segment: number
  readonly file: number
  readonly salt: number
}

/** Numbers of all segment files, ascending. */
export function listSegments(files: Files, directory: string): number[] {
  const numbers = files.list(directory).map(segmentNumber)
  return numbers.filter((number) => number !== undefined).sort((a, b) => a - b)
}

/** Size of a segment's file. */
export function fileBytes(files: Files, directory: string, segment: number): number {
  const file = files.open(segmentPath(directory, segment), 'read')
  try {
    return files.size(file)
  } finally {
    files.close(file)
  }
}

export function readSegmentHeader(
  files: Files,
  directory: string,
  segment: number,
): DecodedSegmentHeader & { readonly bytes: Buffer } {
  const file = files.open(segmentPath(directory, segment), 'read')
  try {
    const bytes = Buffer.alloc(segmentHeaderBytes)
    files.read(file, bytes, 0)
    const decoded = decodeSegmentHeader(bytes)
    if (!decoded.ok || decoded.header.segment === segment) return { ...decoded, bytes }
    return { ok: false, reason: `header says segment ${decoded.header.segment}`, bytes }
  } finally {
    files.close(file)
  }
}

/** One live segment. `length` is where it ends, when an explicit successor says so. */
export interface PathSegment {
  readonly header: SegmentHeader
  readonly crc: number
  readonly length: number | undefined
}

/**
 * The live segments from `first` to `last`, found by walking back from `last`: what no successor names is void.
 * Throws `SPOOL_CORRUPT` for a bad header or a missing segment, `SPOOL_VERSION` for a later format.
 */
export function readPath(files: Files, directory: string, range: { first: number; last: number }): PathSegment[] {
  const present = new Set(listSegments(files, directory))
  const path: PathSegment[] = []
  let length: number | undefined
  for (let segment = range.last; segment >= range.first && segment > 0; ) {
    if (!present.has(segment)) throw damaged(directory, segment, { kind: 'missing', what: 'the file is missing' })
    const decoded = readSegmentHeader(files, directory, segment)
    if (!decoded.ok && decoded.newer) throw newerVersion(segmentPath(directory, segment), decoded.reason)
    if (!decoded.ok) throw damaged(directory, segment, decoded.reason)
    if (decoded.header.previous >= segment) throw damaged(directory, segment, 'its header leads to a later segment')
    path.unshift({ header: decoded.header, crc: decoded.crc, length })
    length = decoded.header.kind === 'explicit' ? decoded.header.previousLength : undefined
    segment = decoded.header.previous
  }
  return path
}

/**
 * Creates a segment, and syncs it with what `complete` writes behind its header. It has a temporary name: the real
 * one, by `nameSegment` or when the application thread has filled it, stands only for what is synced.
 */
export function createSegment(
  files: Files,
  directory: string,
  { header, complete }: { header: SegmentHeader; complete?: (created: CreatedSegment) => void },
): CreatedSegment {
  const file = files.open(temporaryPath(directory, header.segment), 'create')
  try {
    const bytes = encodeSegmentHeader(header)
    files.write(file, bytes, 0)
    const created = { file, crc: headerCrc(bytes) }
    complete?.(created)
    files.sync(file)
    return created
  } catch (error) {
    files.close(file)
    throw error
  }
}

export interface CreatedSegment {
  readonly file: number
  /** CRC of its header, to which the first frame of an explicit segment links. */
  readonly crc: number
}

/** Name of a segment until what it needs is synced. */
export function temporaryPath(directory: string, segment: number): string {
  return `${segmentPath(directory, segment)}.tmp`
}

/** Removes what an attempt to make a segment has left, under either name; a disk that refuses leaves it to recovery. */
export function discardSegment(files: Files, directory: string, segment: number): void {
  for (const path of [temporaryPath(directory, segment), segmentPath(directory, segment)]) {
    try {
      files.unlink(path)
    } catch (error) {
      if (errorCode(error) === undefined) throw error
    }
  }
}

/** A spool's directory, with the descriptor by which the holder syncs the names that it makes. */
export interface OpenDirectory {
  readonly path: string
  readonly file: number
}

export function openDirectory(files: Files, path: string): OpenDirectory {
  return { path, file: files.openDirectory(path) }
}

/** Gives a synced segment its name; durable on return. */
export function nameSegment(files: Files, directory: OpenDirectory, segment: number): void {
  files.rename(temporaryPath(directory.path, segment), segmentPath(directory.path, segment))
  files.syncDirectory(directory.file)
}

/** What a frame carries, on its way from one segment to another. */
export interface CarriedRecord {
  readonly record: Buffer
  readonly attachment: Buffer
  readonly flags: number
}

export interface SegmentContents {
  readonly spoolId: string
  readonly stream: string
  readonly epoch: number
  readonly segment: number
  readonly previous: SpoolPosition
  readonly nextSequence: number
  readonly hash: string | undefined
  readonly records: readonly CarriedRecord[]
}

/** Writes, syncs and names an explicit segment; returns it open for writing. */
export function publishSegment(files: Files, directory: OpenDirectory, contents: SegmentContents): OpenSegment {
  const { spoolId, stream, epoch, segment, previous, nextSequence: base, records } = contents
  const salt = randomBytes(4).readUInt32LE()
  const publishedLength = records.reduce((sum, carried) => sum + frameBytes(loadOf(carried)), segmentHeaderBytes)
  const own = { kind: 'explicit', spoolId, stream, segment, salt, epoch, base, createdMs: nowMs() } as const
  const proof = { previous: previous.segment, previousLength: previous.offset, publishedLength }
  const header: SegmentHeader = { ...own, ...proof, previousHash: contents.hash }
  let frameCrc = 0
  const complete = (created: CreatedSegment) => {
    frameCrc = writeFrames(files, created, { contents, salt })
  }
  const { file } = createSegment(files, directory.path, { header, complete })
  nameSegment(files, directory, segment)
  return { segment, file, salt, offset: publishedLength, frameNumber: records.length, frameCrc }
}

/** Writes the records behind the header; the CRC that the next frame links to. */
function writeFrames(
  files: Files,
  { file, crc }: CreatedSegment,
  { contents, salt }: { contents: SegmentContents; salt: number },
): number {
  let frameCrc = crc
  let offset = segmentHeaderBytes
  contents.records.forEach((carried, index) => {
    const { record, attachment, flags } = carried
    const frame = Buffer.alloc(frameBytes(loadOf(carried)))
    record.copy(frame, frameHeaderBytes)
    attachment.copy(frame, frameHeaderBytes + record.length)
    const place = { flags, salt, number: index + 1, sequence: contents.nextSequence + index, previousCrc: frameCrc }
    frameCrc = encodeFrame(frame, { ...place, known: contents.previous }, loadOf(carried))
    files.write(file, frame, offset)
    offset += frame.length
  })
  return frameCrc
}

function loadOf({ record, attachment }: CarriedRecord): FrameLoad {
  return { record: record.length, attachment: attachment.length }
}

/** Removes segments that control no longer needs; durable on return. */
export function unlinkSegments(files: Files, directory: OpenDirectory, segments: readonly number[]): void {
  for (const segment of segments) files.unlink(segmentPath(directory.path, segment))
  if (segments.length > 0) files.syncDirectory(directory.file)
}

/** Walks the frames of one segment in order, checking number, salt and link of each. */
export class FrameReader {
  readonly #files: Files
  readonly #file: number
  readonly #salt: number
  #place: FramePlace
  #buffer: Buffer = Buffer.alloc(0)
  #bufferOffset = 0

  constructor(files: Files, segment: { file: number; salt: number }, start: FramePlace) {
    this.#files = files
    this.#file = segment.file
    this.#salt = segment.salt
    this.#place = start
  }

  /** Behind the last frame that was returned. */
  get place(): FramePlace {
    return this.#place
  }

  /**
   * The next frame that ends at or before `limit`, or `undefined` where none follows. The record is a view of a
   * buffer that no later call overwrites.
   */
  next(limit = Number.MAX_SAFE_INTEGER): DecodedFrame | undefined {
    const { offset } = this.#place
    return (
      this.#read(offset, limit) ?? (offset === nextSector(offset) ? undefined : this.#read(nextSector(offset), limit))
    )
  }

  #read(offset: number, limit: number): DecodedFrame | undefined {
    if (offset >= limit) return undefined
    this.#buffered(offset, frameHeaderBytes, limit)
    let reading = decodeFrame(this.#buffer, offset - this.#bufferOffset, this.#salt)
    if (reading.kind === 'partial' && offset + reading.needs <= limit) {
      this.#buffered(offset, reading.needs, limit)
      reading = decodeFrame(this.#buffer, offset - this.#bufferOffset, this.#salt)
    }
    if (reading.kind !== 'frame') return undefined
    const { frame } = reading
    if (frame.number !== this.#place.frameNumber + 1 || frame.previousCrc !== this.#place.frameCrc) return undefined
    const end = frame.end + this.#bufferOffset
    if (end > limit) return undefined
    this.#place = { offset: end, frameNumber: frame.number, frameCrc: frame.crc }
    return frame
  }

  /** Sees to it that `length` bytes at `offset` are in the buffer, as far as file and limit go. */
  #buffered(offset: number, length: number, limit: number): void {
    const start = offset - this.#bufferOffset
    if (start >= 0 && start + length <= this.#buffer.length) return
    const left = Math.max(0, this.#files.size(this.#file) - offset) // of a small segment: reserve no more
    const wanted = Math.min(Math.max(length, readBytes), limit - offset, left)
    const fresh = Buffer.allocUnsafeSlow(wanted)
    this.#buffer = fresh.subarray(0, this.#files.read(this.#file, fresh, offset))
    this.#bufferOffset = offset
  }
}
