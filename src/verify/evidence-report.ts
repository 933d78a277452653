/**
 * What a bundle says of itself, as data: `report.json`. Made from the gathered records alone. Always holds: it names no
 * path and no time of its making, so that the same records give the same bytes; and of a subject's evidence the findings
 * keep their place and lose their words, which may be somebody else's.
 */

import type { ControlType } from '../event/record.ts'
import type { Evidence, EvidenceRecord } from './evidence.ts'
import type { Finding, SourceReport, Verdict } from './report.ts'

/** What was asked for. */
export interface EvidenceQuestion {
  /** The filters as they were written. */
  readonly filter: Readonly<Record<string, string | boolean>>
  readonly isAboutSubject: boolean
  /** Verifier keys, in their text form. */
  readonly keys: readonly string[]
}

export interface EvidenceStream {
  readonly stream: string
  readonly records: number
  readonly first: number
  readonly last: number
  /** Whether no number between the first and the last is missing. */
  readonly isContiguous: boolean
}

/** A record about the trail itself. */
export interface EvidenceFact {
  readonly type: string
  readonly stream: string
  readonly sequence: number
  readonly recorded: string
  readonly details: unknown
}

/** What came of verifying the whole copy that the records were taken from. */
export interface EvidenceVerification
  extends Pick<SourceReport, 'kind' | 'verdict' | 'exitCode' | 'findings' | 'findingCounts' | 'observations'> {
  /** Reasons why parts of the copy could not be read. */
  readonly unreadable: readonly string[]
  /** Its size; absent of a subject's evidence, because it counts everybody's records. */
  readonly whole?: Pick<SourceReport, 'records' | 'checkpoints' | 'streams'>
}

/** The type of `report.json`. */
export interface EvidenceReport extends EvidenceQuestion {
  readonly format: 'otel-audit-evidence@1'
  readonly verification: EvidenceVerification
  readonly records: number
  readonly proven: number
  readonly streams: readonly EvidenceStream[]
  /** Events that policy kept out, by rule. */
  readonly suppressed: readonly EvidenceFact[]
  readonly policy: readonly EvidenceFact[]
  /** Records that went elsewhere than into the trail, or were set aside. */
  readonly gaps: readonly EvidenceFact[]
  readonly keyChanges: readonly EvidenceFact[]
  /** Retention and erasure. */
  readonly removals: readonly EvidenceFact[]
  /** Types that were left out because they speak of everybody. */
  readonly withheld: readonly string[]
}

const factTypes = {
  suppressed: ['audit.suppressed'],
  policy: ['audit.policy.changed', 'audit.policy.rejected'],
  gaps: [
    'audit.gap',
    'audit.quarantined',
    'audit.quarantine.resolved',
    'audit.destination.dropped',
    'audit.destination.rewound',
    'audit.destination.resent',
  ],
  keyChanges: ['audit.key.rotated'],
  removals: ['audit.file.deleted', 'audit.pruned', 'audit.erased', 'audit.hold.added', 'audit.hold.released'],
} as const satisfies Record<string, readonly ControlType[]>

export function reportEvidence(evidence: Evidence, question: EvidenceQuestion): EvidenceReport {
  const { verification, records, withheld } = evidence
  const factsOf = (kind: keyof typeof factTypes): EvidenceFact[] =>
    records.flatMap((record) => factIn(record, factTypes[kind]))
  return {
    format: 'otel-audit-evidence@1',
    ...question,
    verification: quoteVerification(verification, question.isAboutSubject),
    records: records.length,
    proven: records.filter(({ proof }) => proof !== undefined).length,
    streams: streamsOf(records),
    suppressed: [...factsOf('suppressed'), ...records.flatMap(inheritedCounts)],
    policy: factsOf('policy'),
    gaps: factsOf('gaps'),
    keyChanges: factsOf('keyChanges'),
    removals: factsOf('removals'),
    withheld,
  }
}

function factIn(record: EvidenceRecord, types: readonly string[]): EvidenceFact[] {
  const { event_type: type = 'audit', recorded = '', details } = record.members
  return types.includes(type) ? [{ type, stream: record.stream, sequence: record.sequence, recorded, details }] : []
}

/** Counts that a writer which ended by a crash had not sealed stand in the next opening. */
function inheritedCounts(record: EvidenceRecord): EvidenceFact[] {
  const [fact] = factIn(record, ['audit.stream.opened'])
  const { suppressed } = (fact?.details ?? {}) as { suppressed?: unknown }
  return fact === undefined || suppressed === undefined ? [] : [{ ...fact, details: suppressed }]
}

function streamsOf(records: readonly EvidenceRecord[]): EvidenceStream[] {
  const streams = new Map<string, { records: number; first: number; last: number }>()
  for (const { stream, sequence } of records) {
    const seen = streams.get(stream) ?? { records: 0, first: sequence, last: sequence }
    streams.set(stream, { ...seen, records: seen.records + 1, last: sequence })
  }
  return [...streams].map(([stream, seen]) => ({
    stream,
    ...seen,
    isContiguous: seen.last - seen.first + 1 === seen.records,
  }))
}

function quoteVerification(verification: SourceReport, isAboutSubject: boolean): EvidenceVerification {
  const { kind, verdict, exitCode, findings, findingCounts, observations, unreadable } = verification
  const { records, checkpoints, streams } = verification
  const quoted = {
    kind,
    verdict,
    exitCode,
    findings: findings.map((finding) => quoteFinding(finding, kind, isAboutSubject)),
    findingCounts,
  }
  if (isAboutSubject) return { ...quoted, observations: [], unreadable: unreadable.map(() => 'a part of the copy') }
  return {
    ...quoted,
    observations: observations.map((finding) => quoteFinding(finding, kind, false)),
    unreadable: unreadable.map(({ reason }) => reason),
    whole: { records, checkpoints, streams: streams.map((stream) => ({ ...stream, source: kind })) },
  }
}

function quoteFinding<Kind extends Verdict>(
  finding: Finding<Kind>,
  source: string,
  isAboutSubject: boolean,
): Finding<Kind> {
  if (!isAboutSubject) return { ...finding, source }
  const { verdict, stream, sequence, from, to } = finding
  return {
    verdict,
    source,
    ...(stream !== undefined && { stream }),
    ...(sequence !== undefined && { sequence }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    detail: '',
  }
}
