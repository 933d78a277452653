/**
 * The tree of a section of a stream: what a checkpoint folded, and the leaves from there to the next one. Computes each
 * inner hash once, so that the proofs of all records of a section cost little more than those of one. Pure.
 */

import { nodeHash } from '../chain/hash.ts'
import { type Frontier, inclusionRanges, type LeafRange } from '../chain/merkle.ts'

export class SectionTree {
  readonly #size: number
  /** The root of each range of leaves that is known, under `from-to`. */
  readonly #roots = new Map<string, Uint8Array>()

  /** `leaves` are those behind `base`. */
  constructor(base: Frontier, leaves: readonly Uint8Array[]) {
    this.#size = base.size + leaves.length
    let from = 0
    for (const hash of base.hashes()) {
      const to = from + largestPower(base.size - from)
      this.#roots.set(`${from}-${to}`, hash)
      from = to
    }
    for (const [index, leaf] of leaves.entries()) this.#roots.set(`${from + index}-${from + index + 1}`, leaf)
  }

  root(): Uint8Array {
    return this.#rootOf([0, this.#size])
  }

  /** The audit path of a leaf behind `base`. `RangeError` for any other. */
  prove(index: number): Uint8Array[] {
    return inclusionRanges(index, this.#size).map((range) => this.#rootOf(range))
  }

  #rootOf([from, to]: LeafRange): Uint8Array {
    const known = this.#roots.get(`${from}-${to}`)
    if (known !== undefined) return known
    if (to - from <= 1) throw new RangeError(`the leaf ${from} is known only folded`)
    const middle = from + largestPower(to - from - 1)
    const root = nodeHash(this.#rootOf([from, middle]), this.#rootOf([middle, to]))
    this.#roots.set(`${from}-${to}`, root)
    return root
  }
}

/** The largest power of two that is at most `size`. */
function largestPower(size: number): number {
  let power = 1
  while (power * 2 <= size) power *= 2
  return power
}
