/** `otel-audit retain`: removes from a database what is past its retention, or says what would go and how it stands. */

import { planOnce, retainOnce } from '../audit/retention.ts'
import { AuditError, errorText } from '../errors.ts'
import { withConnection } from '../postgres/client.ts'
import type { RetentionReport } from '../postgres/retention.ts'
import { type RetentionStatus, readRetentionStatus } from '../postgres/retention-ranges.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions, requireOption } from './command.ts'
import { openOperations, operationsHelp, operationsOptions, readOperationsConfig } from './operations-trail.ts'
import { startProgress } from './progress.ts'
import { formatCount, userName } from './spool-arguments.ts'

/** What `retain run --json` prints. */
export interface RetainReport extends RetentionReport {
  /** `planned`: with --dry-run · `busy`: another process is at it · `done` · `open`: the next run goes on. */
  readonly outcome: 'planned' | 'busy' | 'done' | 'open'
  readonly days: number
  /** Of the operations stream that sealed it. */
  readonly verifierKey?: string
}

/** What `retain status --json` prints. */
export type RetainStatus = RetentionStatus

const options = {
  ...operationsOptions,
  days: { type: 'string' },
  batch: { type: 'string' },
  archive: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
} as const

const run: Command = {
  name: 'retain run',
  summary: 'remove what is past its retention',
  help: `Usage: otel-audit retain run --url URL [--days N] [--batch N] [--archive DIR|s3://...] [--dry-run] [OPTIONS]

Removes records older than N days from a database: archives them when there is an archive, seals what goes (audit.pruned),
drops partitions that hold nothing else and deletes other rows in batches, with short locks only. What a legal hold keeps
stays, and so does a stream whose records do not fold to their signed checkpoints. The trail stays verifiable:
otel-audit verify says PRUNED. Killed at any point, the next run goes on. One process of a database runs at a time.
A service with a PostgreSQL destination does the same by itself (retention.* in docs/configuration.md).

Options:
  --days N           how many days are kept (default: AUDIT_TRAIL_RETENTION_DAYS, else 90)
  --batch N          rows deleted at a time (default: AUDIT_TRAIL_CLEANUP_BATCH_SIZE, else 10000)
  --archive DIR      archive to this folder, or s3://bucket/prefix, first; read back and verified
  --dry-run          print what would go, and change nothing
${operationsHelp}

Exit codes: 0 done, or another process is at it; 1 something stays that should go; 2 could not.

Examples:
  otel-audit retain run --url postgres://owner@localhost/app --dry-run
  otel-audit retain run --url postgres://owner@localhost/app --days 90 --archive /srv/archive --config ./audit.json
  otel-audit retain run --url postgres://owner@localhost/app --archive s3://audit-archive/billing
`,
  run: retain,
}

const status: Command = {
  name: 'retain status',
  summary: 'say what was removed, and what waits',
  help: `Usage: otel-audit retain status --url URL [--json]

Says how many records have left the database, what is sealed and not removed yet, how many holds are in force, and how
old the oldest record is. Changes nothing.

Options:
  --url URL   postgres://user:password@host:5432/database (default: AUDIT_POSTGRES_URL)
  --json      print one JSON object (type RetainStatus)
  -h, --help  show this

Examples:
  otel-audit retain status --url postgres://owner@localhost/app
`,
  async run(argv, io) {
    const { values } = parseOptions({
      args: [...argv],
      options: { url: operationsOptions.url, json: operationsOptions.json },
    })
    const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
    const found = await reachable(() => withConnection({ url }, readRetentionStatus))
    io.stdout.write(values.json ? `${JSON.stringify(found)}\n` : describeStatus(found))
    return 0
  },
}

export const command: CommandGroup = {
  name: 'retain',
  summary: 'remove what is past its retention from a database: run, status',
  commands: [run, status],
}

async function retain(argv: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseOptions({ args: [...argv], options })
  const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
  const config = readOperationsConfig(values.operations, values.config, io.env)
  const days = readCount(values.days, '--days') ?? config.retention.days
  const batchRows = readCount(values.batch, '--batch') ?? config.retention.batchRows
  const print = (report: RetainReport) => {
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describe(report))
    return report.outcome === 'open' || report.refused.length > 0 ? 1 : 0
  }
  if (values['dry-run']) {
    return print({ ...(await reachable(() => planOnce({ url, days }))), outcome: 'planned', days })
  }
  if (!config.retention.enabled) throw switchedOff()
  await reachable(() => withConnection({ url }, readRetentionStatus)) // before anything is made in a directory
  const operations = openOperations(config, url)
  const progress = startProgress(io)
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    const report = await reachable(() =>
      retainOnce({
        url,
        days,
        batchRows,
        archive: values.archive ?? config.retention.archive,
        seal: ({ type, details }) =>
          operations.seal({ type, details: { ...details, operator: values.operator ?? userName() } }),
        onProgress: ({ step, removed }) => progress.show(`${step}, ${formatCount(removed, 'record')} removed`),
        signal: stopping.signal,
      }),
    )
    progress.clear()
    const { verifierKey } = operations
    if (report === undefined) return print({ ...nothing, outcome: 'busy', days, verifierKey })
    return print({ ...report, outcome: report.isComplete ? 'done' : 'open', days, verifierKey })
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
    await operations.close()
  }
}

const nothing: RetentionReport = { before: '', ranges: [], refused: [], partitions: [], removed: 0, isComplete: false }

/** A number of at least one; `undefined` where none was given. */
function readCount(text: string | undefined, setting: string): number | undefined {
  if (text === undefined) return undefined
  const count = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count >= 1) return count
  throw new AuditError('INVALID_OPTION', `${setting} is ${text}; allowed: a whole number, at least 1`, {
    setting,
    hint: 'Leave it out for the default.',
  })
}

function switchedOff(): AuditError {
  return new AuditError('INVALID_OPTION', 'retention.enabled is false: nothing is removed', {
    setting: 'AUDIT_TRAIL_CLEANUP_ENABLED',
    hint: 'Set it to true for this command, or use --dry-run to see what would go.',
  })
}

/** Turns what the driver throws into words: a command is told what it can do. */
export async function reachable<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act()
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('SOURCE_UNREADABLE', `the database cannot be used: ${errorText(cause)}`, {
      setting: '--url',
      hint: 'Check URL and rights (retention needs the owner of the schema), and run otel-audit migrate up.',
      cause,
    })
  }
}

function describe({ outcome, days, ranges, refused, partitions, removed, verifierKey }: RetainReport): string {
  if (outcome === 'busy') return 'another process is at it: nothing was done\n'
  const verb = outcome === 'planned' ? 'would be' : 'were'
  const lines = [
    `${formatCount(removed, 'record')} older than ${formatCount(days, 'day')} ${verb} removed`,
    ...ranges.map(({ stream, from, to }) => `  ${stream}: ${from} to ${to}`),
    ...partitions.map((name) => `  partition ${name} ${outcome === 'planned' ? 'would be' : 'was'} dropped`),
    ...refused.map(({ stream, reason }) => `  ${stream} STAYS: ${reason}`),
    ...(outcome === 'open' ? ['not everything that should go is gone: the next run goes on'] : []),
    ...(verifierKey === undefined ? [] : [`sealed in the operations stream of ${verifierKey}`]),
  ]
  return `${lines.join('\n')}\n`
}

function describeStatus({ records, ranges, pending, restored, holds, retiring, oldest }: RetainStatus): string {
  return [
    `${formatCount(records, 'record')} removed in ${formatCount(ranges, 'range')}`,
    `${formatCount(pending, 'range')} sealed and not removed yet`,
    ...(restored === 0 ? [] : [`${formatCount(restored, 'range')} with records that are restored for a time`]),
    `${formatCount(holds, 'legal hold')} in force`,
    ...retiring.map((name) => `partition ${name} is on its way out`),
    oldest === null ? 'no record is here' : `the oldest record here is of ${oldest}`,
    '',
  ].join('\n')
}
