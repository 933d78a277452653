/** `otel-audit forward --postgres`: seals an outbox and delivers the journal, in processes of their own that die. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import { newRecordId } from '../../src/event/record-id.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { freshFolder } from '../audit/opened.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { mainFile, runCli } from './run.ts'

async function prepared(t: TestContext, events: number) {
  const { url, connection } = await migratedDatabase(t)
  const folder = freshFolder(t)
  const [trail, key, state] = ['trail.ndjson', 'audit.key', 'state'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const destinations = [{ type: 'file', path: trail, batchRecordsMax: 50 }]
  const config = join(folder, 'audit.json')
  const made = await runCli(['key', 'new', '--name', 'prod', '--out', key])
  const vkey = made.stdout.trim()
  writeFileSync(
    config,
    JSON.stringify({ deployment: 'prod', service: 'app', keys: { signingKeyFile: key }, destinations }),
  )
  const ids: string[] = []
  for (let index = 0; index < events; index += 1) {
    const id = newRecordId()
    await insertEvent(connection, { id, event: encodeEnlisted(convertEvent({ action: 'a.b', details: { index } })) })
    ids.push(id)
  }
  return {
    url,
    connection,
    folder,
    trail,
    vkey,
    ids,
    argv: ['forward', '--postgres', url, '--config', config, '--state', state],
  }
}

function idsIn(trail: string): string[] {
  const lines = readFileSync(trail, 'utf8').trimEnd().split('\n')
  const records = lines.map((line) => JSON.parse(line) as { id: string; event_type: string })
  return records.filter(({ event_type }) => event_type === 'audit').map(({ id }) => id)
}

test('--once seals and delivers everything, and both copies verify', async (t) => {
  const { url, trail, vkey, ids, argv } = await prepared(t, 20)
  const first = await runCli([...argv, '--once'])
  assert.deepEqual([first.exitCode, first.stdout], [0, '20 events sealed\nfile: 22 records delivered\n'], first.stderr)
  assert.deepEqual(idsIn(trail), ids)
  const again = await runCli([...argv, '--once', '--json'])
  assert.equal(again.exitCode, 0, again.stderr)
  const ended = JSON.parse(again.stdout.trimEnd().split('\n').at(-1) ?? '')
  assert.deepEqual(
    [ended.event, ended.isDrained, ended.sequencer.sealed, ended.destinations[0].delivered],
    ['ended', true, 0, 0],
  )
  const verified = await runCli(['verify', url, trail, '--vkey', vkey, '--json'])
  assert.equal(verified.exitCode, 0, verified.stdout)
})

test('killed again and again it loses nothing, and repeats only what it had sent', async (t) => {
  const { url, connection, trail, vkey, ids, argv } = await prepared(t, 300)
  for (let kill = 1; kill <= 5; kill += 1) {
    const child = spawn(process.execPath, [mainFile, ...argv], { stdio: 'ignore' })
    t.after(() => child.kill('SIGKILL'))
    const ended = once(child, 'close')
    const goal = kill * 20_000
    while ((existsSync(trail) ? statSync(trail).size : 0) < goal) await connection.query('select pg_sleep(0.005)')
    child.kill('SIGKILL')
    await ended
  }
  const last = await runCli([...argv, '--once'])
  assert.equal(last.exitCode, 0, last.stderr)
  assert.deepEqual(new Set(idsIn(trail)), new Set(ids))
  const sealed = await connection.query(`select from audit.record where event_type = 'audit'`)
  assert.equal(sealed.rows.length, ids.length)
  const verified = await runCli(['verify', url, trail, '--vkey', vkey, '--json'])
  assert.equal(verified.exitCode, 0, verified.stdout)
})

test('SIGTERM ends it in order, and without destinations it seals', async (t) => {
  const { url, connection, folder, ids, vkey } = await prepared(t, 10)
  const env = { ...process.env, AUDIT_DEPLOYMENT: 'prod', AUDIT_KEYS_SIGNING_KEY_FILE: join(folder, 'audit.key') }
  const argv = [mainFile, 'forward', '--postgres', url, '--state', join(folder, 'state')]
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  while ((await connection.query('select from audit.outbox')).rows.length > 0)
    await connection.query('select pg_sleep(0.01)')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'close'), [0, null])
  const { rows } = await connection.query(`select from audit.record where event_type = 'audit'`)
  assert.equal(rows.length, ids.length)
  const verified = await runCli(['verify', url, '--vkey', vkey])
  assert.equal(verified.exitCode, 0, verified.stdout)
  assert.match(verified.stdout, /INTACT/)
})

test('a database that cannot be used is said with what to do, and the password is not', async (t) => {
  const folder = freshFolder(t)
  const url = 'postgres://app:secret@127.0.0.1:1/app'
  const { exitCode, stderr } = await runCli(['forward', '--postgres', url, '--state', join(folder, 'state'), '--once'])
  assert.equal(exitCode, 2)
  assert.match(stderr, /the database cannot be used: .*ECONNREFUSED/)
  assert.doesNotMatch(stderr, /secret/)
  const key = join(folder, 'state', 'audit.key')
  assert.ok(existsSync(key))
  assert.ok(stderr.includes(`keys.signingKeyFile is not set: the journal is signed with ${key}, which`), stderr)
  const wrong = await runCli(['forward', '--postgres', 'mysql://x', '--state', join(folder, 'state')])
  assert.equal(wrong.exitCode, 2)
  assert.match(wrong.stderr, /PostgreSQL URL/)
})
