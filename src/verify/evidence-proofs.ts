/**
 * Proofs for many records of one stream in one reading: each against the first signed checkpoint that covers it, so that
 * a longer copy gives the same proofs. Always holds: a proof is made only where the leaves fold to the signed root.
 * Memory is the leaf hashes since the last checkpoint.
 */

import type { OpenedCheckpoint } from '../chain/checkpoint.ts'
import { Frontier } from '../chain/merkle.ts'
import { checkpointLagMax } from '../limits.ts'
import { SectionTree } from './evidence-tree.ts'
import { formatProof } from './proof.ts'

interface Covering {
  readonly checkpoint: OpenedCheckpoint
  readonly note: string
}

/** Beyond this many leaves a hole is taken for one: a checkpoint reaches back no further. */
const leavesMax = 2 * checkpointLagMax

export class StreamProofs {
  /** By sequence. */
  readonly proofs = new Map<number, string>()
  /** The largest checkpoint that was proven from the one before it. */
  newest: string | undefined
  #base = new Frontier()
  #leaves = new Map<number, Buffer>()
  #wanted = new Set<number>()
  #pending: Covering[] = []
  #contiguousTo = 0

  /** A record of the copy; `isWanted` asks for its proof. */
  add(sequence: number, leaf: string, isWanted: boolean): void {
    if (sequence <= this.#base.size || this.#leaves.has(sequence)) return
    this.#leaves.set(sequence, Buffer.from(leaf, 'hex'))
    if (isWanted) this.#wanted.add(sequence)
    while (this.#leaves.has(this.#contiguousTo + 1)) this.#contiguousTo += 1
    this.#settle(this.#leaves.size > leavesMax)
  }

  /** A checkpoint of the stream, opened with the auditor's keys. */
  addCheckpoint(covering: Covering): void {
    if (covering.checkpoint.size <= this.#base.size) return
    this.#pending.push(covering)
    this.#pending.sort((one, other) => one.checkpoint.size - other.checkpoint.size)
    this.#settle(false)
  }

  /** Nothing more comes. */
  finish(): void {
    while (this.#pending.length > 0) this.#settle(true)
  }

  /** Proves what lies below the next checkpoint, once all of it is there; `isForced` gives up waiting for that. */
  #settle(isForced: boolean): void {
    const [next] = this.#pending
    if (next === undefined) return
    const { size } = next.checkpoint
    const isWhole = this.#contiguousTo >= size
    if (!isWhole && !isForced) return
    this.#pending.shift()
    if (isWhole) this.#proveUpTo(next)
    for (const sequence of [...this.#leaves.keys()]) if (sequence <= size) this.#leaves.delete(sequence)
    this.#wanted = new Set([...this.#wanted].filter((sequence) => sequence > size))
    this.#base = next.checkpoint.frontier
    this.#contiguousTo = Math.max(this.#contiguousTo, size)
    while (this.#leaves.has(this.#contiguousTo + 1)) this.#contiguousTo += 1
  }

  #proveUpTo({ checkpoint, note }: Covering): void {
    const { size, root } = checkpoint
    const sequences = Array.from({ length: size - this.#base.size }, (_, index) => this.#base.size + index + 1)
    const leaves = sequences.flatMap((sequence) => this.#leaves.get(sequence) ?? [])
    const tree = new SectionTree(this.#base, leaves)
    if (Buffer.compare(tree.root(), root) !== 0) return
    this.newest = note
    for (const sequence of this.#wanted) {
      if (sequence > size) continue
      const index = sequence - 1
      this.proofs.set(sequence, formatProof({ index, hashes: tree.prove(index), checkpoint: note }))
    }
  }
}
