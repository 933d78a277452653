/**
 * Sessions whose audit events share the fate of their change. Run it with `node examples/outbox/main.ts [URL]`: without
 * the URL of an empty PostgreSQL database it starts one of its own. It ends with 0 when the trail holds what was
 * committed, nothing else, and verifies.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool, type PoolClient } from 'pg'
import { type Audit, createAudit } from '../../src/index.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { startPostgres } from '../../test/support/postgres.ts'
import { verifyJournal } from './verify.ts'

class InvalidSession extends Error {}

/** Creates a session and says so, in one transaction. A user without a name is found out after both were inserted. */
async function createSession(pool: Pool, audit: Audit, { id, user }: { id: string; user: string }): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query('insert into session (id, user_name) values ($1, $2)', [id, user])
    await audit.tx(client).emit({
      action: 'session.create',
      operation: 'create',
      actor: { type: 'user', id: user },
      target: { resource_type: 'session', id },
      outcome: 'success',
    })
    if (user === '') throw new InvalidSession('a session needs a user')
  })
}

async function inTransaction(pool: Pool, work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await work(client)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

/** Work of another language, or of a trigger: plain SQL. */
async function endSessions(pool: Pool): Promise<void> {
  await pool.query(`
    with ended as (delete from session returning id)
    select audit.emit(jsonb_build_object(
      'action', 'session.end', 'operation', 'delete', 'outcome', 'success',
      'target', jsonb_build_object('resource_type', 'session', 'id', id))) from ended`)
}

/** Until the sequencer on its thread has sealed everything that was committed. */
async function sealed(pool: Pool): Promise<void> {
  while ((await pool.query('select from audit.outbox limit 1')).rowCount !== 0)
    await pool.query('select pg_sleep(0.05)')
}

/** What `otel-audit migrate up` does. */
async function migrate(pool: Pool): Promise<void> {
  const client = await pool.connect()
  await migrateUp(client)
  client.release()
}

async function trade(url: string, directory: string): Promise<boolean> {
  const pool = new Pool({ connectionString: url })
  try {
    await migrate(pool)
    await pool.query('create table session (id text primary key, user_name text not null)')
    const options = { service: 'sessions', deployment: 'example', policy: { level: 'all' }, outbox: { url } } as const
    const audit = createAudit({ ...options, spool: { directory } })
    await createSession(pool, audit, { id: 's-1', user: 'ada' })
    await createSession(pool, audit, { id: 's-2', user: '' }).catch(onlyInvalid)
    await createSession(pool, audit, { id: 's-3', user: 'grace' })
    await endSessions(pool)
    await sealed(pool)
    await audit.close()
    const { rows } = await pool.query<{ action: string; target_id: string }>(
      `select action, target_id from audit.record where event_type = 'audit' order by seq`,
    )
    for (const { action, target_id } of rows) console.log(`${action} ${target_id}`)
    return (await verifyJournal(url, audit.verifierKey)) && rows.length === 4
  } finally {
    await pool.end()
  }
}

function onlyInvalid(error: unknown): void {
  if (!(error instanceof InvalidSession)) throw error
  console.log('rolled back: session s-2 and its event')
}

async function main(given: string | undefined): Promise<number> {
  const server = given === undefined ? await startPostgres() : undefined
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-outbox-'))
  try {
    return (await trade(given ?? server?.url ?? '', directory)) ? 0 : 1
  } finally {
    rmSync(directory, { recursive: true })
    await server?.stop()
  }
}

process.exitCode = await main(process.argv[2])
