/**
 * `otel-audit verify`: opens the sources, reads the verifier keys, prints the report. Nothing is written but where an option says so.
 * Every text that comes from a source is escaped before it reaches a terminal.
 */

import { AuditError } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import type { Finding, Report, SourceReport, StreamReport } from '../verify/report.ts'
import { combineReports, findingsMax, verifiedDetails } from '../verify/report.ts'
import { reportMissing } from '../verify/since.ts'
import { expandSource } from '../verify/sources.ts'
import { requiredStreams } from '../verify/trust.ts'
import { type Command, parseOptions } from './command.ts'
import { noteOperations, operationsNoteHelp, operationsNoteOption } from './operations-note.ts'
import { printable } from './printable.ts'
import { type Progress, startProgress } from './progress.ts'
import { readVerifiers } from './verifier-keys.ts'
import { keepCheckpoints, keysOnFirstUse, readSince, readTrustText, rememberKeys, trustIn } from './verify-kept.ts'
import { type OnProgress, verifyAll } from './verify-sources.ts'

const help = `Usage: otel-audit verify SOURCE... [--vkey KEY]... [--trust FILE] [--trust-on-first-use] [--since FILE] [--keep FILE] [--allow-unanchored] [--allow-partial] [--json]

Verifies every copy of a trail on its own: each record against its hash, each hash against the next record, and all
of them against the signed checkpoints. Needs no network but that of a database, and writes nothing but the file of --keep, the trail of
--operations and, on first use, the file of --trust.

SOURCE is a spool directory or one of slots, an NDJSON file, an OTLP JSON file of a collector, an archive (a folder or
s3://BUCKET/PREFIX), postgres://..., clickhouse://HOST:8123/DATABASE?table=TABLE, or - for standard
input; its kind is found by looking.

Options:
  --vkey KEY          a verifier key, or a file with one a line; may be repeated. Without it nothing is proven
  --trust FILE        keys and their times, streams that there must be, witnesses that must have cosigned, pruners: JSON,
                      see docs/verify.md
  --trust-on-first-use
                      where no key of a deployment is trusted yet, take the one that the copy itself names, and say so:
                      verdict FIRST_USE. With --trust FILE, which may be missing, it is remembered there when nothing is
                      found, and a later copy that is signed by another key is refused
  --since FILE        checkpoints kept from earlier: the copies must continue them. Shows a copy that was rolled back
  --keep FILE         when nothing is found, write the last checkpoint of each stream there, for the next --since
  --allow-unanchored  exit 0 although nothing signed covers a stream, or no key was given
  --allow-partial     the copy is known to begin later than its streams: a closed file alone, a destination added later
  --operations DIR    ${operationsNoteHelp}: audit.verified
  --json              print the report as JSON
  -h, --help          show this

Exit codes: 0 verified, 1 findings, 2 could not verify (no records, unreadable).

Examples:
  otel-audit verify ./audit.ndjson --vkey ./audit.vkey
  otel-audit verify ./audit-spool ./collector.jsonl postgres://localhost/app --vkey ./audit.vkey --json
  otel-audit verify ./audit.ndjson --vkey ./audit.vkey --since last.checkpoint --keep last.checkpoint
  otel-audit verify ./audit.ndjson --trust trust.json --trust-on-first-use
  otel-audit spool export ./audit-spool | otel-audit verify - --vkey ./audit.vkey
`

const options = {
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  trust: { type: 'string' },
  'trust-on-first-use': { type: 'boolean', default: false },
  since: { type: 'string' },
  keep: { type: 'string' },
  'allow-unanchored': { type: 'boolean', default: false },
  'allow-partial': { type: 'boolean', default: false },
  ...operationsNoteOption,
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'verify',
  summary: 'verify copies of a trail, offline',
  help,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    if (positionals.length === 0)
      throw new AuditError('INVALID_OPTION', 'no SOURCE was given', {
        setting: 'SOURCE',
        hint: 'name what to verify: otel-audit verify ./audit.ndjson',
      })
    const isFirstUse = values['trust-on-first-use']
    const trustText = values.trust === undefined ? undefined : readTrustText(values.trust, isFirstUse)
    const trust = trustText === undefined ? undefined : trustIn(values.trust ?? '', trustText)
    const verifiers = [...values.vkey.flatMap(readVerifiers), ...(trust?.keys ?? []).map(({ verifier }) => verifier)]
    const since = values.since === undefined ? [] : readSince(values.since, verifiers, values.keep)
    const progress = values.json ? undefined : startProgress(io)
    const sources = await verifyAll(
      positionals.flatMap(expandSource),
      {
        verifiers,
        trust: trustText,
        since,
        isFirstUse,
        allowUnanchored: values['allow-unanchored'],
        allowPartial: values['allow-partial'],
      },
      { onProgress: showProgress(progress) },
    )
    progress?.clear()
    const missing = [
      reportMissing(values.since ?? '', since, sources),
      reportMissing(values.trust ?? '', requiredStreams(trust ?? { origins: undefined }), sources),
    ].filter((one) => one !== undefined)
    const isFirstCheckpoint = values.since !== undefined && since.length === 0
    const report: Report = {
      ...combineReports([...sources, ...missing]),
      ...(isFirstCheckpoint && { trustedOnFirstUse: true }),
    }
    if (values.operations !== undefined) await noteOperations(values.operations, sources.flatMap(verifiedFacts), io)
    if (values.keep !== undefined) keepCheckpoints(values.keep, { report, since }, io)
    if (values.trust !== undefined) rememberKeys(values.trust, report, io)
    const own = { hasKeys: verifiers.length > 0, trust: values.trust }
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : formatReport(report, own))
    return report.exitCode
  },
}

/** What was verified, for each stream. */
function verifiedFacts({ kind, streams }: SourceReport): ControlFact[] {
  return streams.map((stream) => ({ type: 'audit.verified', details: verifiedDetails(stream, kind) }))
}

/** The source read last, and how many records of each were read, when there are several at a time. */
function showProgress(progress: Progress | undefined): OnProgress {
  const read = new Map<string, number>()
  return ({ source, records }) => {
    read.set(source, records)
    const sum = [...read.values()].reduce((total, each) => total + each, 0)
    const all = read.size > 1 ? `, ${formatCount(sum)} of ${read.size} sources` : ''
    progress?.show(`${printable(source)}: ${formatCount(records)} records${all}`)
  }
}

function formatReport(
  report: Report,
  { hasKeys, trust }: { readonly hasKeys: boolean; readonly trust: string | undefined },
): string {
  const taken = keysOnFirstUse(report)
  const lines = report.sources.flatMap(formatSource)
  if (taken.length > 0) lines.push(...formatFirstUse(taken, report.exitCode === 0 ? trust : undefined))
  else if (!hasKeys) lines.push('No verifier key was given (--vkey): damage shows, but nothing is proven.')
  if (report.trustedOnFirstUse)
    lines.push('Trusted on first use: no checkpoint was kept yet, so the copies were taken as they were found.')
  if (report.exitCode === 0)
    lines.push('A copy that was rolled back as a whole verifies too: compare the last sequences with what you know.')
  return `${lines.join('\n')}\n`
}

function formatFirstUse(keys: readonly string[], remembered: string | undefined): string[] {
  return [
    'Trusted on first use: these keys were taken from the copies themselves. Compare them with what their owner says.',
    ...keys.map((key) => `  ${printable(key)}`),
    ...(remembered === undefined ? [] : [`They are remembered in ${printable(remembered)}.`]),
  ]
}

function formatSource(source: SourceReport): string[] {
  const { name, kind, verdict, records, streams, findings, findingCounts, observations, unreadable } = source
  const counted = Object.values(findingCounts).reduce((sum, count) => sum + count, 0)
  return [
    `${printable(name)} (${kind}): ${verdict}, ${formatCount(records)} records in ${streams.length} ${streams.length === 1 ? 'stream' : 'streams'}`,
    ...streams.map(formatStream),
    ...findings.map(formatFinding),
    ...(counted > findings.length
      ? [`  … and ${counted - findings.length} findings more (the first ${findingsMax} are shown)`]
      : []),
    ...observations.map(({ verdict: seen, stream, detail }) => `  ${seen} in ${printable(stream ?? '')}: ${detail}`),
    ...unreadable.map(
      ({ where, reason }) => `  could not read${where === undefined ? '' : ` ${where}`}: ${printable(reason)}`,
    ),
    ...(records === 0 ? ['  no record was read: that is never taken for verified'] : []),
    '',
  ]
}

function formatStream({
  stream,
  deployment,
  verdict,
  records,
  first,
  last,
  checkpoints,
  coveredTo,
  witnessedTo,
}: StreamReport): string {
  const origin = deployment === undefined ? stream : `${deployment}/${stream}`
  return `  stream ${printable(origin)}: ${verdict}, ${formatCount(records)} records (${first} to ${last}), ${checkpoints} signed checkpoints, covered to ${coveredTo}${witnessedTo === undefined ? '' : `, witnessed to ${witnessedTo}`}`
}

function formatFinding({ verdict, stream, sequence, from, to, expected, found, where, detail }: Finding): string {
  const place =
    sequence !== undefined ? ` sequence ${sequence}` : from !== undefined ? ` sequences ${from} to ${to}` : ''
  const head = `  ${verdict}${place}${stream === undefined ? '' : ` of ${printable(stream)}`}${where === undefined ? '' : ` (${where})`}`
  return [
    `${head}: ${printable(detail)}`,
    ...(expected === undefined ? [] : [`      expected ${printable(expected)}`]),
    ...(found === undefined ? [] : [`      found    ${printable(found)}`]),
  ].join('\n')
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}
