/**
 * What verification says: verdicts with their exit codes, findings with their evidence, and the report that
 * `otel-audit verify --json` prints. Data only. Always holds: an exit code of 0 means that every record of every
 * source was read, and that nothing but benign states was seen.
 */

/** Benign states, mildest first: exit code 0. */
export const benignVerdicts = [
  'INTACT',
  'DUPLICATE_DELIVERY',
  'CLOCK_ANOMALY',
  'PRUNED',
  'ERASED',
  'OPEN_TAIL',
  'FIRST_USE',
] as const

/** Findings, mildest first: exit code 1. */
export const findingVerdicts = [
  'UNANCHORED',
  'UNWITNESSED',
  'PROJECTION_MISMATCH',
  'REORDERED',
  'STREAM_MISSING',
  'TRUNCATED',
  'MISSING',
  'UNAUTHORISED_PRUNE',
  'INSERTED',
  'WRONG_ORIGIN',
  'BAD_SIGNATURE',
  'LINK_BROKEN',
  'FORKED',
  'CONTENT_TAMPERED',
] as const

/** A source that could not be verified: exit code 2. */
export const unverifiedVerdicts = ['NO_RECORDS', 'UNREADABLE'] as const

export type BenignVerdict = (typeof benignVerdicts)[number]
export type FindingVerdict = (typeof findingVerdicts)[number]
export type UnverifiedVerdict = (typeof unverifiedVerdicts)[number]
export type Verdict = BenignVerdict | FindingVerdict | UnverifiedVerdict

/** What was seen, and where. One sequence stands in `sequence`, a range in `from` and `to` (inclusive). */
export interface Finding<Kind extends Verdict = Verdict> {
  readonly verdict: Kind
  /** Name of the source, as it was given. */
  readonly source: string
  /** Absent when the bytes at this place belong to no stream any more. */
  readonly stream?: string
  readonly sequence?: number
  readonly from?: number
  readonly to?: number
  /** The hash (root, or projected value) that should stand here, as far as anything says so. */
  readonly expected?: string
  /** What stands here instead. */
  readonly found?: string
  /** Place in the source: `line 17`, `row 3`. */
  readonly where?: string
  /** One sentence for a person. */
  readonly detail: string
}

export interface StreamReport {
  readonly source: string
  readonly stream: string
  /** As its signed checkpoints say; absent when there is none. */
  readonly deployment?: string
  /** The worst of what was seen in this stream. */
  readonly verdict: Verdict
  /** Distinct sequence numbers read. */
  readonly records: number
  readonly first: number
  readonly last: number
  /** Checkpoints that a given key has signed. */
  readonly checkpoints: number
  /** The largest size that a signed checkpoint of this copy covers; 0 when none does. */
  readonly coveredTo: number
  /** The root that was signed for that size, base64 as in a checkpoint; absent where nothing is covered. */
  readonly root?: string
  /** The size of the largest checkpoint kept from earlier that the stream has been shown to begin with. */
  readonly agreedTo?: number
  /** The size up to which as many witnesses have cosigned it as the trust file demands; 0: not enough of them. */
  readonly witnessedTo?: number
  /** The note of the last checkpoint whose root the records lead to: what an auditor keeps. */
  readonly checkpoint?: string
}

export interface SourceReport {
  readonly name: string
  readonly kind: string
  readonly verdict: Verdict
  readonly exitCode: 0 | 1 | 2
  readonly records: number
  readonly checkpoints: number
  readonly streams: readonly StreamReport[]
  /** Verifier keys that were taken from the source itself, because none of their name was trusted. */
  readonly keysOnFirstUse?: readonly string[]
  /** At most `findingsMax` in detail; `findingCounts` has all of them. */
  readonly findings: readonly Finding<FindingVerdict>[]
  readonly findingCounts: Readonly<Partial<Record<FindingVerdict, number>>>
  /** Benign states, and UNANCHORED where that is allowed. */
  readonly observations: readonly Finding[]
  /** What could not be read at all, and why. */
  readonly unreadable: readonly Unreadable[]
}

export interface Unreadable {
  readonly where?: string
  readonly reason: string
}

/** The report of one run; the exported type of `verify --json`. */
export interface Report {
  readonly verdict: Verdict
  /** 0 verified, 1 findings, 2 could not verify. */
  readonly exitCode: 0 | 1 | 2
  readonly records: number
  readonly checkpoints: number
  /** No checkpoint had been kept to hold the sources to: what was found is where trust in them begins. */
  readonly trustedOnFirstUse?: true
  /** Each source was verified on its own. */
  readonly sources: readonly SourceReport[]
}

/** Most findings described one by one for each source; the rest is counted. */
export const findingsMax = 100

/** Most holes of a stream, and most misfits, kept until the end to be paired; what is beyond is a finding at once. */
export const setAsideMax = 1_000

/** The details of `audit.verified` for one stream of a copy. */
export function verifiedDetails(
  { stream, first, last, coveredTo, root, verdict }: StreamReport,
  source: string,
): Readonly<Record<string, unknown>> {
  const covered = root === undefined ? { to: last } : { to: coveredTo, root }
  return { stream, from: first, ...covered, verdict, source }
}

const severity: readonly Verdict[] = [...benignVerdicts, ...unverifiedVerdicts, ...findingVerdicts]

/** The worst of these verdicts; INTACT of none. A finding outweighs what could not be read. */
export function worstVerdict(verdicts: Iterable<Verdict>): Verdict {
  let worst = 0
  for (const verdict of verdicts) worst = Math.max(worst, severity.indexOf(verdict))
  return severity[worst] ?? 'INTACT'
}

/** The report over several sources: the worst verdict of any, and 1 before 2 before 0 as exit code. */
export function combineReports(sources: readonly SourceReport[]): Report {
  const codes = new Set(sources.map(({ exitCode }) => exitCode))
  return {
    verdict: sources.length === 0 ? 'NO_RECORDS' : worstVerdict(sources.map(({ verdict }) => verdict)),
    exitCode: codes.has(1) ? 1 : codes.has(2) || sources.length === 0 ? 2 : 0,
    records: sources.reduce((sum, { records }) => sum + records, 0),
    checkpoints: sources.reduce((sum, { checkpoints }) => sum + checkpoints, 0),
    sources,
  }
}
