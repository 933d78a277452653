/**
 * Bytes of the spool on disk, format version 1, frozen. Little-endian; CRC is `zlib.crc32`; times are milliseconds
 * since the epoch. docs/formats.md holds the same tables with a worked example.
 *
 * Segment `seg-00000001.wal`: header of 4,096 bytes, then frames.
 *
 *   header, first sector            offset size                  second block, at 512        offset size
 *   magic "OAUDSEG" 0xFF                 0    8                  magic "FRON"                   0    4
 *   format version                       8    2                  base sequence                  8    8
 *   checksum algorithm, 1 = crc32       10    2                  leaf hash of base - 1         16   32
 *   kind, 1 planned, 2 explicit         12    4                  count of frontier hashes      48    4
 *   spool id                            16   16                  CRC the first frame links to  52    4
 *   stream                              32   16                  when it was written           56    8
 *   segment number                      48    4                  frontier of size base - 1     64  32n
 *   salt                                52    4                  CRC of all before it         last    4
 *   owner epoch                         56    4
 *   previous segment, 0 = none          60    4      A planned header is made ahead of the roll and proves nothing
 *   base sequence (explicit)            64    8      about its predecessor. An explicit one states the predecessor's
 *   previous durable length (explicit)  72    8      durable length and its own length when it was published.
 *   own published length (explicit)     80    8
 *   leaf hash of base - 1 (explicit)    88   32
 *   when it was made                   120    8
 *   CRC                                508    4
 *
 * Frame: aligned to 8 bytes, one record each, never across segments. Zeros where a frame would start mean that none
 * follows here; the next may start at the next sector boundary (after a sync, see `positions.ts`).
 *
 *   magic 0xFF 'F' 'R' 0xA5              0    4      A length is believed only after the header's CRC. Salt and the
 *   header length, 56                    4    2      previous frame's CRC make stale bytes invalid: the first frame
 *   flags                                6    2      of an explicit segment names its segment header's CRC, that of
 *   salt of the segment                  8    4      a planned one continues from the last frame before it.
 *   frame number, from 1                12    4      The last byte of a frame is 0xA5, so that a refused write that
 *   sequence                            16    8      lacks only its padding is no frame.
 *   record length                       24    4
 *   attachment length (disclosures)     28    4      Flags: 1 a checkpoint record, 2 the attachment is disclosures,
 *   previous frame's CRC                32    4      which travel beside the record, outside its hash.
 *   known durable segment, offset       36    8
 *   CRC of the body, to its last byte   44    4
 *   reserved, 0                         48    4
 *   CRC of the header before it         52    4
 *   body: record, attachment, zeros, and 0xA5 as the last byte of a multiple of 8
 */

import { crc32 } from 'node:zlib'
import { sectorBytes } from '../limits.ts'

export const spoolVersion = 1
export const segmentHeaderBytes = 4_096
export const frameHeaderBytes = 56

const frameMagic = 0xa55246ff
const bodyEnd = 0xa5

/** Set on the frame of a checkpoint record: an uncovered checkpoint alone asks for no further checkpoint. */
export const checkpointFlag = 1
/** Set on a frame whose attachment holds disclosures. */
export const disclosuresFlag = 2

/** A place in the spool. Frames before `offset` in `segment`, and all segments before it on the path, are meant. */
export interface SpoolPosition {
  readonly segment: number
  readonly offset: number
}

/** Whether one place lies before another; segment numbers grow along the path. */
export function isBefore(one: SpoolPosition, other: SpoolPosition): boolean {
  return one.segment < other.segment || (one.segment === other.segment && one.offset < other.offset)
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

/** Lengths of what a frame carries, in bytes. */
export interface FrameLoad {
  readonly record: number
  readonly attachment: number
}

/** Bytes of a frame with this load, padding included. */
export function frameBytes({ record, attachment }: FrameLoad): number {
  return (frameHeaderBytes + record + attachment + 1 + 7) & ~7
}

/**
 * Completes a frame around the record and attachment that already stand from `frameHeaderBytes` on in `into`; returns
 * the header's CRC. In place because the application thread encodes each record straight into its one write buffer.
 */
export function encodeFrame(into: Buffer, header: FrameHeader, load: FrameLoad): number {
  const end = frameBytes(load)
  const view = new DataView(into.buffer, into.byteOffset) // half the time of the Buffer's own write methods
  for (let at = frameHeaderBytes + load.record + load.attachment; at < end - 1; at += 1) into[at] = 0
  into[end - 1] = bodyEnd
  view.setUint32(0, frameMagic, true)
  view.setUint16(4, frameHeaderBytes, true)
  view.setUint16(6, header.flags, true)
  view.setUint32(8, header.salt, true)
  view.setUint32(12, header.number, true)
  view.setUint32(16, header.sequence % 2 ** 32, true)
  view.setUint32(20, Math.floor(header.sequence / 2 ** 32), true)
  view.setUint32(24, load.record, true)
  view.setUint32(28, load.attachment, true)
  view.setUint32(32, header.previousCrc, true)
  view.setUint32(36, header.known.segment, true)
  view.setUint32(40, header.known.offset, true)
  view.setUint32(44, crc32(into.subarray(frameHeaderBytes, end)), true)
  view.setUint32(48, 0, true)
  const crc = crc32(into.subarray(0, 52))
  view.setUint32(52, crc, true)
  return crc
}

export interface DecodedFrame extends FrameHeader {
  readonly crc: number
  /** The record's bytes, a view of the buffer read from. */
  readonly record: Buffer
  /** What travels beside the record, a view too; empty in most frames. */
  readonly attachment: Buffer
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
  const load = { record: bytes.readUInt32LE(offset + 24), attachment: bytes.readUInt32LE(offset + 28) }
  const needs = frameBytes(load)
  const start = offset + frameHeaderBytes
  const end = offset + needs
  if (end > bytes.length) return { kind: 'partial', header, needs }
  const bodyCrc = crc32(bytes.subarray(start, end))
  if (bytes[end - 1] !== bodyEnd || bodyCrc !== bytes.readUInt32LE(offset + 44))
    return { kind: 'damaged', header, needs }
  const record = bytes.subarray(start, start + load.record)
  const attachment = bytes.subarray(start + load.record, start + load.record + load.attachment)
  return { kind: 'frame', frame: { ...header, crc, record, attachment, end } }
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
