/**
 * The hashes of a stream (RFC 6962 section 2.1, RFC 9162 section 2.1.1) with their domain prefixes:
 *
 *   leaf = SHA-256(0x00 ‖ record)    node = SHA-256(0x01 ‖ left ‖ right)    empty tree = SHA-256("")
 *
 * One leaf hash serves both the chain (`prev` of the next record) and the tree. Nothing here parses a record:
 * what is hashed are the bytes as sealed. Example: the leaf of an empty record is 6e340b9c…17afa01d.
 */

import { hash } from 'node:crypto'
import { recordBytesMax } from '../limits.ts'

/** Length of every hash, in bytes; as hex digits it is twice that. */
export const hashBytes = 32

// Inputs are put together in place: nothing is allocated for a hash but its text.
const leafInput = Buffer.alloc(1 + recordBytesMax)
const nodeInput = Buffer.alloc(1 + 2 * hashBytes, 0x01)

/**
 * Leaf hash of a record, 64 lower-case hex digits. A string is hashed as its UTF-8.
 * Measured at 520 B: bytes 0.73 µs, ASCII string 0.85, other strings 1.5 (of which the encoding is half).
 */
export function leafHash(record: string | Uint8Array): string {
  if (typeof record === 'string') return hash('sha256', `\0${record}`, 'hex')
  if (record.length > recordBytesMax) return hash('sha256', Buffer.concat([Buffer.of(0x00), record]), 'hex')
  leafInput.set(record, 1)
  return hash('sha256', leafInput.subarray(0, 1 + record.length), 'hex')
}

/**
 * Writes the leaf hash of a record, 32 bytes, into `into` at `offset`: for many of them side by side. The record is copied
 * behind its prefix, 0.26 µs of 1.03 at 885 B: the byte before it cannot be lent to the prefix, because another thread,
 * which decompresses or reads into the same memory, may have written it meanwhile.
 */
export function writeLeafHash(record: Uint8Array, into: Buffer, offset: number): void {
  if (record.length > recordBytesMax) {
    into.write(leafHash(record), offset, 'hex')
    return
  }
  leafInput.set(record, 1)
  into.write(hash('sha256', leafInput.subarray(0, 1 + record.length), 'binary'), offset, 'latin1')
}

/** Hash of an inner node. Both children must be 32 bytes: a `RangeError` otherwise. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== hashBytes || right.length !== hashBytes) throw new RangeError('a tree hash has 32 bytes')
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + hashBytes)
  return Buffer.from(hash('sha256', nodeInput, 'binary'), 'latin1')
}

/**
 * Replaces the two adjacent hashes at `offset` by the hash of their parent, in the place of the left one.
 * For the frontier's stack: a string result costs 0.36 µs, a Buffer 1.1 and garbage outside the heap.
 */
export function foldPair(hashes: Buffer, offset: number): void {
  hashes.copy(nodeInput, 1, offset, offset + 2 * hashBytes)
  hashes.write(hash('sha256', nodeInput, 'binary'), offset, 'latin1')
}

/** Root of the tree without records. */
export function emptyRoot(): Buffer {
  return Buffer.from(hash('sha256', '', 'hex'), 'hex')
}
