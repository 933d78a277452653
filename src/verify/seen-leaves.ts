/**
 * The leaf hash of every sequence of a stream that verification has left behind, so that a late repeat can be told from a
 * forgery. With a shelf memory is constant but for 100 bytes for each thousand records; without one it is 32 bytes a
 * record. A sequence never seen costs nothing, however large the number is.
 */

import { hashBytes } from '../chain/hash.ts'
import { type Chunk, chunkBytes, type LeafShelf } from './leaf-shelf.ts'

const chunkLeaves = chunkBytes / hashBytes
const absent = '00'.repeat(hashBytes)

export class SeenLeaves {
  readonly #shelf: LeafShelf
  readonly #chunks = new Map<number, Chunk>()

  /** Several streams may share a shelf, which is closed by whoever made it. */
  constructor(shelf: LeafShelf) {
    this.#shelf = shelf
  }

  set(sequence: number, leaf: string): void {
    this.#change(Math.floor(sequence / chunkLeaves)).write(leaf, (sequence % chunkLeaves) * hashBytes, 'hex')
  }

  /** Sets the first `count` of the leaf hashes that stand side by side in `leaves`, from `sequence` on. */
  setRow(sequence: number, leaves: Buffer, count: number): void {
    for (let done = 0; done < count; ) {
      const at = (sequence + done) % chunkLeaves
      const here = Math.min(count - done, chunkLeaves - at)
      const chunk = this.#change(Math.floor((sequence + done) / chunkLeaves))
      leaves.copy(chunk, at * hashBytes, done * hashBytes, (done + here) * hashBytes)
      done += here
    }
  }

  get(sequence: number): string | undefined {
    const chunk = this.#chunks.get(Math.floor(sequence / chunkLeaves))
    const offset = (sequence % chunkLeaves) * hashBytes
    const leaf = chunk && this.#shelf.open(chunk).toString('hex', offset, offset + hashBytes)
    return leaf === absent ? undefined : leaf
  }

  /** Every sequence that was set, in order. */
  *sequences(): Generator<number> {
    for (const number of [...this.#chunks.keys()].sort((one, other) => one - other)) {
      for (let at = 0; at < chunkLeaves; at += 1) {
        const sequence = number * chunkLeaves + at
        if (this.get(sequence) !== undefined) yield sequence
      }
    }
  }

  #change(number: number): Buffer {
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      chunk = this.#shelf.add()
      this.#chunks.set(number, chunk)
    }
    const bytes = this.#shelf.open(chunk)
    chunk.isChanged = true
    return bytes
  }
}
