/**
 * Compares copies of a trail by stream, sequence and leaf hash: what one copy has and another lacks or holds otherwise.
 * Order and repetition mean nothing here; whether a copy is genuine is for `verify` to say. Memory is 32 bytes a record
 * of the copy that is compared with, and as much for the records of the other one that are looked at.
 */

import { errorText } from '../errors.ts'
import { LeafShelf } from './leaf-shelf.ts'
import { readLink } from './link.ts'
import { findingsMax } from './report.ts'
import { SeenLeaves } from './seen-leaves.ts'
import type { Source, SourceKind } from './source.ts'

/** Sequences of one stream, both ends included. */
export interface SequenceRange {
  readonly stream: string
  readonly from: number
  readonly to: number
}

/** A record that the two copies hold with other bytes. */
export interface DifferentRecord {
  readonly stream: string
  readonly sequence: number
  /** Leaf hash in the copy that is compared with. */
  readonly expected: string
  readonly found: string
  /** Place in the compared copy: `line 17`. */
  readonly where: string
}

/** How many, and the first hundred of them. */
export interface Listed<Item> {
  readonly count: number
  readonly first: readonly Item[]
}

/** What was read of one copy. */
export interface CopyReading {
  readonly name: string
  readonly kind: SourceKind
  /** Different records; a repetition counts once. */
  readonly records: number
  /** Places that hold no record. */
  readonly damaged: number
  /** Why reading broke off. */
  readonly unreadable?: string
}

export interface CopyComparison extends CopyReading {
  /** Records that it lacks, as ranges; `count` counts records. */
  readonly missing: Listed<SequenceRange>
  readonly different: Listed<DifferentRecord>
  /** Records that the other copy does not have: given back there, or newer. */
  readonly onlyHere: Listed<SequenceRange>
}

/** The exported type of `reconcile --json`. */
export interface Reconciliation {
  /** The copy that the others are compared with. */
  readonly from: CopyReading
  readonly to: readonly CopyComparison[]
  /** 0 the others have everything; 1 something is missing or different; 2 a copy could not be read whole. */
  readonly exitCode: 0 | 1 | 2
}

/** Called with each group that was read. */
export type OnRead = (name: string, records: number) => void

/** Reads `from` once, then each of the others. Rejects for nothing that a source holds. */
export async function reconcile(
  from: Source,
  others: readonly Source[],
  onRead: OnRead = () => {},
): Promise<Reconciliation> {
  const own = new Copy(from)
  const to: CopyComparison[] = []
  try {
    await own.read(onRead)
    // One after the other: each costs memory while it is compared.
    for (const other of others) to.push(await compare(own, other, onRead))
  } finally {
    own.close()
  }
  const isWrong = to.some(({ missing, different }) => missing.count + different.count > 0)
  const isPartial = [own.reading, ...to].some(({ damaged, unreadable, records }) => {
    return damaged > 0 || unreadable !== undefined || records === 0
  })
  return { from: own.reading, to, exitCode: isWrong ? 1 : isPartial ? 2 : 0 }
}

async function compare(own: Copy, other: Source, onRead: OnRead): Promise<CopyComparison> {
  const different = new List<DifferentRecord>()
  const copy = new Copy(other, (stream, sequence, { found, position }) => {
    const expected = own.leafOf(stream, sequence)
    if (expected === undefined || expected === found) return
    different.add({ stream, sequence, expected, found, where: other.locate(position) })
  })
  try {
    await copy.read(onRead)
    const missing = rangesOf(own, copy)
    return { ...copy.reading, missing, different: different.listed, onlyHere: rangesOf(copy, own) }
  } finally {
    copy.close()
  }
}

/** What `one` has and `other` has not. */
function rangesOf(one: Copy, other: Copy): Listed<SequenceRange> {
  const ranges = new List<SequenceRange>()
  let count = 0
  for (const [stream, leaves] of one.streams) {
    let range: SequenceRange | undefined
    for (const sequence of leaves.sequences()) {
      if (other.leafOf(stream, sequence) !== undefined) continue
      count += 1
      const continues = range !== undefined && range.to === sequence - 1
      if (range !== undefined && !continues) ranges.add(range)
      range = continues && range !== undefined ? { ...range, to: sequence } : { stream, from: sequence, to: sequence }
    }
    if (range !== undefined) ranges.add(range)
  }
  return { count, first: ranges.listed.first }
}

/** Hears of every record, repetitions too. */
type Hear = (stream: string, sequence: number, at: { found: string; position: number }) => void

/** The leaves of one source, by stream and sequence; of several with one number, the first. */
class Copy {
  readonly streams = new Map<string, SeenLeaves>()
  readonly #source: Source
  readonly #shelf = new LeafShelf()
  readonly #hear: Hear
  #records = 0
  #damaged = 0
  #unreadable: string | undefined

  constructor(source: Source, hear: Hear = () => {}) {
    this.#source = source
    this.#hear = hear
  }

  get reading(): CopyReading {
    const { name, kind } = this.#source
    const broken = this.#unreadable === undefined ? {} : { unreadable: this.#unreadable }
    return { name, kind, records: this.#records, damaged: this.#damaged, ...broken }
  }

  leafOf(stream: string, sequence: number): string | undefined {
    return this.streams.get(stream)?.get(sequence)
  }

  /** Nothing is asked of it any more. */
  close(): void {
    this.#shelf.close()
  }

  async read(onRead: OnRead): Promise<void> {
    try {
      for await (const group of this.#source.read()) {
        for (const found of group) this.#take(found)
        onRead(this.#source.name, this.#records)
      }
    } catch (error) {
      this.#unreadable = errorText(error)
    }
  }

  #take(found: Parameters<typeof readLink>[0] | { readonly damage: string }): void {
    const link = 'bytes' in found ? readLink(found) : undefined
    if (link === undefined) {
      this.#damaged += 1
      return
    }
    const { stream, sequence, leaf, position } = link
    this.#hear(stream, sequence, { found: leaf, position })
    const leaves = this.streams.get(stream) ?? new SeenLeaves(this.#shelf)
    this.streams.set(stream, leaves)
    if (leaves.get(sequence) !== undefined) return
    leaves.set(sequence, leaf)
    this.#records += 1
  }
}

/** Counts all and keeps the first. */
class List<Item> {
  readonly #first: Item[] = []
  #count = 0

  get listed(): Listed<Item> {
    return { count: this.#count, first: this.#first }
  }

  add(item: Item): void {
    this.#count += 1
    if (this.#first.length < findingsMax) this.#first.push(item)
  }
}
