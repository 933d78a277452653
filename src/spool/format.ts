/**
 * Bytes of the spool on disk, format version 0. Little-endian; CRC is `zlib.crc32`. docs/formats.md holds the same
 * tables with a worked example.
 *
 * Segment `seg-00000001.wal`: header of 4,096 bytes, then frames.
 *
 *   header, first sector            offset size                  second block, at 512        offset size
 *   magic "OAUDSEG" 0xFF                 0    8                  magic "FRON"                   0    4
 *   format version                       8    2                  base sequence                  8    8
 *   checksum algorithm, 1 = crc32       10    2                  leaf hash of base - 1         16   32
 *   kind, 1 planned, 2 explicit         12    4                  count of frontier hashes      48    4
 *   spool id                            16   16                  CRC the first frame links to  52    4
 *   stream                              32   16                  frontier of size base - 1     64  32n
 *   segment number                      48    4                  CRC of all before it         last    4
 *   salt                                52    4      A planned header is made ahead of the roll and proves nothing
 *   owner epoch                         56    4      about its predecessor. An explicit one states the predecessor's
 *   previous segment, 0 = none          60    4      durable length and its own length when it was published.
 *   base sequence (explicit)            64    8
 *   previous durable length (explicit)  72    8
 *   own published length (explicit)     80    8
 *   leaf hash of base - 1 (explicit)    88   32
 *   CRC                                508    4
 *
 * Frame: aligned to 8 bytes, one record each, never across segments. Zeros where a frame would start mean that none
 * follows here; the next may start at the next sector boundary (after a sync, see `positions.ts`).
 *
 *   magic 0xFF 'F' 'R' 0xA5              0    4      A length is believed only after the header's CRC. Salt and the
 *   header length, 56                    4    2      previous frame's CRC make stale bytes invalid: the first frame
 *   flags                                6    2      of an explicit segment names its segment header's CRC, that of
 *   salt of the segment                  8    4      a planned one continues from the last frame before it.
 *   frame number, from 1                12    4      The body ends with 0xA5, so that a write that lacks only its
 *   sequence                            16    8      padding is no frame.
 *   record length                       24    4
 *   attachment length (disclosures)     28    4
 *   previous frame's CRC                32    4
 *   known durable segment, offset       36    8
 *   CRC of the body                     44    4
 *   reserved, 0                         48    4
 *   CRC of the header before it         52    4
 *   body: record, attachment, 0xA5, zeros up to a multiple of 8
 */

import { crc32 } from 'node:zlib'
import { sectorBytes } from '../limits.ts'

export const spoolVersion = 0
export const segmentHeaderBytes = 4_096
export const frameHeaderBytes = 56

const segmentMagic = Buffer.from('4f415544534547ff', 'hex')
const frontierMagic = Buffer.from('FRON')
const frontierOffset = 512
const frameMagic = 0xa55246ff
const bodyEnd = 0xa5
const zeroHash = '0'.repeat(64)

/** Set on the frame of a checkpoint record: an uncovered checkpoint alone asks for no further checkpoint. */
export const checkpointFlag = 1

/** A place in the spool. Frames before `offset` in `segment`, and all segments before it on the path, are meant. */
export interface SpoolPosition {
  readonly segment: number
  readonly offset: number
}

/** Whether one place lies before another; segment numbers grow along the path. */
export function isBefore(one: SpoolPosition, other: SpoolPosition): boolean {
  return one.segment < other.segment || (one.segment === other.segment && one.offset < other.offset)
}

export interface SegmentHeader {
  readonly kind: 'planned' | 'explicit'
  readonly spoolId: string
  readonly stream: string
  readonly segment: number
  readonly salt: number
  readonly epoch: number
  /** Number of the previous segment, 0 = none. */
  readonly previous: number
  /** Explicit only: sequence of the first record. */
  readonly base: number
  /** Explicit only: where the previous segment durably ends. */
  readonly previousLength: number
  /** Explicit only: how long this segment was when it got its name. */
  readonly publishedLength: number
  /** Explicit only: leaf hash of `base - 1`; `undefined` at base 1. */
  readonly previousHash: string | undefined
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes)
  segmentMagic.copy(bytes)
  bytes.writeUInt16LE(spoolVersion, 8)
  bytes.writeUInt16LE(1, 10)
  bytes.writeUInt32LE(header.kind === 'planned' ? 1 : 2, 12)
  bytes.write(header.spoolId.replaceAll('-', ''), 16, 'hex')
  bytes.write(header.stream.replaceAll('-', ''), 32, 'hex')
  bytes.writeUInt32LE(header.segment, 48)
  bytes.writeUInt32LE(header.salt, 52)
  bytes.writeUInt32LE(header.epoch, 56)
  bytes.writeUInt32LE(header.previous, 60)
  bytes.writeBigUInt64LE(BigInt(header.base), 64)
  bytes.writeBigUInt64LE(BigInt(header.previousLength), 72)
  bytes.writeBigUInt64LE(BigInt(header.publishedLength), 80)
  bytes.write(header.previousHash ?? zeroHash, 88, 'hex')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 508)), 508)
  return bytes
}

/** A header, with the CRC that its first frame links to; or why it is none. */
export type DecodedSegmentHeader =
  | { readonly ok: true; readonly header: SegmentHeader; readonly crc: number }
  | { readonly ok: false; readonly reason: string; readonly newer?: boolean }

export function decodeSegmentHeader(bytes: Buffer): DecodedSegmentHeader {
  if (bytes.length < sectorBytes) return { ok: false, reason: `header of ${bytes.length} bytes` }
  if (!bytes.subarray(0, 8).equals(segmentMagic)) return { ok: false, reason: 'no segment magic' }
  const version = bytes.readUInt16LE(8)
  if (version > spoolVersion) return { ok: false, reason: `format version ${version}`, newer: true }
  const crc = bytes.readUInt32LE(508)
  if (crc !== crc32(bytes.subarray(0, 508))) return { ok: false, reason: 'header checksum does not match' }
  const base = Number(bytes.readBigUInt64LE(64))
  return {
    ok: true,
    crc,
    header: {
      kind: bytes.readUInt32LE(12) === 1 ? 'planned' : 'explicit',
      spoolId: decodeUuid(bytes, 16),
      stream: decodeUuid(bytes, 32),
      segment: bytes.readUInt32LE(48),
      salt: bytes.readUInt32LE(52),
      epoch: bytes.readUInt32LE(56),
      previous: bytes.readUInt32LE(60),
      base,
      previousLength: Number(bytes.readBigUInt64LE(72)),
      publishedLength: Number(bytes.readBigUInt64LE(80)),
      previousHash: base <= 1 ? undefined : bytes.toString('hex', 88, 120),
    },
  }
}

/** The tree at the start of a segment: what came before it, folded. */
export interface SegmentFrontier {
  readonly base: number
  readonly previousHash: string | undefined
  readonly hashes: readonly Uint8Array[]
  /** CRC that the first frame links to. */
  readonly frameCrc: number
}

/** The second header block; written at `frontierOffset` before anything in the segment is credited. */
export function encodeSegmentFrontier(frontier: SegmentFrontier): { bytes: Buffer; offset: number } {
  const end = 64 + 32 * frontier.hashes.length
  const bytes = Buffer.alloc(end + 4)
  frontierMagic.copy(bytes)
  bytes.writeBigUInt64LE(BigInt(frontier.base), 8)
  bytes.write(frontier.previousHash ?? zeroHash, 16, 'hex')
  bytes.writeUInt32LE(frontier.hashes.length, 48)
  bytes.writeUInt32LE(frontier.frameCrc, 52)
  frontier.hashes.forEach((hash, index) => {
    bytes.set(hash, 64 + 32 * index)
  })
  bytes.writeUInt32LE(crc32(bytes.subarray(0, end)), end)
  return { bytes, offset: frontierOffset }
}

/** The frontier in a whole segment header; `undefined` where none was written or it is damaged. */
export function decodeSegmentFrontier(header: Buffer): SegmentFrontier | undefined {
  const bytes = header.subarray(frontierOffset)
  if (!bytes.subarray(0, 4).equals(frontierMagic)) return undefined
  const count = bytes.readUInt32LE(48)
  const end = 64 + 32 * count
  if (end + 4 > bytes.length || bytes.readUInt32LE(end) !== crc32(bytes.subarray(0, end))) return undefined
  const base = Number(bytes.readBigUInt64LE(8))
  const hashes = Array.from({ length: count }, (_, index) =>
    Buffer.from(bytes.subarray(64 + 32 * index, 96 + 32 * index)),
  )
  return {
    base,
    previousHash: base <= 1 ? undefined : bytes.toString('hex', 16, 48),
    hashes,
    frameCrc: bytes.readUInt32LE(52),
  }
}

/** What a frame says besides its record. */
export interface FrameHeader {
  readonly flags: number
  readonly salt: number
  readonly number: number
  readonly sequence: number
  readonly previousCrc: number
  readonly known: SpoolPosition
}

/** Bytes a frame takes with a record of `recordBytes`, padding included. */
export function frameBytes(recordBytes: number): number {
  return (frameHeaderBytes + recordBytes + 1 + 7) & ~7
}

/**
 * Completes a frame around a record that already stands at `frameHeaderBytes` in `into`; returns the header's CRC.
 * In place because the application thread encodes each record straight into its one write buffer.
 */
export function encodeFrame(into: Buffer, header: FrameHeader, recordBytes: number): number {
  const end = frameHeaderBytes + recordBytes
  const view = new DataView(into.buffer, into.byteOffset) // half the time of the Buffer's own write methods
  into[end] = bodyEnd
  for (let at = end + 1; at % 8 !== 0; at += 1) into[at] = 0
  view.setUint32(0, frameMagic, true)
  view.setUint16(4, frameHeaderBytes, true)
  view.setUint16(6, header.flags, true)
  view.setUint32(8, header.salt, true)
  view.setUint32(12, header.number, true)
  view.setUint32(16, header.sequence % 2 ** 32, true)
  view.setUint32(20, Math.floor(header.sequence / 2 ** 32), true)
  view.setUint32(24, recordBytes, true)
  view.setUint32(28, 0, true)
  view.setUint32(32, header.previousCrc, true)
  view.setUint32(36, header.known.segment, true)
  view.setUint32(40, header.known.offset, true)
  view.setUint32(44, crc32(into.subarray(frameHeaderBytes, end + 1)), true)
  view.setUint32(48, 0, true)
  const crc = crc32(into.subarray(0, 52))
  view.setUint32(52, crc, true)
  return crc
}

export interface DecodedFrame extends FrameHeader {
  readonly crc: number
  /** The record's bytes, a view of the buffer read from. */
  readonly record: Buffer
  /** Offset in the buffer just behind the padding. */
  readonly end: number
}

/**
 * What stands at an offset: a frame, nothing (no valid header of this segment), a valid header whose body is cut off
 * by the end of the buffer (`needs` bytes in all), or a valid header with a damaged body of that length.
 */
export type FrameReading =
  | { readonly kind: 'frame'; readonly frame: DecodedFrame }
  | { readonly kind: 'none' }
  | { readonly kind: 'partial'; readonly header: FrameHeader; readonly needs: number }
  | { readonly kind: 'damaged'; readonly header: FrameHeader; readonly needs: number }

const noFrame: FrameReading = { kind: 'none' }

export function decodeFrame(bytes: Buffer, offset: number, salt: number): FrameReading {
  if (offset + frameHeaderBytes > bytes.length) return noFrame
  if (bytes.readUInt32LE(offset) !== frameMagic || bytes.readUInt32LE(offset + 8) !== salt) return noFrame
  const crc = bytes.readUInt32LE(offset + 52)
  if (crc !== crc32(bytes.subarray(offset, offset + 52))) return noFrame
  const header = decodeFrameHeader(bytes, offset)
  const recordBytes = bytes.readUInt32LE(offset + 24) + bytes.readUInt32LE(offset + 28)
  const start = offset + bytes.readUInt16LE(offset + 4)
  const needs = frameBytes(recordBytes)
  if (start + recordBytes + 1 > bytes.length) return { kind: 'partial', header, needs }
  const bodyCrc = crc32(bytes.subarray(start, start + recordBytes + 1))
  if (bytes[start + recordBytes] !== bodyEnd || bodyCrc !== bytes.readUInt32LE(offset + 44))
    return { kind: 'damaged', header, needs }
  const record = bytes.subarray(start, start + bytes.readUInt32LE(offset + 24))
  return { kind: 'frame', frame: { ...header, crc, record, end: offset + needs } }
}

function decodeFrameHeader(bytes: Buffer, offset: number): FrameHeader {
  return {
    flags: bytes.readUInt16LE(offset + 6),
    salt: bytes.readUInt32LE(offset + 8),
    number: bytes.readUInt32LE(offset + 12),
    sequence: bytes.readUInt32LE(offset + 16) + bytes.readUInt32LE(offset + 20) * 2 ** 32,
    previousCrc: bytes.readUInt32LE(offset + 32),
    known: { segment: bytes.readUInt32LE(offset + 36), offset: bytes.readUInt32LE(offset + 40) },
  }
}

/** The next sector boundary at or after an offset. */
export function nextSector(offset: number): number {
  return Math.ceil(offset / sectorBytes) * sectorBytes
}

export function segmentName(segment: number): string {
  return `seg-${String(segment).padStart(8, '0')}.wal`
}

/** The number in a segment's file name, or `undefined` for any other name. */
export function segmentNumber(name: string): number | undefined {
  const match = /^seg-(\d{8})\.wal$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

function decodeUuid(bytes: Buffer, offset: number): string {
  const hex = bytes.toString('hex', offset, offset + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
