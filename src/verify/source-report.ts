/** The report over one source, once everything in it has been judged. Data only. */

import type { Link } from './link.ts'
import type { Reading } from './reading.ts'
import { type Finding, type SourceReport, type StreamReport, worstVerdict } from './report.ts'
import type { StreamVerifier } from './stream.ts'

/** What was seen, and the verdict over it. */
export function reportOf(reading: Reading, observations: readonly Finding[]): SourceReport {
  const { source, log, records, unreadable, ring } = reading
  const streams = [...reading.streams.values()].map((stream) => streamReportOf(stream, reading, observations))
  const couldNot = unreadable.length > 0 ? 'UNREADABLE' : records === 0 ? 'NO_RECORDS' : undefined
  const verdicts = [...log.findings, ...observations].map(({ verdict }) => verdict)
  return {
    name: source.name,
    kind: source.kind,
    verdict: worstVerdict(couldNot === undefined ? verdicts : [...verdicts, couldNot]),
    exitCode: log.findings.length > 0 ? 1 : couldNot === undefined ? 0 : 2,
    records,
    checkpoints: streams.reduce((sum, { checkpoints }) => sum + checkpoints, 0),
    streams,
    findings: log.findings,
    findingCounts: log.counts,
    ...(ring.keysOnFirstUse.length > 0 && { keysOnFirstUse: ring.keysOnFirstUse }),
    observations,
    unreadable,
  }
}

function streamReportOf(stream: StreamVerifier, reading: Reading, observations: readonly Finding[]): StreamReport {
  const { log, source } = reading
  const root = stream.signedRoot(stream.coveredTo)?.toString('base64')
  const seen = observations.filter((each) => each.stream === stream.stream).map(({ verdict }) => verdict)
  return {
    source: source.name,
    stream: stream.stream,
    ...(stream.deployment !== undefined && { deployment: stream.deployment }),
    verdict: worstVerdict([...log.verdictsOf(stream.stream), ...seen]),
    records: stream.records,
    first: stream.first,
    last: stream.last?.sequence ?? 0,
    checkpoints: stream.checkpoints,
    coveredTo: stream.coveredTo,
    ...(root !== undefined && { root }),
    ...reading.cosignatures.witnessedTo(stream.stream),
    ...(stream.kept.agreedTo > 0 && { agreedTo: stream.kept.agreedTo }),
    ...(reading.ring.verifiers.length > 0 && noteOf(stream.reached)),
  }
}

function noteOf(checkpoint: Link | undefined): { checkpoint?: string } {
  const { note } = (checkpoint?.control?.details ?? {}) as { note?: unknown }
  return typeof note === 'string' ? { checkpoint: note } : {}
}
