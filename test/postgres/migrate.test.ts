/** Migrations on a real server: once each, whoever runs them and however often, and never over a foreign history. */

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { migrateUp, migrationStatus, readMigrations } from '../../src/postgres/migrate.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'
import { databaseFor, queryOnce } from '../support/postgres.ts'

const ours = new URL('../../src/postgres/migrations/', import.meta.url)
const partitions = `select relid::regclass::text as name from pg_partition_tree('audit.record') where isleaf order by 1`

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): URL {
  const folder = mkdtempSync(path.join(tmpdir(), 'otel-audit-migrations-'))
  t.after(() => rmSync(folder, { recursive: true }))
  cpSync(ours, folder, { recursive: true })
  for (const [name, sql] of Object.entries(files)) writeFileSync(path.join(folder, name), sql)
  return pathToFileURL(`${folder}/`)
}

describe('migrations', () => {
  it('make the schema and the partitions of three months, and a second run changes nothing', async (t) => {
    const client = await connectionFor(t, await databaseFor(t))
    assert.deepEqual((await migrationStatus(client)).applied, [])
    const all = readMigrations().map(({ number }) => number)
    assert.deepEqual(await migrateUp(client), all)
    const first = await migrationStatus(client)
    assert.deepEqual(first.pending, [])
    assert.equal((await client.query(partitions)).rows.length, 3)
    assert.deepEqual(await migrateUp(client), [])
    assert.deepEqual(await migrationStatus(client), first)
  })

  it('are applied once by two migrators at once', async (t) => {
    const url = await databaseFor(t)
    const clients = await Promise.all([connectionFor(t, url), connectionFor(t, url), connectionFor(t, url)])
    const ran = await Promise.all(clients.map((client) => migrateUp(client)))
    assert.deepEqual(
      ran.flat().sort((one, other) => one - other),
      readMigrations().map(({ number }) => number),
    )
  })

  it('are refused when one was applied with other contents', async (t) => {
    const { connection } = await migratedDatabase(t)
    await connection.query(`update audit.migration set checksum = decode(repeat('00', 32), 'hex') where number = 1`)
    const refusal = { code: 'MIGRATION_FAILED', message: /migration 1 \(record\).*found 0{64}/ }
    await assert.rejects(migrateUp(connection), refusal)
    await assert.rejects(migrationStatus(connection), refusal)
  })

  it('are refused when a newer version migrated the database', async (t) => {
    const { connection } = await migratedDatabase(t)
    const newer = readMigrations(folderWith(t, { '9001-later.sql': '-- breaking: yes\ncreate table audit.later ()' }))
    assert.deepEqual((await migrationStatus(connection, newer)).pending, [
      { number: 9001, name: 'later', breaking: true },
    ])
    assert.deepEqual(await migrateUp(connection, newer), [9001])
    await assert.rejects(migrateUp(connection), {
      code: 'MIGRATION_FAILED',
      message: /newer version: migration 9001 \(later\)/,
    })
  })

  it('leave nothing behind of one that fails, and keep those before it', async (t) => {
    const client = await connectionFor(t, await databaseFor(t))
    const broken = readMigrations(folderWith(t, { '9001-broken.sql': 'create table audit.half (); select 1 / 0' }))
    await assert.rejects(migrateUp(client, broken), { code: 'MIGRATION_FAILED', message: /9001 \(broken\).*division/ })
    const { applied, pending } = await migrationStatus(client, broken)
    assert.deepEqual([applied.length, pending.map(({ number }) => number)], [readMigrations().length, [9001]])
    const { rows } = await client.query(`select to_regclass('audit.half') as half`)
    assert.deepEqual(rows, [{ half: null }])
  })

  it('have the same checksum with the newlines of another system', (t) => {
    const [record] = readMigrations()
    assert.ok(record !== undefined)
    const folder = folderWith(t, { '0001-record.sql': record.sql.replaceAll('\n', '\r\n') })
    assert.equal(readMigrations(folder)[0]?.checksum, record.checksum)
  })

  it('are refused by a database that cannot hold every text', async (t) => {
    const url = await databaseFor(t)
    const latin1 = new URL(`${url}_latin1`)
    const name = latin1.pathname.slice(1)
    await queryOnce(url, `create database ${name} encoding 'LATIN1' locale 'C' template template0`)
    t.after(() => queryOnce(new URL('/postgres', url).href, `drop database ${name} with (force)`))
    const client = await connectionFor(t, latin1.href)
    await assert.rejects(migrateUp(client), { code: 'MIGRATION_FAILED', message: /encoding LATIN1/ })
  })

  it('say so when the schema audit is somebody else’s', async (t) => {
    const client = await connectionFor(t, await databaseFor(t))
    await client.query('create schema audit')
    await assert.rejects(migrateUp(client), { code: 'MIGRATION_FAILED', hint: /did not make/ })
  })
})
