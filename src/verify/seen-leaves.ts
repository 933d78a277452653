/**
 * The leaf hash of every sequence that verification has left behind, so that a late repeat can be told from a
 * forgery. Costs 32 bytes a record, the only memory of verification that grows with a copy; a sequence never
 * seen costs nothing, however large the number is.
 */

import { hashBytes } from '../chain/hash.ts'

const chunkLeaves = 1_024
const absent = '00'.repeat(hashBytes)

export class SeenLeaves {
  readonly #chunks = new Map<number, Buffer>()

  set(sequence: number, leaf: string): void {
    const number = Math.floor(sequence / chunkLeaves)
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      chunk = Buffer.alloc(chunkLeaves * hashBytes)
      this.#chunks.set(number, chunk)
    }
    chunk.write(leaf, (sequence % chunkLeaves) * hashBytes, 'hex')
  }

  /** Sets the first `count` of the leaf hashes that stand side by side in `leaves`, from `sequence` on. */
  setRow(sequence: number, leaves: Buffer, count: number): void {
    for (let index = 0; index < count; index += 1)
      this.set(sequence + index, leaves.toString('hex', index * hashBytes, (index + 1) * hashBytes))
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

  get(sequence: number): string | undefined {
    const offset = (sequence % chunkLeaves) * hashBytes
    const leaf = this.#chunks.get(Math.floor(sequence / chunkLeaves))?.toString('hex', offset, offset + hashBytes)
    return leaf === absent ? undefined : leaf
  }
}
