/**
 * A tree of which the first leaves are known only folded, as a checkpoint's frontier has them, and the rest one by one:
 * enough to prove any of the latter, and that the folded ones were only added to. Pure.
 */

import { Frontier, type LeafRange } from './merkle.ts'

/** A perfect subtree of the folded part. */
interface Subtree {
  readonly from: number
  readonly to: number
  readonly hash: Uint8Array
}

export class PartialTree {
  readonly #subtrees: readonly Subtree[]
  readonly #folded: number
  readonly #leaves: readonly Uint8Array[]

  /** `base` folds the leaves below `base.size`; `leaves` are those from there on. */
  constructor(base: Frontier, leaves: readonly Uint8Array[]) {
    this.#folded = base.size
    this.#leaves = leaves
    this.#subtrees = subtreesOf(base)
  }

  get size(): number {
    return this.#folded + this.#leaves.length
  }

  root(): Buffer {
    return this.rootOf([0, this.size])
  }

  /** The root of a range of leaves. `RangeError` where it would need leaves that are known only folded. */
  rootOf([from, to]: LeafRange): Buffer {
    const folded = this.#subtrees.filter((one) => one.from >= from && one.to <= to)
    const known = Math.min(Math.max(from, this.#folded), to)
    const frontier = Frontier.from(
      Math.max(0, Math.min(to, this.#folded) - from),
      folded.map(({ hash }) => hash),
    )
    if (frontier === undefined) throw new RangeError(`the leaves ${from} to ${to} are known only folded`)
    for (const leaf of this.#leaves.slice(known - this.#folded, to - this.#folded)) frontier.append(leaf)
    return frontier.root()
  }
}

function subtreesOf(base: Frontier): Subtree[] {
  let from = 0
  return base.hashes().map((hash) => {
    const to = from + largestPower(base.size - from)
    const subtree = { from, to, hash }
    from = to
    return subtree
  })
}

function largestPower(size: number): number {
  let power = 1
  while (power * 2 <= size) power *= 2
  return power
}
