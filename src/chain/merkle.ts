/**
 * The Merkle tree over a stream's leaf hashes (RFC 9162 section 2.1): the frontier that grows with the stream,
 * and proofs with their checks. Pure: no I/O, no clock. The record of sequence n is the leaf of index n − 1.
 *
 *   size 7 = 4 + 2 + 1        frontier: [ root of 0‥3 , root of 4‥5 , leaf 6 ], largest first
 *                             root:     node(0‥3, node(4‥5, 6)), the frontier folded from the right
 *
 * A check answers true or false for whatever it is given and never throws.
 */

import { emptyRoot, foldPair, hashBytes, nodeHash } from './hash.ts'

/** Sizes stay exact integers, so a frontier has at most one hash per bit. */
const frontierHashesMax = 53

/** The roots of the perfect subtrees of a growing tree: all that is needed to append and to know the root. */
export class Frontier {
  #size = 0
  #count = 0
  /** `#count` hashes, largest subtree first; two that merge are neighbours. */
  readonly #hashes = Buffer.alloc(frontierHashesMax * hashBytes)

  /** The frontier of a tree of `size` leaves, or undefined when these hashes cannot be one. */
  static from(size: number, hashes: readonly Uint8Array[]): Frontier | undefined {
    if (!isSize(size) || hashes.length !== bitCount(size) || !hashes.every(isHash)) return undefined
    const frontier = new Frontier()
    frontier.#size = size
    for (const hash of hashes) frontier.#hashes.set(hash, frontier.#count++ * hashBytes)
    return frontier
  }

  /** Number of leaves in the tree. */
  get size(): number {
    return this.#size
  }

  /** Adds the next leaf: 32 bytes, or 64 hex digits as `leafHash` gives them; a `RangeError` for anything else. */
  append(leaf: Uint8Array | string): void {
    this.#push(leaf)
    this.#fold()
  }

  /** Adds the first `count` leaves of those that stand side by side in `leaves`, 32 bytes each. */
  appendRow(leaves: Buffer, count: number): void {
    if (leaves.length < count * hashBytes) throw new RangeError('a leaf hash has 32 bytes')
    for (let index = 0; index < count; index += 1) {
      leaves.copy(this.#hashes, this.#count * hashBytes, index * hashBytes, (index + 1) * hashBytes)
      this.#count += 1
      this.#fold()
    }
  }

  /** Merges what the leaf pushed last completes. */
  #fold(): void {
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) {
      this.#count -= 1
      foldPair(this.#hashes, (this.#count - 1) * hashBytes)
    }
    this.#size += 1
  }

  /** Root of the tree as it is now. */
  root(): Buffer {
    if (this.#count === 0) return emptyRoot()
    return this.hashes().reduceRight((right, left) => nodeHash(left, right))
  }

  /** Copies of the subtree roots, largest first; `Frontier.from(size, hashes)` is the inverse. */
  hashes(): Buffer[] {
    return Array.from({ length: this.#count }, (_, index) =>
      Buffer.from(this.#hashes.subarray(index * hashBytes, (index + 1) * hashBytes)),
    )
  }

  clone(): Frontier {
    const copy = new Frontier()
    copy.#size = this.#size
    copy.#count = this.#count
    this.#hashes.copy(copy.#hashes, 0, 0, this.#count * hashBytes)
    return copy
  }

  #push(leaf: Uint8Array | string): void {
    const offset = this.#count * hashBytes
    const isHex = typeof leaf === 'string'
    if (leaf.length !== (isHex ? 2 * hashBytes : hashBytes)) throw new RangeError('a leaf hash has 32 bytes')
    if (!isHex) this.#hashes.set(leaf, offset)
    else if (this.#hashes.write(leaf, offset, 'hex') !== hashBytes) throw new RangeError('a leaf hash is hexadecimal')
    this.#count += 1
  }
}

/** That `leaf` stands at `index` of the tree of `size` leaves with `root`. */
export interface InclusionClaim {
  readonly index: number
  readonly size: number
  readonly leaf: Uint8Array
  readonly root: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** Leaves `[from, to)` of a tree; the root of such a range is one hash of a proof. */
export type LeafRange = readonly [from: number, to: number]

/**
 * The ranges whose roots are the audit path of the leaf at `index`, lowest first: how to get at the roots is the
 * caller's. `RangeError` when there is no such leaf.
 */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  if (!isSize(index) || !isSize(size) || index >= size) throw new RangeError(`no leaf ${index} in a tree of ${size}`)
  const ranges: LeafRange[] = []
  let [from, to] = [0, size]
  while (to - from > 1) {
    const middle = from + splitOf(to - from)
    ranges.push(index < middle ? [middle, to] : [from, middle])
    if (index < middle) to = middle
    else from = middle
  }
  return ranges.reverse()
}

/** The audit path of the leaf at `index`, lowest hash first. `RangeError` when there is no such leaf. */
export function proveInclusion(leaves: readonly Uint8Array[], index: number): Buffer[] {
  return inclusionRanges(index, leaves.length).map(([from, to]) => rootOf(leaves.slice(from, to)))
}

/** RFC 9162 section 2.1.3.2; `fn`, `sn` and `r` are its names. Elements that are not 32 bytes are refused. */
export function checkInclusion({ index, size, leaf, root, proof }: InclusionClaim): boolean {
  if (!isSize(index) || !isSize(size) || index >= size) return false
  if (![leaf, root, ...proof].every(isHash)) return false
  let [fn, sn, r] = [index, size - 1, leaf]
  for (const p of proof) {
    if (sn === 0) return false
    const fromLeft = isOdd(fn) || fn === sn
    r = fromLeft ? nodeHash(p, r) : nodeHash(r, p)
    if (fromLeft) [fn, sn] = skipLevels(fn, sn)
    ;[fn, sn] = [half(fn), half(sn)]
  }
  return sn === 0 && areEqual(r, root)
}

/** That the tree of `size2` leaves with `root2` has the tree of `size1` leaves with `root1` as its beginning. */
export interface ConsistencyClaim {
  readonly size1: number
  readonly size2: number
  readonly root1: Uint8Array
  readonly root2: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/**
 * The ranges whose roots are the proof that the first `size1` leaves were only added to, lowest first. `RangeError`
 * unless 1 ≤ size1 ≤ size2.
 */
export function consistencyRanges(size1: number, size2: number): LeafRange[] {
  if (!isSize(size1) || !isSize(size2) || size1 < 1 || size1 > size2)
    throw new RangeError(`no tree of ${size1} within a tree of ${size2}`)
  const ranges: LeafRange[] = []
  let [from, to] = [0, size2]
  while (to !== size1) {
    const middle = from + splitOf(to - from)
    ranges.push(size1 <= middle ? [middle, to] : [from, middle])
    if (size1 <= middle) to = middle
    else from = middle
  }
  // What is left is a subtree of both trees; when it is all of the old one, the checker has it as root1.
  if (from > 0) ranges.push([from, to])
  return ranges.reverse()
}

/** The proof that the first `size1` leaves were only added to. `RangeError` unless 1 ≤ size1 ≤ number of leaves. */
export function proveConsistency(leaves: readonly Uint8Array[], size1: number): Buffer[] {
  return consistencyRanges(size1, leaves.length).map(([from, to]) => rootOf(leaves.slice(from, to)))
}

/**
 * RFC 9162 section 2.1.4.2; `fn`, `sn`, `fr` and `sr` are its names. Refused as well: elements that are not
 * 32 bytes, and a claim from size 0, which would hold for every tree and so proves nothing.
 */
export function checkConsistency({ size1, size2, root1, root2, proof }: ConsistencyClaim): boolean {
  if (!isSize(size1) || !isSize(size2) || size1 === 0 || size1 > size2) return false
  if (![root1, root2, ...proof].every(isHash)) return false
  if (size1 === size2) return proof.length === 0 && areEqual(root1, root2)
  const [start, ...rest] = isPowerOfTwo(size1) && proof.length > 0 ? [root1, ...proof] : proof
  if (start === undefined) return false
  let [fn, sn] = skipOdd(size1 - 1, size2 - 1)
  let [fr, sr] = [start, start]
  for (const c of rest) {
    if (sn === 0) return false
    if (isOdd(fn) || fn === sn) {
      ;[fr, sr] = [nodeHash(c, fr), nodeHash(c, sr)]
      ;[fn, sn] = skipLevels(fn, sn)
    } else sr = nodeHash(sr, c)
    ;[fn, sn] = [half(fn), half(sn)]
  }
  return sn === 0 && areEqual(fr, root1) && areEqual(sr, root2)
}

function rootOf(leaves: readonly Uint8Array[]): Buffer {
  const frontier = new Frontier()
  for (const leaf of leaves) frontier.append(leaf)
  return frontier.root()
}

/** Goes up the levels where the node is the last one and has no sibling: until `fn` is odd or 0. */
function skipLevels(fn: number, sn: number): [number, number] {
  while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)]
  return [fn, sn]
}

/** Goes up to the subtree that ends with the old tree: while `fn` is odd. */
function skipOdd(fn: number, sn: number): [number, number] {
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)]
  return [fn, sn]
}

function isHash(value: unknown): boolean {
  return value instanceof Uint8Array && value.length === hashBytes
}

function areEqual(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

// Arithmetic instead of bit operators, which cut at 32 bits.

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isOdd(value: number): boolean {
  return value % 2 === 1
}

function half(value: number): number {
  return Math.floor(value / 2)
}

function bitCount(value: number): number {
  let count = 0
  for (let rest = value; rest > 0; rest = half(rest)) count += rest % 2
  return count
}

/** The largest power of two below `size`. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

function isPowerOfTwo(size: number): boolean {
  return bitCount(size) === 1
}
