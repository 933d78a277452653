/**
 * A run: records of one stream that were found one after the other, each naming the hash of the one before it. Of an
 * undamaged copy nothing else is kept, which costs a fifth of a link for each record; where something does not fit, the
 * links are taken out of it one by one. Always holds: what was asked for twice is the same link.
 */

import { hashBytes } from '../chain/hash.ts'
import type { Frontier } from '../chain/merkle.ts'
import type { Link } from './link.ts'

/** What a run is made of; of each record the same place in every list. */
export interface RunParts {
  readonly stream: string
  readonly first: number
  /** What the first record names as the leaf hash before it, 64 hex digits. */
  readonly prev: string | undefined
  /** The leaf hashes, 32 bytes each. */
  readonly leaves: Buffer
  /** Never falling, in a run of more than one. */
  readonly recorded: Times
  /** Rising, in a run of more than one; never falling where order is no finding. */
  readonly positions: readonly number[]
  /** Whether the carrier says beside each record where it belongs: there. */
  readonly isPlaced: boolean
}

/** When each was sealed. */
export interface Times {
  /** By the place in the run. */
  at(index: number): string | undefined
}

export class Run {
  readonly #parts: RunParts
  readonly #links: Map<number, Link>

  constructor(parts: RunParts, links = new Map<number, Link>()) {
    this.#parts = parts
    this.#links = links
  }

  /** One record by itself, of any kind. */
  static of(link: Link): Run {
    const { stream, sequence: first, prev, recorded, position, place } = link
    const parts = { stream, first, prev, leaves: Buffer.from(link.leaf, 'hex'), isPlaced: place !== undefined }
    return new Run({ ...parts, recorded: { at: () => recorded }, positions: [position] }, new Map([[first, link]]))
  }

  get stream(): string {
    return this.#parts.stream
  }

  get first(): number {
    return this.#parts.first
  }

  get last(): number {
    return this.#parts.first + this.count - 1
  }

  get count(): number {
    return this.#parts.positions.length
  }

  get prev(): string | undefined {
    return this.#parts.prev
  }

  get leaves(): Buffer {
    return this.#parts.leaves
  }

  /** Whether there is nothing to judge of a record but its place and its time. */
  get isPlain(): boolean {
    const [only] = this.#links.values()
    if (only === undefined || this.count > 1) return true
    return !only.clockBehind && only.mismatch === undefined && only.again === undefined
  }

  recordedOf(sequence: number): string | undefined {
    return this.#parts.recorded.at(sequence - this.first)
  }

  positionOf(sequence: number): number {
    return this.#parts.positions[sequence - this.first] ?? -1
  }

  /** 64 hex digits. */
  leafOf(sequence: number): string {
    const offset = (sequence - this.first) * hashBytes
    return this.leaves.toString('hex', offset, offset + hashBytes)
  }

  link(sequence: number): Link {
    const known = this.#links.get(sequence)
    if (known !== undefined) return known
    const { stream, first, isPlaced } = this.#parts
    const link: Link = {
      stream,
      sequence,
      leaf: this.leafOf(sequence),
      prev: sequence === first ? this.prev : this.leafOf(sequence - 1),
      recorded: this.recordedOf(sequence),
      clockBehind: false,
      position: this.positionOf(sequence),
      place: isPlaced ? { stream, sequence } : undefined,
      mismatch: undefined,
      control: undefined,
    }
    this.#links.set(sequence, link)
    return link
  }

  /** The links of the records up to `limit`. */
  links(limit = this.last): Link[] {
    const count = Math.max(0, Math.min(limit, this.last) - this.first + 1)
    return Array.from({ length: count }, (_, index) => this.link(this.first + index))
  }

  /** What is left of it above a sequence that it holds. */
  above(sequence: number): Run {
    const skipped = sequence - this.first + 1
    const { recorded, positions } = this.#parts
    const parts = {
      ...this.#parts,
      first: sequence + 1,
      prev: this.leafOf(sequence),
      leaves: this.leaves.subarray(skipped * hashBytes),
      recorded: { at: (index: number) => recorded.at(index + skipped) },
      positions: positions.slice(skipped),
    }
    return new Run(parts, this.#links)
  }
}

/** The tree of `base` with the leaves of these runs up to `size`. */
export function foldRuns(base: Frontier, runs: readonly Run[], size: number): Frontier {
  const tree = base.clone()
  for (const run of runs) tree.appendRow(run.leaves, Math.min(run.last, size) - run.first + 1)
  return tree
}
