/**
 * Brings a database to this version's schema: numbered SQL files beside this one, applied in order, each in its own
 * transaction, each once. A file never changes after its release: its SHA-256 is kept with what was applied, and a
 * history that differs from ours is refused before anything is touched. Runs when asked, never at import.
 */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { AuditError, errorCode, errorText } from '../errors.ts'
import type { Queryable } from './client.ts'
import { choosePartitioning, ensurePartitionsAhead, type Partitioning } from './records.ts'

/** One numbered file. */
export interface Migration {
  readonly number: number
  readonly name: string
  /** SHA-256 of the file with newlines as `\n`, lower-case hex. */
  readonly checksum: string
  /** Whether older versions of otel-audit stop working against the database. */
  readonly breaking: boolean
  readonly sql: string
}

export interface AppliedMigration {
  readonly number: number
  readonly name: string
  readonly checksum: string
  /** RFC 3339. */
  readonly appliedAt: string
}

/** What a database has and lacks. */
export interface MigrationStatus {
  readonly applied: readonly AppliedMigration[]
  readonly pending: readonly { readonly number: number; readonly name: string; readonly breaking: boolean }[]
}

const ours = new URL('./migrations/', import.meta.url)

/** The migrations of a folder in order; by default those of this version. */
export function readMigrations(folder: URL = ours): readonly Migration[] {
  const names = readdirSync(folder).filter((name) => /^\d{4}-.+\.sql$/.test(name))
  return names.sort().map((name) => {
    const sql = readFileSync(new URL(name, folder), 'utf8').replaceAll('\r\n', '\n')
    return {
      number: Number(name.slice(0, 4)),
      name: name.slice(5, -4),
      checksum: createHash('sha256').update(sql).digest('hex'),
      breaking: /^-- breaking: yes$/m.test(sql),
      sql,
    }
  })
}

/** Compares a database with our migrations. Throws `MIGRATION_FAILED` when its history is not a prefix of ours. */
export async function migrationStatus(client: Queryable, migrations = readMigrations()): Promise<MigrationStatus> {
  const applied = await readApplied(client)
  for (const migration of applied) checkApplied(migration, migrations)
  const pending = migrations.filter(({ number }) => !applied.some((migration) => migration.number === number))
  return { applied, pending: pending.map(({ number, name, breaking }) => ({ number, name, breaking })) }
}

/**
 * Applies what is pending and makes the partitions of now and the time to come, cut as `options.partition` says from now
 * on. Returns the numbers that this run applied. Several may run at once: one does the work, the others find it done. Throws `MIGRATION_FAILED`; what
 * was applied before a failure stays, and the next run continues there.
 */
export async function migrateUp(
  client: Queryable,
  migrations = readMigrations(),
  options: { readonly partition?: Partitioning | undefined } = {},
): Promise<readonly number[]> {
  await refuseOtherEncoding(client)
  const ran: number[] = []
  for (;;) {
    // One after the other: each may build on the one before.
    const applied = await inTransaction(client, () => applyNext(client, migrations))
    if (applied === undefined) break
    ran.push(applied.number)
  }
  await inTransaction(client, async () => {
    if (options.partition !== undefined) await choosePartitioning(client, options.partition)
    await ensurePartitionsAhead(client)
  })
  return ran
}

/** A migration as a script that a DBA can run instead: with its transaction and the row that says it was applied. */
export function migrationScript({ number, name, checksum, breaking, sql }: Migration): string {
  return `-- otel-audit migration ${number} (${name}); SHA-256 ${checksum}
begin;
set local lock_timeout = '10s';
set local search_path = pg_catalog;
select pg_advisory_xact_lock(hashtextextended('audit.migration', 0));
${sql}
insert into audit.migration (number, name, checksum, breaking)
values (${number}, '${name}', decode('${checksum}', 'hex'), ${breaking});
commit;
`
}

/** What `migrateUp` does behind the last migration. */
export function partitionsScript(partition?: Partitioning): string {
  const choice = partition === undefined ? '' : `select audit.choose_partitioning('${partition}');\n`
  return `-- The partitions of now and of the time to come.\n${choice}select audit.make_partitions_ahead();\n`
}

/** Applies the first pending migration under the lock; `undefined` when there is none. */
async function applyNext(client: Queryable, migrations: readonly Migration[]): Promise<Migration | undefined> {
  await lockMigrations(client)
  const { pending } = await migrationStatus(client, migrations)
  const next = migrations.find(({ number }) => number === pending[0]?.number)
  if (next === undefined) return undefined
  try {
    await client.query(next.sql)
    await insertMigration(client, next)
  } catch (cause) {
    throw failed(`migration ${next.number} (${next.name}) failed: ${errorText(cause)}`, hintFor(cause), cause)
  }
  return next
}

/** Everything or nothing, and never a lock queue: whoever would wait long gives up instead. */
async function inTransaction<Result>(client: Queryable, act: () => Promise<Result>): Promise<Result> {
  await client.query("begin; set local lock_timeout = '10s'; set local search_path = pg_catalog")
  try {
    const result = await act()
    await client.query('commit')
    return result
  } catch (thrown) {
    // On a lost connection the server has rolled back by itself.
    await client.query('rollback').catch(() => undefined)
    if (thrown instanceof AuditError) throw thrown
    throw failed(`the migration could not run: ${errorText(thrown)}`, hintFor(thrown), thrown)
  }
}

function checkApplied(applied: AppliedMigration, migrations: readonly Migration[]): void {
  const name = `migration ${applied.number} (${applied.name})`
  const known = migrations.find(({ number }) => number === applied.number)
  if (known === undefined) {
    throw failed(
      `the database was migrated by a newer version: ${name} is not known here`,
      'use the version of otel-audit that migrated the database, or a newer one',
    )
  }
  if (known.checksum !== applied.checksum) {
    throw failed(
      `${name} was applied with other contents: SHA-256 expected ${known.checksum}, found ${applied.checksum}`,
      'released migrations never change: reinstall otel-audit, or find out who changed audit.migration',
    )
  }
}

function hintFor(thrown: unknown): string {
  switch (errorCode(thrown)) {
    case '42501':
      return 'run the migration as the owner of the schema audit, or as a user that may create it'
    case '55P03':
      return 'another migration or a long transaction holds a lock: try again when it has ended'
    case '55000':
      return 'choose how partitions are cut before the first `otel-audit migrate up`'
    case '42P06':
      return 'a schema named audit exists that otel-audit did not make: use another database'
    default:
      return 'nothing of this migration was applied; run `otel-audit migrate up` again when the cause is gone'
  }
}

function failed(message: string, hint: string, cause?: unknown): AuditError {
  return new AuditError('MIGRATION_FAILED', message, { hint, cause })
}

async function refuseOtherEncoding(client: Queryable): Promise<void> {
  const { rows } = await client.query<{ server_encoding: string }>('show server_encoding')
  const encoding = rows[0]?.server_encoding
  if (encoding === 'UTF8') return
  throw failed(
    `the database has the encoding ${encoding}: it cannot hold every text`,
    "make one with: create database … encoding 'UTF8' template template0",
  )
}

/** Held until the transaction ends. */
async function lockMigrations(client: Queryable): Promise<void> {
  await client.query("select pg_advisory_xact_lock(hashtextextended('audit.migration', 0))")
}

async function readApplied(client: Queryable): Promise<readonly AppliedMigration[]> {
  const exists = await client.query<{ found: boolean }>("select to_regclass('audit.migration') is not null as found")
  if (exists.rows[0]?.found !== true) return []
  const { rows } = await client.query<{ number: number; name: string; checksum: string; applied_at: Date }>(
    `select number, name, encode(checksum, 'hex') as checksum, applied_at from audit.migration order by number`,
  )
  return rows.map(({ applied_at, ...row }) => ({ ...row, appliedAt: applied_at.toISOString() }))
}

async function insertMigration(client: Queryable, migration: Migration): Promise<void> {
  const { number, name, checksum, breaking } = migration
  await client.query(
    `insert into audit.migration (number, name, checksum, breaking) values ($1, $2, decode($3, 'hex'), $4)`,
    [number, name, checksum, breaking],
  )
}
