/**
 * A real streaming standby of an embedded PostgreSQL: a base backup of its files, taken while it runs, and a server that
 * follows it over a slot of its own. It can be cut off, promoted, and used as what it then is.
 */

import { execFile } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { EmbeddedPostgres, queryOnce } from '../support/postgres.ts'

export interface StandbyOptions {
  /** `application_name`, by which `synchronous_standby_names` knows it, and the name of its slot. */
  readonly name: string
  /** False: the primary does not keep what it lacks, and forgets it when it goes. Default: true. */
  readonly hasSlot?: boolean
}

/** Makes a standby of a running primary and starts it; resolves when it answers queries. */
export async function startStandby(
  primary: EmbeddedPostgres,
  { name, hasSlot = true }: StandbyOptions,
): Promise<EmbeddedPostgres> {
  const { port, password } = new URL(primary.url)
  const settings = {
    primary_conninfo: `host=127.0.0.1 port=${port} user=postgres password=${password} application_name=${name}`,
    ...(hasSlot && { primary_slot_name: name }),
    wal_retrieve_retry_interval: '100ms',
  }
  const standby = new EmbeddedPostgres({ settings }, password)
  if (hasSlot) await queryOnce(primary.url, 'select pg_create_physical_replication_slot($1, true)', [name])
  await copyBase(primary, standby)
  await standby.start()
  return standby
}

/** Ends recovery there: from now on it is a primary of its own, on another timeline. */
export async function promote(standby: EmbeddedPostgres): Promise<void> {
  await queryOnce(standby.url, 'select pg_promote(true, 60)')
}

/** Waits until a standby has applied what the primary has flushed by now. */
export async function untilCaughtUp(primary: EmbeddedPostgres, standby: EmbeddedPostgres): Promise<void> {
  const [at] = await queryOnce(primary.url, 'select pg_current_wal_flush_lsn()::text as lsn')
  for (;;) {
    const [is] = await queryOnce(standby.url, 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as there', [at?.lsn])
    if (is?.there === true) return
  }
}

async function copyBase(primary: EmbeddedPostgres, standby: EmbeddedPostgres): Promise<void> {
  const client = new Client({ connectionString: primary.url })
  await client.connect()
  try {
    await client.query(`select pg_backup_start('standby', true)`)
    const data = join(standby.folder, 'data')
    await promisify(execFile)('cp', ['-a', join(primary.folder, 'data'), data])
    // What pg_basebackup leaves out, too: the primary's process, and its slots.
    for (const file of ['postmaster.pid', 'postmaster.opts']) rmSync(join(data, file))
    for (const slot of readdirSync(join(data, 'pg_replslot')))
      rmSync(join(data, 'pg_replslot', slot), { recursive: true })
    const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    standby.write('data/backup_label', rows[0]?.labelfile ?? '')
    standby.write('data/standby.signal', '')
  } finally {
    await client.end()
  }
}
