/**
 * What retention has removed from a database: ranges as `audit.partition` lists them, and the sealed statements
 * (`audit.pruned`) that alone make a removal authorised. A range that is listed and not stated is UNAUTHORISED_PRUNE. The
 * tree in a range is believed by nobody's word: what is left must fold from it to a root that was signed.
 */

import { Frontier } from '../chain/merkle.ts'
import type { FindingLog } from './finding-log.ts'
import type { Link } from './link.ts'
import type { Finding } from './report.ts'
import type { PrunedRange } from './source.ts'

/** Where a stream goes on after what was removed of its beginning. */
export interface Base {
  readonly sequence: number
  /** Leaf hash of the record of this sequence. */
  readonly hash: string
  readonly tree: Frontier | undefined
}

export interface Absence {
  readonly stream: string
  readonly from: number
  readonly to: number
}

interface Statement extends Absence {
  readonly hash: string
}

export class Prunes {
  readonly observations: Finding[] = []
  readonly #source: string
  readonly #log: FindingLog
  #ranges: readonly PrunedRange[] = []
  #statements: readonly Statement[] = []
  /** Those of streams whose word does not count. */
  #refused: readonly Statement[] = []
  /** Of the streams whose beginning was removed. */
  readonly #bases = new Map<string, Base>()

  constructor(source: string, log: FindingLog) {
    this.#source = source
    this.#log = log
  }

  /** What the source lists. Before its records are read. */
  list(ranges: readonly PrunedRange[]): void {
    this.#ranges = ranges
  }

  /**
   * The records `audit.pruned` that stand in the source, and those of streams that the trust file does not name as
   * pruners. One that contradicts what is listed counts for nothing.
   */
  believe(links: readonly Link[], refused: readonly Link[] = []): void {
    this.#refused = refused.map(({ control }) => control?.details).filter(isStatement)
    const contradicts = ({ stream, to, hash }: Statement) =>
      this.#ranges.some((range) => range.stream === stream && range.to === to && range.hash !== hash)
    this.#statements = links
      .map(({ control }) => control?.details)
      .filter(isStatement)
      .filter((statement) => !contradicts(statement))
  }

  /** Where a stream begins whose first record here is this one, when everything before it was removed. */
  baseOf({ stream, sequence }: Link): Base | undefined {
    const range = this.#ranges.find((one) => one.stream === stream && one.to === sequence - 1)
    if (range === undefined) return undefined
    const base = { sequence: range.to, hash: range.hash, tree: range.tree && Frontier.from(range.to, range.tree) }
    this.#bases.set(stream, base)
    return base
  }

  /** Says of each stream that begins later what was removed before; the beginnings that nothing explains. */
  explainBeginnings(): Absence[] {
    return [...this.#bases].flatMap(([stream, { sequence: to }]) => {
      const own = this.#ranges.filter((range) => range.stream === stream).sort((a, b) => b.to - a.to)
      const from = own.reduce((first, range) => (range.to === first - 1 ? range.from : first), to + 1)
      this.explain({ stream, from, to })
      return from > 1 ? [{ stream, from: 1, to: from - 1 }] : []
    })
  }

  /** Says what retention explains of an absence; the parts of it that nothing explains. */
  explainParts(absence: Absence): Absence[] {
    if (this.explain(absence)) return []
    const { stream, from, to } = absence
    const known = [...this.#statements, ...this.#refused, ...this.#ranges].filter((one) => one.stream === stream)
    const rest: Absence[] = []
    for (let at = from, end = to; at <= to; at = end + 1) {
      const covering = known.filter((one) => one.from <= at && at <= one.to).map((one) => one.to)
      const following = known.filter((one) => one.from > at).map((one) => one.from - 1)
      end = Math.min(to, covering.length > 0 ? Math.max(...covering) : Math.min(to, ...following))
      const part = { stream, from: at, to: end }
      if (covering.length === 0 || !this.explain(part)) rest.push(part)
    }
    return rest
  }

  /** Whether retention explains that these records are not here; then it is said, as an observation or a finding. */
  explain(absence: Absence): boolean {
    const { stream, from, to } = absence
    if (covers(this.#statements, absence)) {
      const detail = 'these records were past their retention and were removed, which the trail says itself'
      this.observations.push({ verdict: 'PRUNED', source: this.#source, stream, from, to, detail })
      return true
    }
    const isRefused = covers([...this.#statements, ...this.#refused], absence)
    if (!isRefused && !covers(this.#ranges, absence)) return false
    const detail = isRefused
      ? 'these records were removed, as the trail says, by somebody whom the trust file does not name among the pruners'
      : 'the database lists these records as removed, but no sealed record says so'
    this.#log.add({ verdict: 'UNAUTHORISED_PRUNE', stream, from, to, detail })
    return true
  }
}

function covers(ranges: readonly Absence[], { stream, from, to }: Absence): boolean {
  const own = ranges.filter((range) => range.stream === stream).sort((a, b) => a.from - b.from)
  return own.reduce((end, range) => (range.from <= end + 1 ? Math.max(end, range.to) : end), from - 1) >= to
}

function isStatement(value: unknown): value is Statement {
  const { stream, from, to, hash } = (value ?? {}) as Record<string, unknown>
  return typeof stream === 'string' && typeof from === 'number' && typeof to === 'number' && typeof hash === 'string'
}
