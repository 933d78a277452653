/** `otel-audit evidence`: a bundle for an auditor, who checks it without us. Writes one new file, and what was given away into a trail. */

import { hash } from 'node:crypto'
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { formatVerifierKey, type Verifier } from '../chain/note.ts'
import { AuditError, errorCode, errorText } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import { gatherEvidence } from '../verify/evidence.ts'
import { type CheckPrograms, packEvidence } from '../verify/evidence-bundle.ts'
import { type EvidenceReport, reportEvidence } from '../verify/evidence-report.ts'
import type { Source } from '../verify/source.ts'
import { expandSource, openSource } from '../verify/sources.ts'
import { type Command, parseOptions, requireOption } from './command.ts'
import { noteOperations, operationsNoteHelp, operationsNoteOption } from './operations-note.ts'
import { printable } from './printable.ts'
import { startProgress } from './progress.ts'
import { describeFilter, filterOptions, readFilter } from './query-filter.ts'
import { formatCount, userName } from './spool-arguments.ts'
import { readVerifiers } from './verifier-keys.ts'

const { controls: _, ...filters } = filterOptions
const options = {
  ...filters,
  out: { type: 'string' },
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  'allow-partial': { type: 'boolean', default: false },
  ...operationsNoteOption,
  json: { type: 'boolean', default: false },
} as const

/** What `evidence --json` prints: the report of the bundle, and where it lies. */
export interface EvidenceResult {
  readonly out: string
  readonly bytes: number
  readonly report: EvidenceReport
}

export const command: Command = {
  name: 'evidence',
  summary: 'make a bundle for an auditor: records, proofs, keys and how to check them without us',
  help: `Usage: otel-audit evidence SOURCE --vkey KEY --out FILE.zip [--since TIME] [--until TIME] [filters] [--json]

Verifies the copy, and packs the records that are asked for, each with a proof against a signed checkpoint; what the
trail says of policy, suppressed events, gaps and retention; a report to read and print; and two short Python programs
that check all of it. The same records give the same bytes.

With a filter for somebody's records (--actor, --tenant, --trace, ...) the bundle holds nothing of anybody else: in the
place of neighbours stand hashes. Without one it holds all records of the time, and shows that none is missing.

SOURCE is what otel-audit verify takes: a spool directory, an NDJSON file, an archive, postgres://...,
clickhouse://..., - for standard input.

Options:
  --out FILE.zip      the bundle; must not exist yet
  --vkey KEY          a verifier key, or a file with one a line; may be repeated
  --since TIME        happened (without a filter: was sealed) at or after: RFC 3339, a date (UTC), or 90s, 15m, 24h, 7d
                      for that long ago
  --until TIME        happened, or was sealed, before
  --actor, --tenant, --trace, --target, --action, --correlation, --outcome, --level
                      as for otel-audit query
  --slack-days DAYS   as for otel-audit query
  --allow-partial     the copy is known to begin later than its streams
  --operations DIR    ${operationsNoteHelp}: audit.exported, with the
                      filter, how many records, and the hash of the bundle
  --json              print one JSON object (type EvidenceResult)
  -h, --help          show this

Exit codes: 0 made, and everything in it is proven; 1 made, with findings or records that nothing signed covers (yet);
2 not made.

Examples:
  otel-audit evidence ./audit.ndjson --since 2026-01-01 --until 2026-04-01 --vkey audit.vkey --out q1.zip
  otel-audit evidence postgres://localhost/app --tenant acme --since 30d --vkey audit.vkey --out acme.zip
  otel-audit evidence ./audit-spool --vkey audit.vkey --out all.zip --operations ./audit-operations
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const { out: _out, vkey: _vkey, 'allow-partial': allowPartial, json, operations, ...filter } = values
    const { since, until, 'slack-days': slackDays, ...subject } = filter
    const out = requireOption(values.out, '--out')
    requireOption(values.vkey[0], '--vkey')
    const source = await openOne(positionals)
    const verifiers = values.vkey.flatMap(readVerifiers)
    const isAboutSubject = Object.values(subject).some((value) => value !== undefined)
    const progress = startProgress(io)
    const evidence = await gatherEvidence(source, {
      verifiers,
      allowPartial,
      conditions: readFilter({ ...filter, controls: false }),
      range: readFilter({ ...defined({ since, until, 'slack-days': slackDays }), controls: true }),
      isAboutSubject,
      onProgress: ({ records }) => progress.show(`${formatCount(records, 'record')} read`),
    })
    progress.clear()
    const question = {
      filter: describeFilter({ ...filter, controls: false }),
      isAboutSubject,
      keys: textOf(evidence.keys),
    }
    const report = reportEvidence(evidence, question)
    const bytes = packEvidence(evidence, report, readPrograms())
    // Between the two: what cannot be written is not recorded as exported, and what cannot be recorded is not given away.
    await writeBundle(out, bytes, async () => {
      if (operations !== undefined) await noteOperations(operations, [exportedFact(report, bytes)], io)
      else io.stderr.write('This export was not recorded: name a directory for that with --operations DIR.\n')
    })
    const result: EvidenceResult = { out, bytes: bytes.length, report }
    io.stdout.write(json ? `${JSON.stringify(result)}\n` : describe(result))
    return exitCodeOf(report)
  },
}

function exportedFact(
  { filter, records, isAboutSubject, verification }: EvidenceReport,
  bytes: Uint8Array,
): ControlFact {
  const { kind: source, verdict } = verification
  const digest = hash('sha256', bytes, 'hex')
  const details = { who: userName(), kind: 'evidence', source, verdict, filter, isAboutSubject, count: records, digest }
  return { type: 'audit.exported', details }
}

/** The options that were given. */
function defined<Options extends Readonly<Record<string, string | undefined>>>(
  given: Options,
): { [Name in keyof Options]?: string } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Options]?: string
  }
}

async function openOne([name, ...others]: readonly string[]): Promise<Source> {
  const parts = expandSource(requireOption(name, 'SOURCE'))
  const [only, ...more] = [...parts, ...others]
  if (only !== undefined && more.length === 0) return openSource(only)
  throw new AuditError('INVALID_OPTION', `a bundle is made from one copy, and here are ${more.length + 1}`, {
    setting: 'SOURCE',
    hint: `name one of them: ${[only, ...more].slice(0, 3).join(', ')}`,
  })
}

function textOf(verifiers: readonly Verifier[]): string[] {
  return verifiers.map(({ name, publicKey }) =>
    formatVerifierKey(name, publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)),
  )
}

/** The same place from the sources and from the built package. */
function readPrograms(): CheckPrograms {
  const folder = new URL('../../examples/verify-elsewhere/', import.meta.url)
  return Object.fromEntries(programs.map((name) => [name, readFileSync(new URL(name, folder), 'utf8')]))
}

const programs = ['check.py', 'verify.py']

/** Writes the bundle beside its place, has that recorded, and gives it its name, which must be free. */
async function writeBundle(path: string, bytes: Uint8Array, record: () => Promise<void>): Promise<void> {
  const draft = `${path}.part`
  try {
    attemptOut(path, () => {
      if (existsSync(path)) throw new OutExistsError()
      writeFileSync(draft, bytes, { mode: 0o600, flush: true })
    })
    await record()
    attemptOut(path, () => linkSync(draft, path)) // never replaces
  } finally {
    rmSync(draft, { force: true })
  }
}

class OutExistsError extends Error {
  readonly code = 'EEXIST'
}

function attemptOut(path: string, write: () => void): void {
  try {
    write()
  } catch (cause) {
    const exists = errorCode(cause) === 'EEXIST'
    throw new AuditError('INVALID_OPTION', `--out ${path}: ${exists ? 'it exists already' : errorText(cause)}`, {
      setting: '--out',
      hint: exists ? 'name a new file: evidence is never overwritten' : 'name a file in a directory you may write to',
      cause,
    })
  }
}

function describe({ out, bytes, report }: EvidenceResult): string {
  const { records, proven, verification, streams, withheld } = report
  const unproven = records - proven
  const lines = [
    `${out}: ${formatCount(records, 'record')} of ${formatCount(streams.length, 'stream')}, ${formatCount(bytes, 'byte')}`,
    `  the copy: ${verification.verdict}`,
    ...verification.findings.map(
      ({ verdict, stream = '', sequence, from = sequence, to = from }) =>
        `  ${verdict} ${printable(stream)} ${from ?? ''}${to === from ? '' : ` to ${to}`}`,
    ),
    ...(unproven === 0
      ? []
      : [`  ${formatCount(unproven, 'record')} without a proof: no signed checkpoint covers them, or not yet`]),
    ...(withheld.length === 0 ? [] : [`  left out, because they speak of everybody: ${withheld.join(', ')}`]),
  ]
  return `${lines.join('\n')}\n`
}

function exitCodeOf({ records, proven, verification }: EvidenceReport): number {
  if (verification.exitCode !== 0) return verification.exitCode
  return proven === records ? 0 : 1
}
