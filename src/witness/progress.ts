/**
 * How far each witness has come with the stream of a spool, and what it takes to prove the rest to it. Always holds: for
 * every witness the tree that it has cosigned and the ranges from there on lead to the tree here. Kept in a file of the
 * spool directory, so that neither a restart nor what was given back of the spool takes the proof away.
 */

import { leafHash } from '../chain/hash.ts'
import { LeafRanges } from '../chain/leaf-ranges.ts'
import { Frontier } from '../chain/merkle.ts'
import type { StoredRecord } from '../event/record.ts'

/** What one witness has cosigned last, and what was added since. */
interface Reached {
  readonly base: Frontier
  readonly beyond: LeafRanges
}

export class Progress {
  readonly stream: string
  /** The tree of the records that were counted. */
  readonly #tree: Frontier
  readonly #reached = new Map<string, Reached>()
  /** Records counted since the last cosignature that are neither checkpoints nor what witnesses said. */
  #news: number

  constructor(stream: string, tree = new Frontier(), news = 1) {
    this.stream = stream
    this.#tree = tree
    this.#news = news
  }

  get size(): number {
    return this.#tree.size
  }

  root(): Buffer {
    return this.#tree.root()
  }

  /** Whether there is anything to cosign: what witnesses say is sealed too, and must not call for more of it. */
  get hasNews(): boolean {
    return this.#news > 0
  }

  /** Counts in the next record of the stream. */
  count({ bytes }: Pick<StoredRecord, 'bytes'>): void {
    const leaf = Buffer.from(leafHash(bytes), 'hex')
    this.#tree.append(leaf)
    for (const { beyond } of this.#reached.values()) beyond.append(leaf)
    const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (!echoes.some((type) => record.includes(type))) this.#news += 1
  }

  /** What to ask a witness for, of the tree here. */
  question(witness: string): { readonly oldSize: number; readonly proof: readonly Uint8Array[] } {
    const reached = this.#reached.get(witness)
    if (reached === undefined || reached.base.size === 0) return { oldSize: 0, proof: [] }
    return { oldSize: reached.base.size, proof: reached.beyond.prove(reached.base) }
  }

  /** The witness has cosigned the tree here. */
  reach(witness: string): void {
    this.#reached.set(witness, { base: this.#tree.clone(), beyond: new LeafRanges(this.size) })
  }

  /** The witness is somewhere else than was known: at this tree, from which these ranges lead here. */
  correct(witness: string, base: Frontier, beyond: LeafRanges): void {
    this.#reached.set(witness, { base, beyond })
  }

  /** The witness has cosigned nothing of this stream. */
  forget(witness: string): void {
    this.#reached.delete(witness)
  }

  /** Every witness has what there is. */
  settle(): void {
    this.#news = 0
  }

  /** The size that the witness has cosigned last; 0: none is known. */
  reachedBy(witness: string): number {
    return this.#reached.get(witness)?.base.size ?? 0
  }

  toJson(): object {
    return {
      stream: this.stream,
      size: this.size,
      tree: encode(this.#tree.hashes()),
      news: this.#news,
      witnesses: [...this.#reached].map(([name, { base, beyond }]) => ({
        name,
        size: base.size,
        tree: encode(base.hashes()),
        beyond: encode(beyond.roots),
      })),
    }
  }

  /** Inverse of `toJson`; undefined for anything else. */
  static fromJson(value: unknown): Progress | undefined {
    const { stream, size, tree, news, witnesses } = (value ?? {}) as Readonly<Record<string, unknown>>
    const whole = frontierOf(size, tree)
    if (typeof stream !== 'string' || typeof news !== 'number' || whole === undefined || !Array.isArray(witnesses))
      return undefined
    const progress = new Progress(stream, whole, news)
    for (const one of witnesses as unknown[]) {
      const { name, size: from, tree: old, beyond } = (one ?? {}) as Readonly<Record<string, unknown>>
      const base = frontierOf(from, old)
      const roots = decode(beyond)
      const ranges = base && roots && LeafRanges.from(base.size, whole.size, roots)
      if (typeof name !== 'string' || base === undefined || ranges === undefined) return undefined
      progress.correct(name, base, ranges)
    }
    return progress
  }
}

/** As they stand in a record's canonical text. */
const echoes = [Buffer.from('"event_type":"audit.checkpoint"'), Buffer.from('"event_type":"audit.anchored"')]

function encode(hashes: readonly Uint8Array[]): string[] {
  return hashes.map((hash) => Buffer.from(hash).toString('base64'))
}

function decode(texts: unknown): Buffer[] | undefined {
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string')) return undefined
  return texts.map((text) => Buffer.from(text, 'base64'))
}

function frontierOf(size: unknown, texts: unknown): Frontier | undefined {
  const hashes = decode(texts)
  return typeof size === 'number' && hashes !== undefined ? Frontier.from(size, hashes) : undefined
}
