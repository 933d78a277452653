/**
 * What each settled record of one stream means: edited, missing, repeated, forked, out of order. It is told the
 * leaf hashes that belong to the sequence (`resolve.ts`) in ascending order and never changes its mind, except
 * that a hole closes when its record turns up late. Holes and records that fit nowhere wait for `misfits.ts`.
 */

import type { FindingLog, StreamFinding } from './finding-log.ts'
import type { LeafShelf } from './leaf-shelf.ts'
import type { Link } from './link.ts'
import type { Hole, Misfit } from './misfits.ts'
import { setAsideMax } from './report.ts'
import type { Resolved } from './resolve.ts'
import type { Run } from './run.ts'
import { SeenLeaves } from './seen-leaves.ts'
import type { Source } from './source.ts'

export interface JudgeContext {
  readonly source: Source
  readonly stream: string
  readonly log: FindingLog
  /** Where the leaf hashes go that were judged. */
  readonly shelf: LeafShelf
}

export class StreamJudge {
  readonly #source: Source
  readonly #stream: string
  readonly #log: FindingLog
  readonly #seen: SeenLeaves
  readonly holes: Hole[] = []
  readonly misfits: Misfit[] = []
  /** Findings that are none if the record that gave rise to them turns out to belong elsewhere. */
  #deferred: { readonly cause: Link; readonly found: StreamFinding }[] = []
  repeats = 0
  clockAnomalies = 0
  /** The last settled sequence, its leaf when known, and the positions of the last two records in order. */
  #settledTo = 0
  #recorded = ''
  #position = -1
  #positionBefore = -1
  #lastInOrder = 0
  /** The end of a second branch, so that a fork is one finding however long it is. */
  #branchLeaf: string | undefined

  constructor({ source, stream, log, shelf }: JudgeContext) {
    this.#seen = new SeenLeaves(shelf)
    this.#source = source
    this.#stream = stream
    this.#log = log
  }

  /** Everything up to `sequence` is settled elsewhere; the record of that sequence has this leaf hash. */
  begin(sequence: number, leaf: string): void {
    this.#settledTo = sequence
    this.#seen.set(sequence, leaf)
  }

  /** The leaf hash that belongs to a settled sequence, where known. */
  leafOf(sequence: number): string | undefined {
    return this.#seen.get(sequence)
  }

  /** Judges records in ascending order; all sequences up to `upTo` are settled then. */
  settle(resolved: readonly Resolved[], upTo: number): void {
    for (const one of resolved) {
      const { link } = one
      if (link.sequence > this.#settledTo + 1) this.#openHole(this.#settledTo + 1, link.sequence - 1, one)
      this.#judgeContent(one)
      for (const other of one.others) this.judgeRival(other)
      // Beside a hole nothing tells a record that moved from one whose number was changed.
      if (link.sequence === this.#settledTo + 1 || link.position > this.#position) this.#judgeOrder(link)
      this.#judgeClock(link)
      this.#settledTo = link.sequence
    }
    if (upTo > this.#settledTo) this.#openHole(this.#settledTo + 1, upTo, undefined)
    this.#settledTo = upTo
  }

  /** Judges the records of a run up to `upTo`, each known to be what belongs there, and next in the sequence. */
  settleRun(run: Run, upTo: number): void {
    const last = Math.min(run.last, upTo)
    if (last < run.first) return
    if (!run.isPlain || (this.#source.ordered && run.positionOf(run.first) <= this.#position)) {
      const sound = { others: [], vouched: true, tampered: false }
      this.settle(
        run.links(last).map((link) => ({ link, leaf: link.leaf, ...sound })),
        last,
      )
      return
    }
    this.#seen.setRow(run.first, run.leaves, last - run.first + 1)
    if (this.#source.ordered) {
      this.#positionBefore = last > run.first ? run.positionOf(last - 1) : this.#position
      this.#position = run.positionOf(last)
      this.#lastInOrder = last
    }
    if ((run.recordedOf(run.first) ?? this.#recorded) < this.#recorded) this.clockAnomalies += 1
    this.#recorded = run.recordedOf(last) ?? this.#recorded
    this.#settledTo = last
  }

  /** A record whose number was settled before it came. */
  judgeLate(link: Link): void {
    const hole = this.holes.find(({ from, to }) => from <= link.sequence && link.sequence <= to)
    if (hole !== undefined) this.#fillHole(hole, link)
    else if (this.#seen.get(link.sequence) === link.leaf) this.judgeRepeat(link)
    else this.judgeRival(link)
  }

  /** The same bytes once more; what its carrier derived for it may still be another. */
  judgeRepeat(link: Link): void {
    this.repeats += 1
    this.#judgeProjection(link)
  }

  /** A second record with a number: it continues the stream as well as the first does, or it does not fit. */
  judgeRival(link: Link): void {
    const { stream, sequence, leaf } = link
    const expected = this.#seen.get(sequence)
    const isFork = link.prev !== undefined && link.prev === this.#seen.get(sequence - 1)
    const continuesFork = this.#branchLeaf !== undefined && link.prev === this.#branchLeaf
    if (!isFork && !continuesFork) {
      this.#setAside(link, expected)
      return
    }
    this.#branchLeaf = leaf
    const detail = 'two records have this number and both continue the stream'
    this.#log.addAdjacent({
      verdict: 'FORKED',
      stream,
      sequence,
      ...evidence(expected, leaf),
      ...this.#at(link),
      detail,
    })
  }

  /** Logs what waited for strays to be told from records that stand. */
  reportDeferred(): void {
    for (const { found } of this.#deferred) this.#report(found)
    this.#deferred = []
  }

  /** Whether the record does not continue the one below it. */
  isLoose({ sequence, prev }: Pick<Link, 'sequence' | 'prev'>): boolean {
    if (sequence === 1) return prev !== undefined
    const below = this.#seen.get(sequence - 1)
    return below !== undefined && below !== prev
  }

  /** Forgets what was only because of a record that belongs elsewhere. */
  forgetStray(stray: Link): void {
    const hole = this.holes.at(-1)
    if (hole?.above === stray) hole.isVoid = true
    this.#deferred = this.#deferred.filter(({ cause }) => cause !== stray)
  }

  #defer(cause: Link, found: StreamFinding): void {
    if (this.#deferred.length < setAsideMax) this.#deferred.push({ cause, found })
    else this.#report(found)
  }

  /** What moved together is one finding; a broken link or a wrong column has evidence of its own. */
  #report(found: StreamFinding): void {
    if (found.verdict === 'REORDERED') this.#log.addAdjacent(found)
    else this.#log.add(found)
  }

  #judgeContent({ link, leaf, tampered, brokenFrom }: Resolved): void {
    const { stream, sequence } = link
    const where = this.#at(link)
    if (tampered) {
      const detail = brokenFrom === undefined ? 'the record was changed' : 'the record was changed, its link as well'
      this.#log.add({
        verdict: 'CONTENT_TAMPERED',
        stream,
        sequence,
        expected: leaf,
        found: link.leaf,
        ...where,
        detail,
      })
    } else if (brokenFrom !== undefined || this.isLoose(link)) {
      const expected = brokenFrom ?? this.#seen.get(sequence - 1)
      const detail = 'the record does not name the hash of the one before it'
      this.#defer(link, {
        verdict: 'LINK_BROKEN',
        stream,
        sequence,
        ...evidence(expected, link.prev),
        ...where,
        detail,
      })
    } else this.#judgeProjection(link)
    this.#seen.set(sequence, leaf)
  }

  #judgeProjection(link: Link): void {
    const { stream, sequence, mismatch } = link
    if (mismatch === undefined) return
    const { name, expected, found } = mismatch
    const detail = `${name} is not what the record says`
    const where = this.#at(link)
    this.#defer(link, { verdict: 'PROJECTION_MISMATCH', stream, sequence, expected, found, ...where, detail })
  }

  #setAside(link: Link, expected: string | undefined): void {
    if (this.misfits.length < setAsideMax) {
      this.misfits.push({ ...link, found: link.leaf, expected, reason: 'a record that fits nowhere' })
      return
    }
    const { stream, sequence } = link
    this.#log.add({ verdict: 'INSERTED', stream, sequence, ...this.#at(link), detail: 'a record that fits nowhere' })
  }

  #openHole(from: number, to: number, above: Resolved | undefined): void {
    const last = this.holes.at(-1)
    const expected = above?.link.prev
    if (expected !== undefined) this.#seen.set(to, expected)
    if (last?.to === from - 1) {
      Object.assign(last, { to, expected, before: above?.link.position ?? Number.POSITIVE_INFINITY })
      if (above !== undefined) last.above = above.link
      return
    }
    const stream = this.#stream
    if (this.holes.length >= setAsideMax) {
      this.#log.add({ verdict: 'MISSING', stream, from, to, detail: `${to - from + 1} records are not in this copy` })
      return
    }
    const before = above?.link.position ?? Number.POSITIVE_INFINITY
    this.holes.push({ stream, from, to, expected, after: this.#position, before, ...(above && { above: above.link }) })
  }

  #fillHole(hole: Hole, link: Link): void {
    const { stream, sequence } = link
    const expected = this.#seen.get(sequence)
    if (expected !== undefined && expected !== link.leaf) {
      this.#setAside(link, expected)
      return
    }
    this.#seen.set(sequence, link.leaf)
    const rest = { ...hole, from: sequence + 1 }
    hole.to = sequence - 1
    const at = this.holes.indexOf(hole)
    this.holes.splice(at, 1, ...[hole, rest].filter(({ from, to }) => from <= to))
    if (!this.#source.ordered) return
    const detail = 'the record stands after later ones'
    this.#log.addAdjacent({ verdict: 'REORDERED', stream, sequence, ...this.#at(link), detail })
  }

  #judgeOrder(link: Link): void {
    if (!this.#source.ordered) return
    const position = [link.position, link.again ?? -1].find((place) => place > this.#position) ?? link.position
    const isInOrder = position > this.#position
    if (!isInOrder) this.#judgeMoved(link, position)
    if (isInOrder) this.#positionBefore = this.#position
    if (isInOrder || position > this.#positionBefore) {
      this.#position = position
      this.#lastInOrder = link.sequence
    }
  }

  /** Of two neighbours in the wrong order, the one that moved is the one whose removal mends the order. */
  #judgeMoved(link: Link, position: number): void {
    const { stream } = link
    const belowMoved = position > this.#positionBefore
    const sequence = belowMoved ? this.#lastInOrder : link.sequence
    const detail = belowMoved ? 'the record stands after later ones' : 'the record stands before earlier ones'
    this.#defer(link, {
      verdict: 'REORDERED',
      stream,
      sequence,
      where: this.#source.locate(belowMoved ? this.#position : position),
      detail,
    })
  }

  #judgeClock({ recorded, clockBehind }: Link): void {
    if (clockBehind || (recorded !== undefined && recorded < this.#recorded)) this.clockAnomalies += 1
    if (recorded !== undefined) this.#recorded = recorded
  }

  #at({ position }: Link): { where: string } {
    return { where: this.#source.locate(position) }
  }
}

function evidence(expected: string | undefined, found: string | undefined): { expected?: string; found?: string } {
  return { ...(expected !== undefined && { expected }), ...(found !== undefined && { found }) }
}
