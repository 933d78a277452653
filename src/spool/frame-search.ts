/**
 * Frames wherever they stand: every aligned place of a range whose frame header is valid, linked to what comes before
 * or not. For reading beside damage and behind it; what follows in order is read by `FrameReader`.
 */

import type { Files } from './files.ts'
import { type DecodedFrame, decodeFrame, type FrameHeader, frameHeaderBytes } from './format.ts'

const readBytes = 1024 * 1024

export interface FrameRange {
  readonly file: number
  readonly salt: number
  readonly from: number
  readonly to: number
}

/** A valid frame header, and what is behind it. */
export interface FoundFrame {
  readonly offset: number
  readonly header: FrameHeader
  /** Only of a whole frame. */
  readonly frame: DecodedFrame | undefined
  /** The range ends before the frame does. */
  readonly isCut: boolean
  /** All of the frame, as far as the range goes. */
  readonly bytes: Buffer
}

/** In order. The bytes are views of a buffer that no later step overwrites. */
export function* findFrames(files: Files, range: FrameRange): Generator<FoundFrame> {
  const { file, salt, to } = range
  let buffer: Buffer = Buffer.alloc(0)
  let start = range.from
  for (let offset = range.from; offset < to; ) {
    let reading = decodeFrame(buffer, offset - start, salt)
    const end = start + buffer.length
    const isCutByBuffer = reading.kind === 'partial' || (reading.kind === 'none' && offset + frameHeaderBytes > end)
    if (end < to && isCutByBuffer) {
      const needs = reading.kind === 'partial' ? reading.needs : 0
      const fresh = Buffer.allocUnsafeSlow(Math.min(Math.max(readBytes, needs), to - offset))
      buffer = fresh.subarray(0, files.read(file, fresh, offset))
      start = offset
      reading = decodeFrame(buffer, 0, salt)
    }
    const at = offset - start
    if (reading.kind === 'frame') {
      const { frame } = reading
      yield { offset, header: frame, frame, isCut: false, bytes: buffer.subarray(at, frame.end) }
      offset = start + frame.end
    } else if (reading.kind === 'none') {
      offset += 8
    } else {
      const isCut = reading.kind === 'partial'
      yield { offset, header: reading.header, frame: undefined, isCut, bytes: buffer.subarray(at, at + reading.needs) }
      offset += isCut ? 8 : reading.needs
    }
  }
}

/** Whether anything but zeros stands in a range; reads no further than to the first chunk that says so. */
export function hasBytes(files: Files, { file, from, to }: Omit<FrameRange, 'salt'>): boolean {
  for (let at = from; at < to; at += readBytes) {
    const bytes = Buffer.alloc(Math.min(readBytes, to - at))
    if (bytes.subarray(0, files.read(file, bytes, at)).some((byte) => byte !== 0)) return true
  }
  return false
}

/** Bytes from `from` on up to the last that is not zero, below `to`. */
export function bytesUntilZeros(files: Files, { file, from, to }: Omit<FrameRange, 'salt'>): number {
  let last = from
  for (let at = from; at < to; at += readBytes) {
    const bytes = Buffer.alloc(Math.min(readBytes, to - at))
    let end = files.read(file, bytes, at)
    while (end > 0 && bytes[end - 1] === 0) end -= 1
    if (end > 0) last = at + end
  }
  return last - from
}
