/**
 * What a tree grew by since it had a size: the roots of the largest perfect subtrees of the new leaves, a handful however
 * many there are. With the frontier of the old tree that is all a consistency proof needs, so that whoever proves keeps no
 * leaves. Pure.
 *
 *   from 3, to 9        [3,4) [4,8) [8,9)      neighbours of one width merge where the pair is a subtree
 */

import { hashBytes, nodeHash } from './hash.ts'
import { consistencyRanges, type Frontier, type LeafRange } from './merkle.ts'

interface Subtree {
  readonly from: number
  readonly to: number
  readonly root: Uint8Array
}

export class LeafRanges {
  readonly from: number
  readonly #subtrees: Subtree[] = []

  constructor(from: number) {
    this.from = from
  }

  /** The ranges again from `roots`; undefined when these cannot be those of `[from, to)`. */
  static from(from: number, to: number, roots: readonly Uint8Array[]): LeafRanges | undefined {
    const ranges = new LeafRanges(from)
    for (const root of roots) {
      const start = ranges.to
      const width = widthAt(start, to)
      if (root.length !== hashBytes || width === 0) return undefined
      ranges.#subtrees.push({ from: start, to: start + width, root })
    }
    return ranges.to === to ? ranges : undefined
  }

  get to(): number {
    return this.#subtrees.at(-1)?.to ?? this.from
  }

  get roots(): readonly Uint8Array[] {
    return this.#subtrees.map(({ root }) => root)
  }

  append(leaf: Uint8Array): void {
    let added: Subtree = { from: this.to, to: this.to + 1, root: leaf }
    for (let left = this.#subtrees.at(-1); left !== undefined && isPair(left, added); left = this.#subtrees.at(-1)) {
      added = { from: left.from, to: added.to, root: nodeHash(left.root, added.root) }
      this.#subtrees.pop()
    }
    this.#subtrees.push(added)
  }

  /** The proof that the tree of `to` leaves continues `old`, which has `from` of them. `RangeError` where it has not. */
  prove(old: Frontier): Uint8Array[] {
    if (old.size !== this.from) throw new RangeError(`the ranges begin at ${this.from}, not at ${old.size}`)
    const parts = [...subtreesOf(old), ...this.#subtrees]
    return consistencyRanges(this.from, this.to).map((range) => rootOf(parts, range))
  }
}

function subtreesOf(old: Frontier): Subtree[] {
  let from = 0
  return old.hashes().map((root) => {
    const width = widthAt(from, old.size)
    from += width
    return { from: from - width, to: from, root }
  })
}

/** No range of a consistency proof cuts through a part: those of the old tree and those of the new leaves stay apart. */
function rootOf(parts: readonly Subtree[], [from, to]: LeafRange): Uint8Array {
  const inside = parts.filter((part) => from <= part.from && part.to <= to)
  const [last, ...before] = inside.map(({ root }) => root).reverse()
  if (last === undefined) throw new RangeError(`nothing is known of the leaves from ${from} to ${to}`)
  return before.reduce((right, left) => nodeHash(left, right), last)
}

function isPair(left: Subtree, right: Subtree): boolean {
  const width = left.to - left.from
  return width === right.to - right.from && left.from % (2 * width) === 0
}

/** The width of the largest subtree that begins at `from` and does not pass `to`. */
function widthAt(from: number, to: number): number {
  if (from >= to) return 0
  let width = 1
  while (from % (2 * width) === 0 && from + 2 * width <= to) width *= 2
  return width
}
