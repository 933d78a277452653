/**
 * `otel-audit reconcile`: what one copy of a trail has that another lacks or holds otherwise; with `--resend`, has it sent
 * again. Writes nothing but the request for that.
 */

import { AuditError } from '../errors.ts'
import { checkOperatorTexts } from '../spool/refusals.ts'
import type { CopyComparison, Reconciliation } from '../verify/reconcile.ts'
import { reconcile } from '../verify/reconcile.ts'
import type { Source } from '../verify/source.ts'
import { openSource } from '../verify/sources.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { startProgress } from './progress.ts'
import {
  describePlan,
  describeResend,
  formatRange,
  isComplete,
  type Maker,
  MissingRanges,
  makerOf,
  plan,
  type Resend,
  type ResendWish,
  resend,
} from './reconcile-resend.ts'
import { formatCount, readDirectory, readWait, userName } from './spool-arguments.ts'

/** What `reconcile --resend --json` prints; without `--resend`, a `Reconciliation`. */
export interface ResendReport extends Reconciliation {
  /** One for each copy. */
  readonly resend: readonly Resend[]
}

const waitSecondsDefault = 10

const options = {
  from: { type: 'string' },
  to: { type: 'string', multiple: true, default: [] as string[] },
  resend: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
  destination: { type: 'string' },
  spool: { type: 'string' },
  why: { type: 'string' },
  operator: { type: 'string' },
  wait: { type: 'string', default: String(waitSecondsDefault) },
  json: { type: 'boolean', default: false },
} as const

type Values = ReturnType<typeof parseOptions<{ args: string[]; options: typeof options }>>['values']

/** Most of a kind printed for people. */
const shown = 10

export const command: Command = {
  name: 'reconcile',
  summary: 'compare copies of a trail: what one has that another lacks or holds otherwise; --resend sends it again',
  help: `Usage: otel-audit reconcile --from SOURCE --to SOURCE [--to SOURCE]... [--json]
       otel-audit reconcile --from SPOOL --to SOURCE... --resend [--destination NAME] [--dry-run]
                            [--why TEXT] [--operator NAME] [--wait SECONDS] [--json]

Compares every record of one copy with the others, by stream, sequence and hash, and names what is missing there or
different, and where. Order and repetition mean nothing, and neither do records that only the other copy has: the
first may have given them back, or not have them yet; nor what retention has removed from a database, as that lists it.
Whether a copy is genuine is for otel-audit verify to say. SOURCE is what verify takes: a spool directory, an NDJSON
file, an OTLP JSON file, an archive (a folder or s3://...), postgres://..., clickhouse://..., or - for standard input.
Reads each copy once.

--resend puts what is missing back into the queue of the destination that makes the copy: the process that delivers
(the application, or otel-audit forward) sends it again within seconds, or when it next runs, and seals
audit.destination.resent. Only what the spool still has can be sent; the rest is named. What is not delivered yet comes
by itself, and what differs stays as it is: nothing is overwritten. A database has a repeated record once, a lost row
is put back in its place; elsewhere a record may come twice, with the same id.

Options:
  --from SOURCE       the copy that should be complete, in general the spool
  --to SOURCE         a copy to compare with it; may be repeated
  --resend            have what is missing sent again; --from, or --spool, is the spool directory
  --destination NAME  which destination makes the copy (default: the one of that type, or the only one)
  --spool DIR         the spool that sends, where --from is another complete copy
  --dry-run           say what --resend would do, and do nothing
  --why TEXT          why; sealed into the trail, at most 512 bytes
  --operator NAME     who asks (default: the user's name)
  --wait SECONDS      how long to wait until it is sent (default ${waitSecondsDefault}; 0: only ask)
  --json              print one JSON object (type Reconciliation; with --resend, ResendReport)
  -h, --help          show this

Exit codes: 0 nothing is missing or different, or with --resend all that was missing is sent, asked for or on its way;
1 something is missing or different, or cannot be sent again; 2 a copy has no records or could not be read whole, and
then nothing is asked for.

Examples:
  otel-audit reconcile --from ./audit-spool --to ./audit.ndjson --to postgres://localhost/app
  otel-audit reconcile --from ./audit.ndjson --to ./collector.jsonl --json
  otel-audit reconcile --from ./audit-spool --to postgres://localhost/app --resend --dry-run
  otel-audit reconcile --from ./audit-spool --to ./collector.jsonl --resend --destination otlp --why 'ticket 812'
`,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options })
    const from = requireOption(values.from, '--from')
    if (values.to.length === 0) throw noTo()
    const first = await openSource(from)
    const others: Source[] = []
    // In order, so that the first that cannot be opened is named.
    for (const name of values.to) others.push(await openSource(name))
    const wish = readWish(values, first)
    const makers = wish === undefined ? [] : others.map((copy) => makerOf(copy, wish))
    const missing = others.map(() => new MissingRanges())
    const progress = startProgress(io)
    const report = await reconcile(first, others, {
      read: (name, records) => progress.show(`${name}: ${records} records`),
      missing: (copy, range) => missing[copy]?.add(range),
    })
    progress.clear()
    if (!values.json) io.stdout.write(describe(report))
    if (wish === undefined) {
      if (values.json) io.stdout.write(`${JSON.stringify(report)}\n`)
      return report.exitCode
    }
    const done = await resendAll({ report, makers, missing }, wish, values.json ? undefined : io)
    const exitCode = resendExitCode(report, done, wish)
    if (values.json)
      io.stdout.write(`${JSON.stringify({ ...report, exitCode, resend: done } satisfies ResendReport)}\n`)
    return exitCode
  },
}

interface Compared {
  readonly report: Reconciliation
  /** By copy. */
  readonly makers: readonly Maker[]
  readonly missing: readonly MissingRanges[]
}

/** One copy after the other; what is said on the way, where there is somebody to tell. */
async function resendAll(
  { report, makers, missing }: Compared,
  wish: ResendWish,
  io: CommandIo | undefined,
): Promise<Resend[]> {
  const done: Resend[] = []
  if (report.from.unreadable !== undefined) return done
  for (const [index, copy] of report.to.entries()) {
    const [maker, ranges] = [makers[index], missing[index]]
    // What was not read looks as if it were missing.
    if (copy.unreadable !== undefined || maker === undefined || ranges === undefined) continue
    const planned = plan(wish, maker, ranges)
    io?.stdout.write(describePlan(maker.name, planned))
    const about = { copy: copy.name, destination: maker.name }
    const outcome = await resend(wish, about, { ...planned, later: ranges.later })
    io?.stdout.write(describeResend(outcome))
    done.push(outcome)
  }
  return done
}

function resendExitCode({ from, to, exitCode }: Reconciliation, done: readonly Resend[], wish: ResendWish): 0 | 1 | 2 {
  if (wish.isDryRun) return exitCode
  if ([from, ...to].some(({ unreadable }) => unreadable !== undefined)) return 2
  const isWrong = to.some(({ different }) => different.count > 0) || !done.every(isComplete)
  if (isWrong) return 1
  return [from, ...to].some(({ damaged }) => damaged > 0) || from.records === 0 ? 2 : 0
}

/** `undefined` without `--resend`. */
function readWish(values: Values, from: Source): ResendWish | undefined {
  const { resend: isWanted, 'dry-run': isDryRun, destination, why, operator = userName() } = values
  const [extra] = (['dry-run', 'destination', 'spool', 'why', 'operator'] as const).filter((one) => values[one])
  if (!isWanted && extra !== undefined)
    throw wrong(`--${extra}`, `--${extra} says nothing without --resend`, 'Add --resend.')
  if (!isWanted) return undefined
  if (values.spool === undefined && from.kind !== 'spool') {
    const hint = 'Name it: --from SPOOL, or --spool SPOOL where --from is another complete copy.'
    throw wrong('--spool', '--resend needs the spool directory that is delivered', hint)
  }
  if (destination !== undefined && values.to.length > 1)
    throw wrong('--destination', '--destination names one, and there are several --to', 'Run it once for each copy.')
  checkOperatorTexts({ why: why ?? 'none', operator })
  const spool = readDirectory(values.spool ?? values.from)
  return { spool, destination, why, operator, waitMs: readWait(values.wait), isDryRun }
}

function wrong(setting: string, message: string, hint: string): AuditError {
  return new AuditError('INVALID_OPTION', message, { setting, hint })
}

function noTo(): AuditError {
  return wrong('--to', '--to is missing', 'Name the copy to compare with: --to ./audit.ndjson')
}

function describe({ from, to }: Reconciliation): string {
  const lines = [`${from.name}: ${formatCount(from.records, 'record')}${troubleOf(from)}`, ...to.flatMap(describeCopy)]
  return `${lines.join('\n')}\n`
}

function describeCopy(copy: CopyComparison): string[] {
  const { name, records, missing, pruned, different, onlyHere } = copy
  const found = [
    ...(missing.count === 0 ? [] : [`${formatCount(missing.count, 'record')} missing`]),
    ...(different.count === 0 ? [] : [`${different.count} different`]),
    ...(pruned === 0 ? [] : [`${pruned} removed there by retention`]),
    ...(onlyHere.count === 0 ? [] : [`${onlyHere.count} only here`]),
  ]
  const verdict = found.length === 0 ? 'the same' : found.join(', ')
  return [
    `${name}: ${formatCount(records, 'record')}, ${verdict}${troubleOf(copy)}`,
    ...missing.first.slice(0, shown).map((range) => `  missing    ${formatRange(range)}`),
    ...different.first.slice(0, shown).map(({ stream, sequence, expected, found: held, where }) => {
      return `  different  ${sequence} of ${stream} at ${where}: ${held} instead of ${expected}`
    }),
    ...(missing.first.length > shown || different.first.length > shown
      ? ['  … and more (--json lists a hundred)']
      : []),
  ]
}

function troubleOf({ damaged, unreadable }: Reconciliation['from']): string {
  const broken = unreadable === undefined ? '' : `; reading broke off: ${unreadable}`
  return damaged === 0 ? broken : `; ${damaged} places hold no record${broken}`
}
