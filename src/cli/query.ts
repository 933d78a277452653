/**
 * `otel-audit query`: who did what. Prints matching records of one copy of a trail, as they were sealed, and records that
 * it was asked, before the first of them is shown. It trusts the copy: whether that is genuine is for `verify` to say.
 */

import { createAudit } from '../audit/create.ts'
import { AuditError, errorCode, errorText } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import { withConnection } from '../postgres/client.ts'
import { type DisclosedValues, readValues } from '../postgres/disclosures.ts'
import { noteQuery, type QueryOptions, queryRecords } from '../postgres/query.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { printable } from './printable.ts'
import { queryCopy } from './query-copies.ts'
import { describeFilter, type FilterValues, filterHelp, filterOptions, readFilter } from './query-filter.ts'
import { formatCount, refuseFurther, userName } from './spool-arguments.ts'

const options = {
  ...filterOptions,
  limit: { type: 'string' },
  after: { type: 'string' },
  newest: { type: 'boolean', default: false },
  operations: { type: 'string' },
  disclose: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'query',
  summary: 'search a trail by actor, action, target, trace, time and more',
  help: `Usage: otel-audit query [SOURCE] [FILTER]... [--limit N] [--after STREAM/SEQ] [--newest] [--json]

Prints the records of one copy of a trail that match every filter, oldest first. SOURCE is postgres://... (default:
AUDIT_POSTGRES_URL), or what verify takes: a spool directory, an NDJSON file, an OTLP JSON file, an archive (a folder or
s3://...), clickhouse://..., or - for standard input; those are read from one end to the other, in the order in which they lie,
an archive only where --since and --until may find something.

${filterHelp}
Options:
  --limit N           at most N records; standard error then says how to go on
  --after STREAM/SEQ  begin behind this record: the last one of the page before
  --newest            the newest first
  --operations DIR    record the query in the trail of this directory; it is made when it is not there
  --disclose          with each record the personal values that it commits to: PostgreSQL, role audit_discloser
  --json              print each record as it was sealed, one JSON object a line; with --disclose
                      {"record": ..., "disclosed": {POINTER: VALUE}}
  -h, --help          show this

The query itself is recorded, as an event with the action audit.query: who asked, the filter, and how many records the
first page had. In PostgreSQL that happens by itself where the database has an outbox in use; elsewhere name a directory
with --operations. What is not recorded is said on standard error.

Exit codes: 0 done, found or not; 2 could not.

Examples:
  otel-audit query postgres://reader@localhost/app --actor user:u-42 --since 7d
  otel-audit query postgres://reader@localhost/app --trace 4bf92f3577b34da6a3ce929d0e0e4736
  otel-audit query ./audit-spool --action 'invoice.*' --outcome denied --newest --limit 20
  otel-audit query s3://audit-archive/billing --target invoice:42 --since 2026-01-01 --until 2026-04-01
  otel-audit query ./audit.ndjson --tenant acme --since 2026-11-01 --until 2026-12-01 --json > november.ndjson
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    refuseFurther(positionals.slice(1))
    const source = requireOption(positionals[0] ?? io.env.AUDIT_POSTGRES_URL, 'SOURCE')
    const query = {
      conditions: readFilter(values),
      limit: readLimit(values.limit),
      after: readAfter(values.after),
      isNewestFirst: values.newest,
    }
    const asked = { source, query, values }
    return /^postgres(ql)?:\/\//i.test(source) ? queryDatabase(asked, io) : queryOther(asked, io)
  },
}

interface Asked {
  readonly source: string
  readonly query: QueryOptions
  readonly values: FilterValues & {
    readonly operations?: string | undefined
    readonly disclose: boolean
    readonly json: boolean
  }
}

async function queryDatabase(asked: Asked, io: CommandIo): Promise<number> {
  try {
    return await withConnection({ url: asked.source, queryMsMax: 600_000 }, async (client) => {
      const note = async (details: Details): Promise<boolean> =>
        (await noteQuery(client, details).catch(refusalOnly)) === 'noted'
      const disclose = asked.values.disclose ? (page: readonly StoredRecord[]) => readValues(client, page) : undefined
      return show(queryRecords(client, asked.query), { asked, kind: 'postgres', note, disclose }, io)
    })
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw unreadable(cause)
  }
}

function queryOther(asked: Asked, io: CommandIo): Promise<number> {
  if (asked.values.disclose) throw keepsNone()
  return show(queryCopy(asked.source, asked.query), { asked, kind: 'copy', note: async () => false }, io)
}

type Details = Readonly<Record<string, unknown>>

interface Recording {
  readonly asked: Asked
  readonly kind: 'postgres' | 'copy'
  /** Records the query where the records are; false where that cannot be. */
  readonly note: (details: Details) => Promise<boolean>
  /** The personal values of a page, where they are asked for. */
  readonly disclose?: ((page: readonly StoredRecord[]) => Promise<DisclosedValues>) | undefined
}

/** Nothing is shown before the first page was found and the query recorded. */
async function show(pages: AsyncGenerator<StoredRecord[]>, recording: Recording, io: CommandIo): Promise<number> {
  const { asked } = recording
  const first = await pages.next()
  await record(first.done === true ? 0 : first.value.length, recording, io)
  let count = 0
  let last: StoredRecord | undefined
  for (let page = first; page.done !== true; page = await pages.next()) {
    await write(io, await print(page.value, recording))
    count += page.value.length
    last = page.value.at(-1) ?? last
  }
  const isCut = last !== undefined && count === asked.query.limit
  const more = isCut ? `; there may be more: --after ${printable(`${last?.stream}/${last?.sequence}`)}` : ''
  if (isCut || !asked.values.json) io.stderr.write(`${formatCount(count, 'record')}${more}\n`)
  return 0
}

async function print(page: readonly StoredRecord[], { asked, disclose }: Recording): Promise<string> {
  const one = asked.values.json ? asSealed : describe
  if (disclose === undefined) return page.map(one).join('')
  const values = await disclose(page)
  const beside = asked.values.json ? withValues : describeValues
  return page.map((record) => beside(record, values.get(`${record.stream}/${record.sequence}`) ?? {})).join('')
}

async function record(count: number, { asked, kind, note }: Recording, io: CommandIo): Promise<void> {
  const { values, query } = asked
  const limits = { limit: query.limit, after: query.after, newest: query.isNewestFirst === true || undefined }
  const disclose = values.disclose || undefined
  // JSON, so that a limit that was not given is absent and not null.
  const details = JSON.parse(
    JSON.stringify({
      who: userName(),
      source: kind,
      filter: { ...describeFilter(values), ...limits, disclose },
      first_page: count,
    }),
  )
  if (values.operations !== undefined) await noteInTrail(values.operations, details)
  else if (!(await note(details)))
    io.stderr.write('This query was not recorded: name a directory for that with --operations DIR.\n')
}

/** An operations stream: a trail of its own, without destinations unless somebody forwards it. */
async function noteInTrail(directory: string, details: Details): Promise<void> {
  const audit = createAudit({
    service: 'otel-audit',
    deployment: 'operations',
    spool: { directory },
    policy: { level: 'all' },
    destinations: [],
  })
  try {
    const actor = { type: 'user', id: userName() } as const
    await audit.emit({ action: 'audit.query', operation: 'read', outcome: 'success', actor, details }).durable
  } finally {
    await audit.close()
  }
}

const [noFunction, noSchema, refused] = ['42883', '3F000', '42501']

/** An older schema, or a user who may not: said by the caller. Anything else ends the query. */
function refusalOnly(thrown: unknown): 'absent' {
  if ([noFunction, noSchema, refused].includes(errorCode(thrown) ?? '')) return 'absent'
  throw thrown
}

function asSealed({ bytes }: StoredRecord): string {
  return `${bytes.toString()}\n`
}

function withValues({ bytes }: StoredRecord, disclosed: JsonObject): string {
  return `{"record":${bytes.toString()},"disclosed":${JSON.stringify(disclosed)}}\n`
}

function describeValues(record: StoredRecord, disclosed: JsonObject): string {
  const lines = Object.entries(disclosed).map(([pointer, value]) => `    ${pointer}  ${JSON.stringify(value)}`)
  return `${describe(record)}${lines.map((line) => `${printable(line)}\n`).join('')}`
}

function keepsNone(): AuditError {
  return new AuditError('INVALID_OPTION', '--disclose: this source keeps no personal values', {
    setting: '--disclose',
    hint: 'only a PostgreSQL database does: name its URL',
  })
}

function describe({ stream, sequence, bytes }: StoredRecord): string {
  const members = parseRecord(bytes) ?? {}
  const { timestamp, recorded, outcome, action, actor, target } = members as Record<string, unknown>
  const words = [
    textOf(timestamp ?? recorded).replace(/(\.\d{3})\d*Z$/, '$1Z'),
    textOf(outcome),
    nameOf(actor, 'type'),
    textOf(action),
    nameOf(target, 'resource_type'),
    `${stream}/${sequence}`,
  ]
  return `${printable(words.join('  '))}\n`
}

function textOf(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : '-'
}

/** `type:id`, or what there is of it. */
function nameOf(reference: unknown, typeMember: string): string {
  if (typeof reference !== 'object' || reference === null) return '-'
  const { [typeMember]: type, id } = reference as Record<string, unknown>
  return typeof type === 'string' ? `${type}:${typeof id === 'string' ? id : ''}` : textOf(id)
}

function readLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new AuditError('INVALID_OPTION', `--limit is ${JSON.stringify(text)}; allowed: a whole number from 1`, {
    setting: '--limit',
    hint: 'leave it out for all records',
  })
}

function readAfter(text: string | undefined): QueryOptions['after'] {
  if (text === undefined) return undefined
  const [, stream, sequence] = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/(\d{1,15})$/.exec(text) ?? []
  if (stream !== undefined) return { stream, sequence: Number(sequence) }
  throw new AuditError('INVALID_OPTION', `--after is ${JSON.stringify(text)}; allowed: STREAM/SEQ of a record`, {
    setting: '--after',
    hint: 'take it from the end of the line of the last record, or from standard error',
  })
}

function unreadable(cause: unknown): AuditError {
  const code = errorCode(cause)
  const hasNoTables = code === '42P01' || code === noSchema
  const reason = hasNoTables ? 'it holds no audit.record table' : errorText(cause)
  const hint = hasNoTables
    ? 'name the database that the trail is delivered to'
    : 'check the URL, and that this user may read schema audit (with --disclose: grant audit_discloser)'
  return new AuditError('SOURCE_UNREADABLE', `the database: ${reason}`, { setting: 'SOURCE', hint, cause })
}

/** Waits for a slow reader, so that a large answer is never held in memory. */
async function write(io: CommandIo, text: string): Promise<void> {
  const stream = io.stdout as { write(text: string): unknown; once?(event: 'drain', listener: () => void): unknown }
  if (stream.write(text) === false && stream.once !== undefined) {
    await new Promise<void>((resolve) => stream.once?.('drain', resolve))
  }
}
