/** The demo in numbers, as `summary.json` holds them, and what of them would be a failure. */

import type { CopyName, Holdings } from './copies.ts'
import type { Acknowledged } from './traffic.ts'
import type { SourceReport } from './verification.ts'

export interface Summary {
  /** Events whose receipt reached the client. */
  readonly emitted: number
  /** Receipts that said written. */
  readonly written: number
  /** Receipts that said suppressed: reads, under the level writes_only. */
  readonly suppressed: number
  /**
   * Audit records that each copy holds, each counted once, control records not at all. More than `written` where the
   * kill swallowed an answer whose record was written already.
   */
  readonly delivered: Partial<Record<Exclude<CopyName, 'spool'>, number>>
  /** What `otel-audit verify` said of each copy; repeats, which delivery at least once allows, aside. */
  readonly verified: Partial<Record<CopyName, string>>
  /** Records that a receipt calls written and that some copy does not hold. */
  readonly lost: number
}

/** A copy after it was looked through and verified. */
export interface Examined {
  readonly name: CopyName
  readonly holdings: Holdings
  readonly report: SourceReport
}

export function summarize(acknowledged: Acknowledged, copies: readonly Examined[]): Summary {
  const { emitted, written, suppressed } = acknowledged
  const delivered = copies.flatMap(({ name, holdings }) => (name === 'spool' ? [] : [[name, holdings.ids.size]]))
  return {
    emitted,
    written: written.size,
    suppressed,
    delivered: Object.fromEntries(delivered),
    verified: Object.fromEntries(copies.map(({ name, report }) => [name, verdictOf(report)])),
    lost: lostIds(written, copies).length,
  }
}

/** What is wrong, in one sentence each; nothing, if all is well. */
export function faultsOf({ written }: Acknowledged, copies: readonly Examined[]): string[] {
  const lost = lostIds(written, copies)
  const faults = lost.length === 0 ? [] : [`${lost.length} acknowledged records are not in every copy: ${lost[0]} …`]
  for (const { name, report, holdings } of copies) {
    if (report.exitCode !== 0) faults.push(`the copy "${name}" is ${report.verdict}, not INTACT`)
    if (holdings.leaks > 0) faults.push(`${holdings.leaks} records of the copy "${name}" hold a secret`)
  }
  return faults
}

/** A copy with repeats is whole: `otel-audit verify` names them, and so does the story. */
export function verdictOf({ verdict }: SourceReport): string {
  return verdict === 'DUPLICATE_DELIVERY' ? 'INTACT' : verdict
}

function lostIds(written: ReadonlySet<string>, copies: readonly Examined[]): string[] {
  return [...written].filter((id) => copies.some(({ holdings }) => !holdings.ids.has(id)))
}
