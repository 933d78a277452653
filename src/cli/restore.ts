/** `otel-audit restore`: puts records of a copy back into a database for a time, and seals that it did. */

import { type RestoreReport, restoreRecords } from '../audit/restore.ts'
import { normalizeTimestamp, nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { withConnection } from '../postgres/client.ts'
import { readRetentionStatus } from '../postgres/retention-ranges.ts'
import { expandSource, openSource } from '../verify/sources.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { openOperations, operationsHelp, operationsOptions, readOperationsConfig } from './operations-trail.ts'
import { printable } from './printable.ts'
import { startProgress } from './progress.ts'
import { reachable } from './retain.ts'
import { formatCount, refuseFurther, userName } from './spool-arguments.ts'

/** What `restore --json` prints. */
export interface RestoreResult extends RestoreReport {
  readonly source: string
  /** Of the operations stream that sealed it. */
  readonly verifierKey: string
}

const options = {
  ...operationsOptions,
  stream: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  days: { type: 'string', default: '7' },
} as const

const dayMs = 86_400_000

export const command: Command = {
  name: 'restore',
  summary: 'put archived records back into a database for a time',
  help: `Usage: otel-audit restore SOURCE --url URL [--stream ID] [--from SEQ] [--to SEQ] [--since TIME] [--until TIME]
                          [--days N] [OPTIONS]

Puts records that retention has removed from a database back into it, for N days, with everything from the checkpoint
before them to the one after them, so that they prove themselves. The chain must lead from them to the hash that the
database has kept of what it removed: nothing else is put back. Records that it never removed are delivered, under the
rules of every delivery: what is there is compared, what continues a stream is added, and a stream that is new there may
begin anywhere. Afterwards otel-audit verify says of what is still missing that it was removed (PRUNED). Sealed before
(audit.restored). When the days are over, the next run of retention removes them again.

SOURCE is an archive (a folder or s3://...), or another copy that keeps the order of sealing: a spool, NDJSON, a database.

Options:
  --stream ID        of this stream only
  --from, --to SEQ   records from and up to these numbers
  --since, --until   records sealed at or after, and before: RFC 3339, or a date (UTC)
  --days N           how many days they stay (default 7)
${operationsHelp}

Exit codes: 0 done, also when they were there; 1 something was refused; 2 could not, or nothing was asked for that the copy has.

Examples:
  otel-audit restore /srv/archive --url postgres://owner@localhost/app --since 2026-01-01 --until 2026-02-01
  otel-audit restore s3://audit-archive/billing --url postgres://owner@localhost/app --from 120000 --to 130000 --days 30
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    refuseFurther(positionals.slice(1))
    const source = requireOption(positionals[0], 'SOURCE')
    const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
    const wanted = {
      stream: values.stream,
      from: readNumber(values.from, '--from'),
      to: readNumber(values.to, '--to'),
      since: readTime(values.since, '--since'),
      until: readTime(values.until, '--until'),
    }
    const days = readNumber(values.days, '--days') ?? 0
    const until = new Date(nowMs() + days * dayMs).toISOString()
    const { name } = await openOrdered(source)
    const config = readOperationsConfig(values.operations, values.config, io.env)
    await reachable(() => withConnection({ url }, readRetentionStatus)) // before anything is made in a directory
    const operations = openOperations(config, url)
    const operator = values.operator ?? userName()
    const progress = startProgress(io)
    const stopping = new AbortController()
    const stop = () => stopping.abort()
    process.once('SIGINT', stop).once('SIGTERM', stop)
    try {
      const report = await reachable(() =>
        restoreRecords({
          url,
          open: () => openOrdered(source),
          wanted,
          until,
          seal: ({ type, details }) => operations.seal({ type, details: { ...details, operator } }),
          onProgress: ({ read, restored }) =>
            progress.show(`${formatCount(read, 'record')} read, ${restored} restored`),
          signal: stopping.signal,
        }),
      )
      progress.clear()
      if (report === undefined) throw busy()
      return print({ ...report, source: name, verifierKey: operations.verifierKey }, values.json, io)
    } finally {
      process.off('SIGINT', stop).off('SIGTERM', stop)
      await operations.close()
    }
  },
}

/** One copy whose records come in the order of each stream, and that can be read twice. */
async function openOrdered(text: string) {
  const [only = text, ...others] = text === '-' ? [] : expandSource(text)
  const source = text === '-' || others.length > 0 ? undefined : await openSource(only)
  if (source !== undefined && (source.ordered || source.kind === 'postgres')) return source
  throw new AuditError('INVALID_OPTION', `SOURCE ${text} cannot be restored from: it is read twice, in order`, {
    setting: 'SOURCE',
    hint: 'archive it first (otel-audit archive), and restore from the archive',
  })
}

function readNumber(text: string | undefined, setting: string): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new AuditError('INVALID_OPTION', `${setting} is ${JSON.stringify(text)}; allowed: a whole number from 1`, {
    setting,
    hint: 'the numbers of records stand in what otel-audit query prints',
  })
}

function readTime(text: string | undefined, setting: string): string | undefined {
  if (text === undefined) return undefined
  const at = normalizeTimestamp(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  if (at !== undefined) return at
  throw new AuditError('INVALID_OPTION', `${setting} is ${JSON.stringify(text)}; allowed: a time`, {
    setting,
    hint: 'write 2026-01-31T12:00:00Z, or 2026-01-31 for the beginning of that day in UTC',
  })
}

function busy(): AuditError {
  return new AuditError('INVALID_OPTION', 'retention works on this database: nothing was restored', {
    setting: '--url',
    hint: 'try again when it is done; otel-audit retain status says how it stands',
  })
}

function print(result: RestoreResult, json: boolean, io: CommandIo): number {
  const { read, streams, until, source, verifierKey } = result
  const lines = streams.map(({ stream, from, to, restored, delivered, refused }) => {
    if (refused !== undefined) return `  ${printable(stream)} REFUSED: ${printable(refused)}`
    return `  ${printable(stream)}: ${from} to ${to}, ${restored} restored, ${delivered} delivered`
  })
  const text = [
    `${printable(source)}: ${formatCount(read, 'record')} read`,
    ...(lines.length === 0 ? ['  none of them was asked for'] : lines),
    `what was restored stays until ${until}; sealed in the operations stream of ${verifierKey}`,
    '',
  ].join('\n')
  io.stdout.write(json ? `${JSON.stringify(result)}\n` : text)
  if (streams.length === 0) return 2
  return streams.some(({ refused }) => refused !== undefined) ? 1 : 0
}
