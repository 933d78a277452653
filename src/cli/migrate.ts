/**
 * `otel-audit migrate`: brings a PostgreSQL database to this version's schema, or says what it lacks.
 * Never prints the URL: it may hold a password.
 */

import { AuditError, errorText } from '../errors.ts'
import { type Connection, withConnection } from '../postgres/client.ts'
import { type MigrationStatus, migrateUp, migrationStatus } from '../postgres/migrate.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions, requireOption } from './command.ts'

/** What `migrate up --json` and `migrate status --json` print. */
export interface MigrateReport extends MigrationStatus {
  /** Numbers of the migrations that this run applied; empty for `status`. */
  readonly ran: readonly number[]
}

const optionsHelp = `Options:
  --url URL   postgres://user:password@host:5432/database (default: AUDIT_POSTGRES_URL)
  --json      print {"applied","pending","ran"}
  -h, --help  show this
`

const up: Command = {
  name: 'migrate up',
  summary: 'create or update the schema "audit"',
  help: `Usage: otel-audit migrate up --url URL [--json]

Applies pending migrations to a PostgreSQL database (15 or newer) and makes the partitions of this month and the
next two. Safe to repeat, and safe to run twice at once. Run it as the owner of the schema.

${optionsHelp}
Examples:
  otel-audit migrate up --url postgres://owner@localhost/app
  AUDIT_POSTGRES_URL=postgres://owner@localhost/app otel-audit migrate up --json
`,
  run: (argv, io) => report(argv, io, async (connection) => ({ ran: await migrateUp(connection) })),
}

const status: Command = {
  name: 'migrate status',
  summary: 'list applied and pending migrations',
  help: `Usage: otel-audit migrate status --url URL [--json]

Lists what is applied and what is pending, and changes nothing. Exit code 1 when something is pending.

${optionsHelp}
Examples:
  otel-audit migrate status --url postgres://owner@localhost/app
  otel-audit migrate status --json || otel-audit migrate up
`,
  run: (argv, io) => report(argv, io, async () => ({ ran: [] })),
}

export const command: CommandGroup = {
  name: 'migrate',
  summary: 'create or update the schema of a PostgreSQL database',
  commands: [up, status],
}

type Act = (connection: Connection) => Promise<Pick<MigrateReport, 'ran'>>

async function report(argv: readonly string[], io: CommandIo, act: Act): Promise<number> {
  const options = { url: { type: 'string' }, json: { type: 'boolean', default: false } } as const
  const { values } = parseOptions({ args: [...argv], options })
  const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
  const outcome = await connected(url, async (connection) => {
    const { ran } = await act(connection)
    return { ...(await migrationStatus(connection)), ran }
  })
  io.stdout.write(values.json ? `${JSON.stringify(outcome)}\n` : format(outcome))
  return outcome.pending.length === 0 ? 0 : 1
}

async function connected(url: string, act: (connection: Connection) => Promise<MigrateReport>): Promise<MigrateReport> {
  try {
    // A migration bounds its own waiting for locks; building an index may take its time.
    return await withConnection({ url, queryMsMax: 3_600_000 }, act)
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('MIGRATION_FAILED', `the database cannot be used: ${errorText(cause)}`, {
      setting: '--url',
      hint: 'check that the server runs, and host, port, database, user and password',
      cause,
    })
  }
}

function format({ applied, pending, ran }: MigrateReport): string {
  const row = (number: number, name: string, state: string) =>
    `${String(number).padStart(4, '0')}  ${name.padEnd(20)}  ${state}`
  const lines = [
    ...applied.map((migration) => {
      const state = ran.includes(migration.number) ? 'applied now' : `applied ${migration.appliedAt}`
      return row(migration.number, migration.name, state)
    }),
    ...pending.map(({ number, name, breaking }) =>
      row(number, name, breaking ? 'pending; older versions of otel-audit stop working' : 'pending'),
    ),
    pending.length === 0 ? 'The database is up to date.' : 'Run: otel-audit migrate up',
  ]
  return `${lines.join('\n')}\n`
}
