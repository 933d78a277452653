/**
 * Compares copies of a trail by stream, sequence and leaf hash: what one copy has and another lacks or holds otherwise.
 * Order and repetition mean nothing here; whether a copy is genuine is for `verify` to say. Memory does not
 * grow with the copies: what was read of them lies in temporary files (`leaf-shelf.ts`).
 */

import { AuditError, errorText } from '../errors.ts'
import { LeafShelf } from './leaf-shelf.ts'
import { readLink } from './link.ts'
import { findingsMax } from './report.ts'
import { SeenLeaves } from './seen-leaves.ts'
import type { Place, Source, SourceKind } from './source.ts'

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
  /** Records that it lacks because retention has removed them there, as it lists itself: not among the missing. */
  readonly pruned: number
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

/** Who hears while it compares. */
export interface ReconcileListener {
  /** After each group that was read. */
  read?(name: string, records: number): void
  /** Every range that the copy of this index lacks. */
  missing?(copy: number, range: SequenceRange): void
}

/** Reads `from` once, then each of the others. Rejects for nothing that a source holds. */
export async function reconcile(
  from: Source,
  others: readonly Source[],
  listener: ReconcileListener = {},
): Promise<Reconciliation> {
  const own = new Copy(from)
  const to: CopyComparison[] = []
  try {
    await own.read(listener)
    for (const [index, other] of others.entries()) {
      // One after the other: each costs memory while it is compared.
      to.push(await compare(own, other, { ...listener, missing: (_, range) => listener.missing?.(index, range) }))
    }
  } finally {
    own.close()
  }
  const isWrong = to.some(({ missing, different }) => missing.count + different.count > 0)
  const isPartial = [own.reading, ...to].some(({ damaged, unreadable, records }) => {
    return damaged > 0 || unreadable !== undefined || records === 0
  })
  return { from: own.reading, to, exitCode: isWrong ? 1 : isPartial ? 2 : 0 }
}

async function compare(own: Copy, other: Source, listener: ReconcileListener): Promise<CopyComparison> {
  const different = new List<DifferentRecord>()
  const copy = new Copy(other, (stream, sequence, { found, position }) => {
    const expected = own.leafOf(stream, sequence)
    if (expected === undefined || expected === found) return
    different.add({ stream, sequence, expected, found, where: other.locate(position) })
  })
  try {
    const removed = new Removed(await readPruned(other))
    await copy.read(listener)
    const isNotMissing = (place: Place) => copy.has(place) || removed.counts(place)
    const missing = rangesOf(own, isNotMissing, (range) => listener.missing?.(0, range))
    const onlyHere = rangesOf(copy, (place) => own.has(place))
    return { ...copy.reading, missing, pruned: removed.count, different: different.listed, onlyHere }
  } finally {
    copy.close()
  }
}

/** What a copy says that it removed; nothing where that cannot be read, of which the reading of its records tells. */
async function readPruned(source: Source): Promise<readonly SequenceRange[]> {
  try {
    return (await source.readPruned?.()) ?? []
  } catch (error) {
    if (error instanceof AuditError) return []
    throw error
  }
}

/** What `one` has and is not there; `hear` is told of every range. */
function rangesOf(
  one: Copy,
  isThere: (place: Place) => boolean,
  hear: (range: SequenceRange) => void = () => {},
): Listed<SequenceRange> {
  const ranges = new List<SequenceRange>()
  let count = 0
  const end = (range: SequenceRange | undefined) => {
    if (range === undefined) return
    ranges.add(range)
    hear(range)
  }
  for (const [stream, leaves] of one.streams) {
    let range: SequenceRange | undefined
    for (const sequence of leaves.sequences()) {
      if (isThere({ stream, sequence })) continue
      count += 1
      const continues = range !== undefined && range.to === sequence - 1
      if (!continues) end(range)
      range = { stream, from: continues && range !== undefined ? range.from : sequence, to: sequence }
    }
    end(range)
  }
  return { count, first: ranges.listed.first }
}

/** Counts the records that a copy lists as removed. */
class Removed {
  readonly #ranges: readonly SequenceRange[]
  #count = 0

  constructor(ranges: readonly SequenceRange[]) {
    this.#ranges = ranges
  }

  get count(): number {
    return this.#count
  }

  /** Whether it is one of them; each is asked about once. */
  counts({ stream, sequence }: Place): boolean {
    const isIn = this.#ranges.some((range) => {
      return range.stream === stream && range.from <= sequence && sequence <= range.to
    })
    if (isIn) this.#count += 1
    return isIn
  }
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

  has({ stream, sequence }: Place): boolean {
    return this.leafOf(stream, sequence) !== undefined
  }

  async read(listener: ReconcileListener): Promise<void> {
    try {
      for await (const group of this.#source.read()) {
        for (const found of group) this.#take(found)
        listener.read?.(this.#source.name, this.#records)
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
