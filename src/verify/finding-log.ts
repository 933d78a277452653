/**
 * The findings of one source as they are made: bounded, with one entry for what is one piece of damage. Always
 * holds: a finding that is not kept in detail is still counted.
 */

import { type Finding, type FindingVerdict, findingsMax } from './report.ts'

type Draft = { -readonly [Member in keyof Finding<FindingVerdict>]: Finding<FindingVerdict>[Member] }

/** A finding before its source is named; `sequence` or a range, as in `Finding`. */
export type Found = Omit<Finding<FindingVerdict>, 'source'>

/** A finding about one stream. */
export type StreamFinding = Found & { readonly stream: string }

export class FindingLog {
  readonly #source: string
  readonly #drafts: Draft[] = []
  readonly #counts: Partial<Record<FindingVerdict, number>> = {}
  readonly #verdicts = new Map<string, Set<FindingVerdict>>()
  /** The last draft of each stream and kind of finding, for ranges that grow. */
  readonly #growing = new Map<string, Draft>()

  constructor(source: string) {
    this.#source = source
  }

  /** Adds a finding of its own. */
  add(found: Found): void {
    this.#keep({ ...found, source: this.#source })
  }

  /** Adds `sequence` to the finding that ends just before it, if there is one of this kind. */
  addAdjacent(found: StreamFinding): void {
    const key = `${found.verdict}\n${found.stream}`
    const [from, to] = rangeOf(found)
    const last = this.#growing.get(key)
    if (last !== undefined && rangeOf(last)[1] === from - 1) {
      setRange(last, rangeOf(last)[0], to)
      return
    }
    this.#start(key, found)
  }

  /** Adds to the finding with the same words in the same stream, however far away it is. */
  addAlike(found: StreamFinding): void {
    const key = `${found.verdict}\n${found.stream}\n${found.detail}`
    const last = this.#growing.get(key)
    if (last === undefined) this.#start(key, found)
    else setRange(last, rangeOf(last)[0], rangeOf(found)[1])
  }

  /** Every kind of finding made in the stream. */
  verdictsOf(stream: string): ReadonlySet<FindingVerdict> {
    return this.#verdicts.get(stream) ?? new Set()
  }

  get findings(): readonly Finding<FindingVerdict>[] {
    return this.#drafts
  }

  get counts(): Readonly<Partial<Record<FindingVerdict, number>>> {
    return this.#counts
  }

  #start(key: string, found: Found): void {
    const draft = { ...found, source: this.#source }
    this.#keep(draft)
    this.#growing.set(key, draft)
  }

  #keep(draft: Draft): void {
    const { verdict, stream = '' } = draft
    this.#counts[verdict] = (this.#counts[verdict] ?? 0) + 1
    this.#verdicts.set(stream, (this.#verdicts.get(stream) ?? new Set()).add(verdict))
    if (this.#drafts.length < findingsMax) this.#drafts.push(draft)
  }
}

function rangeOf({ sequence, from, to }: Found): readonly [number, number] {
  return [sequence ?? from ?? 0, sequence ?? to ?? 0]
}

function setRange(draft: Draft, from: number, to: number): void {
  delete draft.sequence
  draft.from = from
  draft.to = to
}
