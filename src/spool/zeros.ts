/**
 * Zeros ahead of the frames, on the application thread: to sync bytes that a file has already, its metadata need not
 * change, and at 1 to 32 in flight a sync takes two thirds of the time. To a reader zeros are nothing, like the end of
 * the file. Only the thread that writes the frames writes them, so that none is ever overwritten.
 */

import type { Files } from './files.ts'
import { isNoSpace } from './state.ts'

/** How far at a time, at least and at most; between them as far as the segment is long. */
const aheadBytes = { least: 16 * 1024, most: 256 * 1024 }
const zeros = Buffer.alloc(aheadBytes.most)

export class Zeros {
  readonly #files: Files
  readonly #segmentBytesMax: number
  #end = 0

  constructor(files: Files, segmentBytesMax: number) {
    this.#files = files
    this.#segmentBytesMax = segmentBytesMax
  }

  /** Another segment is written now. */
  reset(): void {
    this.#end = 0
  }

  /** Sees to it that a frame of this length at `offset` meets zeros; never behind the limit of a segment. */
  writeAhead(file: number, offset: number, length: number): void {
    if (offset + length <= this.#end) return
    const start = Math.max(offset, this.#end)
    const ahead = Math.min(aheadBytes.most, Math.max(aheadBytes.least, start))
    const end = Math.min(start + ahead, this.#segmentBytesMax)
    if (end <= start) return
    try {
      this.#files.write(file, zeros.subarray(0, end - start), start)
      this.#end = end
    } catch (error) {
      if (!isNoSpace(error)) throw error
      this.#end = Number.POSITIVE_INFINITY // the disk is nearly full: what room there is belongs to records
    }
  }
}
