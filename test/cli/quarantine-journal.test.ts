/** A record of the journal that a destination refuses: set aside in the database, sealed, and decided about by an operator. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import { newRecordId } from '../../src/event/record-id.ts'
import type { QuarantineList } from '../../src/index.ts'
import type { Connection } from '../../src/postgres/client.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { freshFolder } from '../audit/opened.ts'
import { recordsAt } from '../support/delivered.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { startOtlpBackend } from '../support/otlp-backend.ts'
import { startCommand } from '../support/program.ts'
import { mainFile, runCli } from './run.ts'

const token = 'a-token-of-the-scraper'

/** A back end that answers 400 to every request that holds this word. */
async function startChoosyBackend(t: TestContext, word: string) {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const choosy = Object.assign(backend, { isChoosy: true })
  backend.respond = (response, { body }) => {
    response.statusCode = choosy.isChoosy && body.includes(word) ? 400 : 200
    response.setHeader('content-type', 'application/json')
    response.end('{}')
  }
  return choosy
}

async function prepare(t: TestContext) {
  const { url, connection } = await migratedDatabase(t)
  const backend = await startChoosyBackend(t, 'unwanted')
  const folder = freshFolder(t)
  const key = join(folder, 'audit.key')
  const vkey = (await runCli(['key', 'new', '--name', 'prod', '--out', key])).stdout.trim()
  const config = join(folder, 'audit.json')
  const destinations = [{ type: 'otlp', endpoint: backend.url, protocol: 'http/json', flushIntervalMs: 20 }]
  const options = { deployment: 'prod', keys: { signingKeyFile: key }, destinations, metrics: { token } }
  writeFileSync(config, JSON.stringify(options))
  const argv = ['forward', '--postgres', url, '--config', config, '--state', join(folder, 'state'), '--json']
  return { url, connection, backend, vkey, argv }
}

async function emit(connection: Connection, notes: readonly string[]): Promise<void> {
  for (const note of notes) {
    const event = encodeEnlisted(convertEvent({ action: 'order.place', details: { note } }))
    await insertEvent(connection, { id: newRecordId(), event })
  }
}

async function listed(url: string): Promise<QuarantineList['runs']> {
  const { stdout } = await runCli(['quarantine', 'list', '--postgres', url, '--json'])
  return (JSON.parse(stdout) as QuarantineList).runs
}

/** Records of the journal of one type. */
async function sealed(connection: Connection, type: string) {
  const { rows } = await connection.query<{ record: Buffer }>(
    'select record from audit.record where event_type = $1 or action = $1 order by seq',
    [type],
  )
  return rows.map(({ record }) => JSON.parse(record.toString()))
}

test('delivery goes on behind it, the journal says so, and an operator has it sent again or gives it up', async (t) => {
  const { url, connection, backend, vkey, argv } = await prepare(t)
  await emit(connection, ['one', 'unwanted A', 'two', 'three', 'unwanted B', 'four'])
  const once = await runCli([...argv, '--once'])
  assert.equal(once.exitCode, 0, once.stdout + once.stderr)
  const ended = JSON.parse(once.stdout.trimEnd().split('\n').at(-1) ?? '')
  assert.equal(ended.destinations[0].quarantined, 2)
  const runs = await listed(url)
  assert.deepEqual(
    runs.map(({ kind, destination, sealed, from, to }) => [kind, destination, sealed, from === to]),
    [
      ['poison', 'otlp', true, true],
      ['poison', 'otlp', true, true],
    ],
  )
  const facts = await sealed(connection, 'audit.quarantined')
  assert.deepEqual(
    facts.map(({ details }) => details),
    runs.map(({ destination, stream, from: seq, hash, reason }) => {
      return { destination, stream, seq, hash, reason: `POISON: ${reason}` }
    }),
  )
  assert.match(runs[0]?.reason ?? '', /400/)
  const [first, second] = runs.map(({ id }) => id)
  assert.ok(first !== undefined && second !== undefined)
  const shown = await runCli(['quarantine', 'show', '--postgres', url, first])
  const { record } = JSON.parse(shown.stdout)
  assert.equal(JSON.parse(record).details.note, 'unwanted A')
  const arrived = recordsAt(backend).map((text) => JSON.parse(text))
  const notes = arrived.filter(({ action }) => action === 'order.place').map(({ details }) => details.note)
  assert.deepEqual(
    new Set(notes.filter((note) => !note.startsWith('unwanted'))),
    new Set(['one', 'two', 'three', 'four']),
  )
  const told = arrived.filter(({ event_type }) => event_type === 'audit.quarantined').map(({ seq }) => seq)
  assert.equal(new Set(told).size, 2, 'delivered too')

  const forward = startCommand(t, [process.execPath, mainFile, ...argv, '--listen', '127.0.0.1:0'])
  const { url: health } = JSON.parse(`{${await forward.line('{"event":"listening",')}`) as { url: string }
  const refused = await runCli(['quarantine', 'retry', '--postgres', url, first])
  assert.deepEqual([refused.exitCode, refused.stderr], [1, ''])
  assert.match(refused.stdout, /refused again: .*400/)
  backend.isChoosy = false
  backend.requests.length = 0
  const why = ['--why', 'limit raised', '--operator', 'ann']
  const retried = await runCli(['quarantine', 'retry', '--postgres', url, first, ...why])
  assert.equal(retried.stdout, `${first}  delivered\n`)
  assert.ok(recordsAt(backend).includes(record), 'as it was sealed')
  const discarded = await runCli(['quarantine', 'discard', '--postgres', url, second, ...why])
  assert.equal(discarded.stdout, `${second}  discarded\n`)
  assert.deepEqual(await listed(url), [])
  const resolved = await sealed(connection, 'audit.quarantine.resolved')
  assert.deepEqual(
    resolved.map(({ details: { resolution, operator, why } }) => [resolution, operator, why]),
    [
      ['delivered', 'ann', 'limit raised'],
      ['discarded', 'ann', 'limit raised'],
    ],
  )
  assert.equal((await fetch(`${health}/readyz`)).status, 200)
  assert.equal((await fetch(`${health}/metrics`)).status, 401)
  const { headers, text } = await fetch(`${health}/metrics`, { headers: { authorization: `Bearer ${token}` } }).then(
    async (response) => ({ headers: response.headers, text: await response.text() }),
  )
  assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  assert.match(text, /^audit_outbox_backlog_records \d+$/m)
  assert.match(text, /^audit_sink_records_total\{destination="otlp",result="delivered"\} \d+$/m)
  while ((await sealed(connection, 'auth.failure')).length === 0) await connection.query('select pg_sleep(0.02)')
  await forward.kill('SIGTERM')
  const verified = await runCli(['verify', url, '--vkey', vkey])
  assert.equal(verified.exitCode, 0, verified.stdout)
})

test('a database that is not there, and an id that is none, are said', async (t) => {
  const { url } = await migratedDatabase(t)
  const none = await runCli(['quarantine', 'show', '--postgres', url, 'abcdef'])
  assert.deepEqual([none.exitCode, /no run is named abcdef/.test(none.stderr)], [2, true])
  const away = await runCli(['quarantine', 'list', '--postgres', 'postgres://app:secret@127.0.0.1:1/app'])
  assert.equal(away.exitCode, 2)
  assert.match(away.stderr, /the quarantine of the database cannot be used: .*ECONNREFUSED/)
  assert.doesNotMatch(away.stderr, /secret/)
})
