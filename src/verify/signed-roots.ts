/**
 * The root signed for each size of one stream: a size that comes again is a replay, or shows two histories. Keeps 40
 * bytes for each checkpoint, which is all of a whole copy that verification keeps in memory to the end.
 */

import { hashBytes } from '../chain/hash.ts'

const firstCapacity = 16

export class SignedRoots {
  /** Ascending, as are the roots beside them. */
  #sizes = new Float64Array(firstCapacity)
  #roots = Buffer.alloc(firstCapacity * hashBytes)
  #count = 0

  /** Keeps the first root signed for a size; returns it when there was one before. */
  add(size: number, root: Uint8Array): Buffer | undefined {
    const at = this.#placeOf(size)
    if (this.#sizes[at] === size && at < this.#count) return this.#rootAt(at)
    if (this.#count === this.#sizes.length) this.#grow()
    this.#sizes.copyWithin(at + 1, at, this.#count)
    this.#roots.copyWithin((at + 1) * hashBytes, at * hashBytes, this.#count * hashBytes)
    this.#sizes[at] = size
    this.#roots.set(root, at * hashBytes)
    this.#count += 1
    return undefined
  }

  get(size: number): Buffer | undefined {
    const at = this.#placeOf(size)
    return at < this.#count && this.#sizes[at] === size ? this.#rootAt(at) : undefined
  }

  /** Where the size stands or would stand; mostly the end. */
  #placeOf(size: number): number {
    let [from, to] = [0, this.#count]
    if (to > 0 && (this.#sizes[to - 1] ?? 0) < size) return to
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((this.#sizes[middle] ?? 0) < size) from = middle + 1
      else to = middle
    }
    return from
  }

  #rootAt(at: number): Buffer {
    return Buffer.from(this.#roots.subarray(at * hashBytes, (at + 1) * hashBytes))
  }

  #grow(): void {
    const sizes = new Float64Array(this.#count * 2)
    sizes.set(this.#sizes)
    this.#sizes = sizes
    this.#roots = Buffer.concat([this.#roots, Buffer.alloc(this.#roots.length)])
  }
}
