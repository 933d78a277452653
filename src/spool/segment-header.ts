/**
 * The header of a segment, and the block behind it that holds the tree at its start: the byte tables stand at the
 * head of `format.ts`.
 */

import { crc32 } from 'node:zlib'
import { sectorBytes } from '../limits.ts'
import { segmentHeaderBytes, spoolVersion } from './format.ts'

const segmentMagic = Buffer.from('4f415544534547ff', 'hex')
const frontierMagic = Buffer.from('FRON')
const frontierOffset = 512
const zeroHash = '0'.repeat(64)

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
  /** Milliseconds since the epoch. */
  readonly createdMs: number
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
  bytes.writeBigUInt64LE(BigInt(header.createdMs), 120)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 508)), 508)
  return bytes
}

/** The CRC in an encoded header: what the first frame of an explicit segment links to. */
export function headerCrc(header: Buffer): number {
  return header.readUInt32LE(508)
}

/** A header, with the CRC that its first frame links to; or why it is none. */
export type DecodedSegmentHeader =
  | { readonly ok: true; readonly header: SegmentHeader; readonly crc: number }
  | { readonly ok: false; readonly reason: string; readonly newer?: boolean }

export function decodeSegmentHeader(bytes: Buffer): DecodedSegmentHeader {
  if (bytes.length < sectorBytes) return { ok: false, reason: `header of ${bytes.length} bytes` }
  if (!bytes.subarray(0, 8).equals(segmentMagic)) return { ok: false, reason: 'no segment magic' }
  const version = bytes.readUInt16LE(8)
  const crc = headerCrc(bytes)
  const isWhole = crc === crc32(bytes.subarray(0, 508))
  // Not whole, the version itself may be what is damaged.
  if (version > spoolVersion) return { ok: false, reason: `format version ${version}`, newer: isWhole }
  if (version < spoolVersion) return { ok: false, reason: `format version ${version}, which was never released` }
  if (!isWhole) return { ok: false, reason: 'header checksum does not match' }
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
      createdMs: Number(bytes.readBigUInt64LE(120)),
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
  /** When the writer went over to this segment, milliseconds since the epoch: its predecessor was full then. */
  readonly writtenMs: number
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
  bytes.writeBigUInt64LE(BigInt(frontier.writtenMs), 56)
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
    writtenMs: Number(bytes.readBigUInt64LE(56)),
  }
}

function decodeUuid(bytes: Buffer, offset: number): string {
  const hex = bytes.toString('hex', offset, offset + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
