/**
 * Alternating slots: how the small files of the spool (control, cursors) are rewritten without a moment in which
 * neither the old nor the new state is readable. Slot of 4,096 bytes: magic "OAUDSLOT" (8), format version (2),
 * reserved (2), length of the text (4), generation (8), JSON text, and a CRC of all before it in the last 4 bytes.
 * The newest valid slot counts. JSON because these files are read by people in trouble.
 */

import { crc32 } from 'node:zlib'
import type { Files } from './files.ts'
import { spoolVersion } from './format.ts'
import { newerVersion } from './refusals.ts'

export const slotBytes = 4_096
const magic = Buffer.from('OAUDSLOT')
const textOffset = 24
const crcOffset = slotBytes - 4

export interface Slot {
  readonly generation: number
  readonly members: Record<string, unknown>
}

export function encodeSlot(slot: Slot): Buffer {
  const bytes = Buffer.alloc(slotBytes)
  magic.copy(bytes)
  bytes.writeUInt16LE(spoolVersion, 8)
  const text = JSON.stringify(slot.members)
  const length = Buffer.byteLength(text)
  if (length > crcOffset - textOffset) throw new RangeError(`slot of ${length} bytes`)
  bytes.writeUInt32LE(length, 12)
  bytes.writeBigUInt64LE(BigInt(slot.generation), 16)
  bytes.write(text, textOffset)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, crcOffset)), crcOffset)
  return bytes
}

/** The slot in these bytes; `undefined` when it was never written or is damaged; `newer` names a later format. */
export function decodeSlot(bytes: Buffer): Slot | undefined | { readonly newer: number } {
  if (bytes.length < slotBytes || !bytes.subarray(0, 8).equals(magic)) return undefined
  if (bytes.readUInt32LE(crcOffset) !== crc32(bytes.subarray(0, crcOffset))) return undefined
  const version = bytes.readUInt16LE(8)
  if (version > spoolVersion) return { newer: version }
  if (version < spoolVersion) return undefined // never released
  const text = bytes.toString('utf8', textOffset, textOffset + bytes.readUInt32LE(12))
  return { generation: Number(bytes.readBigUInt64LE(16)), members: JSON.parse(text) as Record<string, unknown> }
}

/**
 * Reads slot `index` of an open file; `undefined` when it was never written or is damaged. Throws `SPOOL_VERSION` for
 * a later format: what it says cannot be known, and neither slot may be overwritten.
 */
export function readSlot(files: Files, open: { file: number; path: string }, index: number): Slot | undefined {
  const bytes = Buffer.alloc(slotBytes)
  const length = files.read(open.file, bytes, index * slotBytes)
  const slot = decodeSlot(bytes.subarray(0, length))
  if (slot === undefined || !('newer' in slot)) return slot
  throw newerVersion(open.path, `format version ${slot.newer}`)
}

/** The newer of two slots. */
export function newest(one: Slot | undefined, other: Slot | undefined): Slot | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one.generation > other.generation ? one : other
}
