/**
 * `otel-audit migrate`: brings a PostgreSQL database to this version's schema, or says what it lacks.
 * Never prints the URL: it may hold a password.
 */

import { AuditError, errorText } from '../errors.ts'
import { type Connection, withConnection } from '../postgres/client.ts'
import {
  type MigrationStatus,
  migrateUp,
  migrationScript,
  migrationStatus,
  partitionsScript,
  readMigrations,
} from '../postgres/migrate.ts'
import { indexClosedPartition } from '../postgres/query.ts'
import { type Partitioning, partitionings } from '../postgres/records.ts'
import { makeRoles, ownerRole, roles } from '../postgres/roles.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions, requireOption } from './command.ts'

/** What `migrate up --json` and `migrate status --json` print. */
export interface MigrateReport extends MigrationStatus {
  /** Numbers of the migrations that this run applied; empty for `status`. */
  readonly ran: readonly number[]
}

const urlAndJson = { url: { type: 'string' }, json: { type: 'boolean', default: false } } as const

const optionsHelp = `Options:
  --url URL   postgres://user:password@host:5432/database (default: AUDIT_POSTGRES_URL)
  --json      print {"applied","pending","ran"}
  -h, --help  show this
`

const up: Command = {
  name: 'migrate up',
  summary: 'create or update the schema "audit"',
  help: `Usage: otel-audit migrate up --url URL [--partition monthly|weekly|daily|none] [--json]

Applies pending migrations to a PostgreSQL database (15 or newer) and makes the partitions of now and of the time to
come: this month's and two more, this week's and four more, or today's and seven more. Safe to repeat, and safe to run
twice at once. Run it as the owner of the schema.

Options:
  --url URL         postgres://user:password@host:5432/database (default: AUDIT_POSTGRES_URL)
  --partition MODE  how the partitions to come are cut: monthly (default), weekly, daily, or none: one holds all records.
                    Those that are there stay; after none it cannot be chosen any more
  --json            print {"applied","pending","ran"}
  -h, --help        show this

Examples:
  otel-audit migrate up --url postgres://owner@localhost/app
  otel-audit migrate up --url postgres://owner@localhost/app --partition weekly
  AUDIT_POSTGRES_URL=postgres://owner@localhost/app otel-audit migrate up --json
`,
  async run(argv, io) {
    const options = { ...urlAndJson, partition: { type: 'string' } } as const
    const { values } = parseOptions({ args: [...argv], options })
    const partition = readPartitioning(values.partition)
    return report(values, io, async (client) => ({ ran: await migrateUp(client, readMigrations(), { partition }) }))
  },
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
  run: (argv, io) =>
    report(parseOptions({ args: [...argv], options: urlAndJson }).values, io, async () => ({ ran: [] })),
}

const print: Command = {
  name: 'migrate print',
  summary: 'print the SQL of the migrations',
  help: `Usage: otel-audit migrate print [--url URL] [--partition MODE] [--json]

Prints the SQL that \`migrate up\` would run, for review or for a DBA: each migration in a transaction of its own, with
the row that says it was applied. With --url only what is pending there; without it, all of it.

Options:
  --url URL         print what this database lacks
  --partition MODE  how the partitions to come are cut: monthly, weekly, daily or none, as for migrate up
  --json            print {"migrations":[{"number","name","checksum","breaking","sql"}]}
  -h, --help        show this

Examples:
  otel-audit migrate print > audit-schema.sql
  otel-audit migrate print --url postgres://owner@localhost/app
`,
  async run(argv, io) {
    const options = { ...urlAndJson, partition: { type: 'string' } } as const
    const { values } = parseOptions({ args: [...argv], options })
    const partition = readPartitioning(values.partition)
    const migrations = readMigrations()
    const numbers =
      values.url === undefined
        ? migrations.map(({ number }) => number)
        : (await connected(values.url, migrationStatus)).pending.map(({ number }) => number)
    const chosen = migrations.filter(({ number }) => numbers.includes(number))
    const script = [...chosen.map(migrationScript), partitionsScript(partition)].join('\n')
    io.stdout.write(values.json ? `${JSON.stringify({ migrations: chosen })}\n` : script)
    return 0
  },
}

const makeRolesCommand: Command = {
  name: 'migrate roles',
  summary: 'make the roles of the schema and grant what each may do',
  help: `Usage: otel-audit migrate roles --url URL [--json]

Makes the roles ${[ownerRole, ...roles.map(({ name }) => name)].join(', ')} (none may
log in: grant them to your users), hands the schema to ${ownerRole}, and grants each role what it needs and nothing else.
What others were granted is left: \`otel-audit doctor --postgres\` names it. Safe to repeat, and to be repeated after
\`migrate up\`. Run it as a superuser: roles belong to the whole server.

Options:
  --url URL   postgres://user:password@host:5432/database (default: AUDIT_POSTGRES_URL)
  --json      print {"roles":[{"name","purpose"}]}
  -h, --help  show this

Examples:
  otel-audit migrate roles --url postgres://postgres@localhost/app
`,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options: urlAndJson })
    const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
    await connected(url, makeRoles)
    const made = [
      { name: ownerRole, purpose: 'owns everything' },
      ...roles.map(({ name, purpose }) => ({ name, purpose })),
    ]
    const lines = made.map(({ name, purpose }) => `${name.padEnd(17)} ${purpose}\n`)
    io.stdout.write(values.json ? `${JSON.stringify({ roles: made })}\n` : lines.join(''))
    return 0
  },
}

const index: Command = {
  name: 'migrate index',
  summary: 'build search indexes on partitions that are over',
  help: `Usage: otel-audit migrate index --url URL [--json]

Builds the indexes for actor, target, action and tenant on every partition that ended more than a day ago and lacks
them. Blocks nobody. Retention does it by itself, a partition each time it runs; without it run this once a month, as the
owner.

${optionsHelp.replace('{"applied","pending","ran"}', '{"indexed":["record_2026_10"]}')}
Examples:
  otel-audit migrate index --url postgres://owner@localhost/app
`,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options: urlAndJson })
    const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
    const indexed = await connected(url, async (connection) => {
      const names: string[] = []
      // One after the other: each call builds what one partition lacks.
      for (let name = await indexClosedPartition(connection); name !== undefined; ) {
        names.push(name)
        name = await indexClosedPartition(connection)
      }
      return names
    })
    io.stdout.write(
      values.json ? `${JSON.stringify({ indexed })}\n` : indexed.map((name) => `${name}: indexed\n`).join(''),
    )
    return 0
  },
}

export const command: CommandGroup = {
  name: 'migrate',
  summary: 'create or update the schema of a PostgreSQL database',
  commands: [up, status, print, makeRolesCommand, index],
}

type Act = (connection: Connection) => Promise<Pick<MigrateReport, 'ran'>>

function readPartitioning(text: string | undefined): Partitioning | undefined {
  const chosen = partitionings.find((one) => one === text)
  if (chosen !== undefined || text === undefined) return chosen
  const message = `--partition is ${JSON.stringify(text)}; allowed: ${partitionings.join(', ')}`
  throw new AuditError('INVALID_OPTION', message, {
    setting: '--partition',
    hint: 'leave it out to keep what is chosen',
  })
}

interface Given {
  readonly url?: string | undefined
  readonly json: boolean
}

async function report(values: Given, io: CommandIo, act: Act): Promise<number> {
  const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
  const outcome = await connected(url, async (connection) => {
    const { ran } = await act(connection)
    return { ...(await migrationStatus(connection)), ran }
  })
  io.stdout.write(values.json ? `${JSON.stringify(outcome)}\n` : format(outcome))
  return outcome.pending.length === 0 ? 0 : 1
}

async function connected<Result>(url: string, act: (connection: Connection) => Promise<Result>): Promise<Result> {
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
