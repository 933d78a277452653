/**
 * Appends records to the open segment, on the application thread: one frame and one write call a record, nothing
 * else. When `append` returns, the kernel has the bytes and they survive SIGKILL. It never waits for a sync: the
 * roll to the next segment happens only when the sync thread has one ready.
 */

import { leafHash } from '../chain/hash.ts'
import { recordBytesMax, segmentBytesMax } from '../limits.ts'
import type { Files } from './files.ts'
import { encodeFrame, frameBytes, frameHeaderBytes, segmentHeaderBytes } from './format.ts'
import type { Positions, SpoolEnd } from './positions.ts'
import type { OpenSegment } from './segment.ts'

export class SpoolWriter {
  readonly #files: Files
  readonly #positions: Positions
  readonly #segmentBytesMax: number
  readonly #buffer = Buffer.allocUnsafeSlow(frameBytes({ record: recordBytesMax, attachment: 0 }))
  #segment: OpenSegment
  #offset: number
  #frameNumber: number
  #frameCrc: number
  #nextSequence: number

  constructor(
    files: Files,
    positions: Positions,
    start: { segment: OpenSegment; nextSequence: number; segmentBytesMax?: number | undefined },
  ) {
    this.#files = files
    this.#positions = positions
    this.#segmentBytesMax = start.segmentBytesMax ?? segmentBytesMax
    this.#segment = start.segment
    this.#offset = start.segment.offset
    this.#frameNumber = start.segment.frameNumber
    this.#frameCrc = start.segment.frameCrc
    this.#nextSequence = start.nextSequence
  }

  get end(): SpoolEnd {
    return { segment: this.#segment.segment, offset: this.#offset, nextSequence: this.#nextSequence }
  }

  /**
   * Writes one record; its leaf hash. Throws what the file system throws; then nothing was appended and the next try
   * may succeed. The hash is taken here because here the record's bytes stand: from a string it would be encoded twice.
   */
  append(record: string, flags: number): string {
    const recordBytes = this.#buffer.write(record, frameHeaderBytes, recordBytesMax, 'utf8')
    const hash = leafHash(this.#buffer.subarray(frameHeaderBytes, frameHeaderBytes + recordBytes))
    const load = { record: recordBytes, attachment: 0 }
    const length = frameBytes(load)
    this.#offset = this.#positions.beginAppend(this.end)
    try {
      if (this.#offset + length > this.#segmentBytesMax) this.#roll()
      const crc = encodeFrame(
        this.#buffer,
        {
          flags,
          salt: this.#segment.salt,
          number: this.#frameNumber + 1,
          sequence: this.#nextSequence,
          previousCrc: this.#frameCrc,
          known: this.#positions.known(),
        },
        load,
      )
      this.#write(length)
      this.#offset += length
      this.#frameNumber += 1
      this.#frameCrc = crc
      this.#nextSequence += 1
      return hash
    } finally {
      this.#positions.endAppend(this.end)
    }
  }

  /** A write that fails half-way may leave a whole frame without its padding: void its magic before giving up. */
  #write(length: number): void {
    try {
      this.#files.write(this.#segment.file, this.#buffer.subarray(0, length), this.#offset)
    } catch (error) {
      try {
        this.#files.write(this.#segment.file, Buffer.alloc(4), this.#offset)
      } catch {
        // The disk takes nothing at all; the next append overwrites this place, and its sequence is the same.
      }
      throw error
    }
  }

  #roll(): void {
    const spare = this.#positions.takeSpare()
    if (spare === undefined) return // go on in the old segment rather than wait
    this.#segment = { ...spare, offset: segmentHeaderBytes, frameNumber: 0, frameCrc: this.#frameCrc }
    this.#offset = segmentHeaderBytes
    this.#frameNumber = 0
  }
}
