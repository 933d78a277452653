/**
 * Splits a byte stream into lines without ever decoding it: what is hashed later are the bytes as they stand
 * between two newlines. Memory is one chunk and one line; a line beyond the limit is hashed and passed over.
 */

import { createHash, type Hash } from 'node:crypto'

export interface Line {
  readonly bytes: Buffer
  /** Counts from 1. */
  readonly number: number
  /** Whether a newline ended it; only the last line may lack one. */
  readonly isEnded: boolean
  /** Leaf hash of a line that was too long to keep; `bytes` is then empty. */
  readonly tooLong?: string
}

const newline = 0x0a

/** The lines of each chunk. Their bytes are valid until the next group is asked for. */
export async function* splitLines(chunks: AsyncIterable<Buffer>, lineBytesMax: number): AsyncGenerator<Line[]> {
  const splitter = new LineSplitter(lineBytesMax)
  for await (const chunk of chunks) yield splitter.push(chunk)
  yield splitter.end()
}

class LineSplitter {
  readonly #lineBytesMax: number
  #number = 0
  #parts: Buffer[] = []
  #length = 0
  #overlong: Hash | undefined

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  push(chunk: Buffer): Line[] {
    const lines: Line[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      lines.push(
        this.#length === 0 ? this.#whole(chunk.subarray(start, end)) : this.#endWith(chunk.subarray(start, end)),
      )
      start = end + 1
    }
    if (start < chunk.length) this.#keep(Buffer.from(chunk.subarray(start)))
    return lines
  }

  end(): Line[] {
    return this.#length > 0 ? [this.#take(false)] : []
  }

  /** Most lines lie in one chunk. */
  #whole(bytes: Buffer): Line {
    if (bytes.length > this.#lineBytesMax) return this.#endWith(bytes)
    this.#number += 1
    return { number: this.#number, isEnded: true, bytes }
  }

  #endWith(rest: Buffer): Line {
    this.#keep(rest)
    return this.#take(true)
  }

  #keep(part: Buffer): void {
    this.#length += part.length
    if (this.#length > this.#lineBytesMax) {
      this.#overlong ??= this.#parts.reduce((hash, kept) => hash.update(kept), createHash('sha256').update('\0'))
      this.#overlong.update(part)
      this.#parts = []
    } else this.#parts.push(part)
  }

  #take(isEnded: boolean): Line {
    this.#number += 1
    const [only = empty, ...more] = this.#parts
    const line = { number: this.#number, isEnded, bytes: more.length === 0 ? only : Buffer.concat(this.#parts) }
    const tooLong = this.#overlong?.digest('hex')
    this.#parts = []
    this.#length = 0
    this.#overlong = undefined
    return tooLong === undefined ? line : { ...line, tooLong }
  }
}

const empty = Buffer.alloc(0)
