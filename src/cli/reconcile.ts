/** `otel-audit reconcile`: what one copy of a trail has that another lacks or holds otherwise. Writes nothing. */

import { AuditError } from '../errors.ts'
import type { CopyComparison, Reconciliation, SequenceRange } from '../verify/reconcile.ts'
import { reconcile } from '../verify/reconcile.ts'
import { openSource } from '../verify/sources.ts'
import { type Command, parseOptions, requireOption } from './command.ts'
import { startProgress } from './progress.ts'
import { formatCount } from './spool-arguments.ts'

const options = {
  from: { type: 'string' },
  to: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

/** Most of a kind printed for people. */
const shown = 10

export const command: Command = {
  name: 'reconcile',
  summary: 'compare copies of a trail: what one has that another lacks or holds otherwise',
  help: `Usage: otel-audit reconcile --from SOURCE --to SOURCE [--to SOURCE]... [--json]

Compares every record of one copy with the others, by stream, sequence and hash, and names what is missing there or
different, and where. Order and repetition mean nothing, and neither do records that only the other copy has: the
first may have given them back, or not have them yet. Whether a copy is genuine is for otel-audit verify to say.
SOURCE is what verify takes: a spool directory, an NDJSON file, an OTLP JSON file, an archive (a folder or
s3://...), postgres://..., clickhouse://..., or - for standard
input. Reads each copy once; needs 64 bytes of memory a record.

Options:
  --from SOURCE  the copy that should be complete, in general the spool
  --to SOURCE    a copy to compare with it; may be repeated
  --json         print one JSON object (type Reconciliation)
  -h, --help     show this

Exit codes: 0 nothing is missing or different, 1 something is, 2 a copy has no records or could not be read whole.

Examples:
  otel-audit reconcile --from ./audit-spool --to ./audit.ndjson --to postgres://localhost/app
  otel-audit reconcile --from ./audit.ndjson --to ./collector.jsonl --json
`,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options })
    const from = requireOption(values.from, '--from')
    if (values.to.length === 0) throw noTo()
    const sources = [await openSource(from)]
    // In order, so that the first that cannot be opened is named.
    for (const name of values.to) sources.push(await openSource(name))
    const [first, ...others] = sources
    if (first === undefined) throw new RangeError('no source')
    const progress = startProgress(io)
    const report = await reconcile(first, others, (name, records) => progress.show(`${name}: ${records} records`))
    progress.clear()
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describe(report))
    return report.exitCode
  },
}

function noTo(): AuditError {
  const hint = 'Name the copy to compare with: --to ./audit.ndjson'
  return new AuditError('INVALID_OPTION', '--to is missing', { setting: '--to', hint })
}

function describe({ from, to }: Reconciliation): string {
  const lines = [`${from.name}: ${formatCount(from.records, 'record')}${troubleOf(from)}`, ...to.flatMap(describeCopy)]
  return `${lines.join('\n')}\n`
}

function describeCopy(copy: CopyComparison): string[] {
  const { name, records, missing, different, onlyHere } = copy
  const found = [
    ...(missing.count === 0 ? [] : [`${formatCount(missing.count, 'record')} missing`]),
    ...(different.count === 0 ? [] : [`${different.count} different`]),
    ...(onlyHere.count === 0 ? [] : [`${onlyHere.count} only here`]),
  ]
  const verdict = found.length === 0 ? 'the same' : found.join(', ')
  return [
    `${name}: ${formatCount(records, 'record')}, ${verdict}${troubleOf(copy)}`,
    ...missing.first.slice(0, shown).map((range) => `  missing    ${describeRange(range)}`),
    ...different.first.slice(0, shown).map(({ stream, sequence, expected, found: held, where }) => {
      return `  different  ${sequence} of ${stream} at ${where}: ${held} instead of ${expected}`
    }),
    ...(missing.first.length > shown || different.first.length > shown
      ? ['  … and more (--json lists a hundred)']
      : []),
  ]
}

function describeRange({ stream, from, to }: SequenceRange): string {
  return from === to ? `${from} of ${stream}` : `${from} to ${to} of ${stream}`
}

function troubleOf({ damaged, unreadable }: Reconciliation['from']): string {
  const broken = unreadable === undefined ? '' : `; reading broke off: ${unreadable}`
  return damaged === 0 ? broken : `; ${damaged} places hold no record${broken}`
}
