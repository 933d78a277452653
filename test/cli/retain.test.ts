/** `otel-audit retain` and `hold` as an operator uses them, and the service that does it by itself. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startVersitygw, versitygwAbsent, versitygwBinary } from '../parts/versitygw.ts'
import { type AgedDatabase, AgedWriter, aged, agedDatabase, keys, streamA } from '../support/aged-trail.ts'
import { queryOnce } from '../support/postgres.ts'
import { runCli } from './run.ts'

interface Stage {
  readonly database: AgedDatabase
  readonly directory: string
  /** Runs a command on the database; its exit code and what it printed as JSON. */
  run(...argv: string[]): Promise<{ exitCode: number | null; json: Record<string, unknown>; stderr: string }>
}

async function stage(t: TestContext): Promise<Stage> {
  const database = await agedDatabase(t)
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-retain-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const operations = join(directory, 'operations')
  return {
    database,
    directory,
    async run(...argv) {
      const words = [...argv, '--json']
      if (/^(?:retain run|hold (?:add|release))/.test(argv.join(' '))) words.push('--operations', operations)
      const env = { AUDIT_POSTGRES_URL: database.url, AUDIT_DEPLOYMENT: 'operations' }
      const { exitCode, stdout, stderr } = await runCli(words, env)
      return { exitCode, stderr, json: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>) }
    },
  }
}

const halfOld = (sequence: number) => (sequence <= 60 ? 120 : 30)

test('retain run archives, removes and seals; verify says PRUNED of the database and INTACT of the archive', async (t) => {
  const { database, directory, run } = await stage(t)
  const writer = aged(new AgedWriter(streamA, halfOld), 100, 15)
  await database.deliver(writer)
  const archive = join(directory, 'archive')
  const planned = await run('retain', 'run', '--days', '90', '--dry-run')
  assert.deepEqual([planned.exitCode, planned.json.outcome, planned.json.removed], [0, 'planned', 60])
  const done = await run('retain', 'run', '--days', '90', '--archive', archive)
  assert.equal(done.exitCode, 0, done.stderr)
  assert.deepEqual([done.json.outcome, done.json.removed], ['done', 60])
  const [left] = await queryOnce(database.url, 'select min(seq) as first from audit.record where stream = $1', [
    streamA,
  ])
  assert.equal(Number(left?.first), 61)
  const vkeys = join(directory, 'vkeys')
  writeFileSync(vkeys, `${keys.signer.verifierKey}\n${done.json.verifierKey}\n`)
  const verified = await run('verify', database.url, archive, '--vkey', vkeys)
  const [inDatabase, inArchive] = verified.json.sources as { verdict: string; findings: unknown[] }[]
  assert.deepEqual([inDatabase?.verdict, inDatabase?.findings], ['PRUNED', []])
  assert.ok(['INTACT', 'OPEN_TAIL'].includes(inArchive?.verdict ?? ''), JSON.stringify(inArchive))
  const status = await run('retain', 'status')
  assert.deepEqual([status.json.records, status.json.pending, status.json.holds], [60, 0, 0])
})

test('retain run archives into a bucket, and removes nothing while that does not answer', async (t) => {
  if (versitygwBinary() === undefined) return t.skip(versitygwAbsent)
  const { database, directory, run } = await stage(t)
  await database.deliver(aged(new AgedWriter(streamA, halfOld), 100, 15))
  const server = await startVersitygw(join(directory, 's3'))
  t.after(() => server.kill())
  const { endpoint, region, accessKeyId, secretAccessKey } = server.address
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  })
  const refused = await run('retain', 'run', '--days', '90', '--archive', 's3://nowhere/cold')
  assert.deepEqual([refused.exitCode, refused.json.removed], [1, 0])
  assert.match(
    JSON.stringify(refused.json.refused),
    /it is not archived, and stays: ARCHIVE_FAILED: s3:\/\/nowhere\/cold: HTTP 404/,
  )
  const done = await run('retain', 'run', '--days', '90', '--archive', 's3://audit/cold')
  assert.deepEqual([done.exitCode, done.json.removed], [0, 60], done.stderr)
  const [range] = await queryOnce(database.url, 'select archive from audit.partition')
  assert.equal(range?.archive, 's3://audit/cold')
  const archived = await run('verify', 's3://audit/cold', '--vkey', keys.signer.verifierKey)
  const [report] = archived.json.sources as { verdict: string; records: number }[]
  assert.match(`${archived.exitCode} ${report?.verdict}`, /^0 (?:INTACT|OPEN_TAIL)$/)
  assert.ok((report?.records ?? 0) >= 60)
})

test('a hold is sealed, listed, keeps its records, and is released', async (t) => {
  const { database, run } = await stage(t)
  await database.deliver(aged(new AgedWriter(streamA, () => 120), 100, 10))
  const added = await run('hold', 'add', '--actor', 'u-50', '--why', 'case 7', '--operator', 'ada')
  assert.equal(added.exitCode, 0, added.stderr)
  const [hold] = added.json.holds as { id: number; actor: string }[]
  assert.equal(hold?.actor, 'u-50')
  await run('retain', 'run', '--days', '90')
  const [kept] = await queryOnce(database.url, `select count(*) from audit.record where actor_id = 'u-50'`)
  assert.equal(Number(kept?.count), 1)
  const released = await run('hold', 'release', String(hold?.id), '--why', 'closed')
  assert.equal(released.exitCode, 0, released.stderr)
  assert.deepEqual((await run('hold', 'list')).json.holds, [])
  assert.equal(((await run('hold', 'list', '--all')).json.holds as unknown[]).length, 1)
  const sealed = await queryOnce(
    database.url,
    `select event_type from audit.record where event_type like 'audit.hold%' order by seq`,
  )
  assert.deepEqual(
    sealed.map((row) => row.event_type),
    ['audit.hold.added', 'audit.hold.released'],
  )
  await run('retain', 'run', '--days', '90')
  const [gone] = await queryOnce(database.url, 'select count(*) from audit.record where stream = $1', [streamA])
  assert.equal(Number(gone?.count), 0)
})

test('what cannot be meant is refused with the remedy', async (t) => {
  const { run } = await stage(t)
  for (const [argv, expected] of [
    [['retain', 'run', '--days', '0'], /--days is 0; allowed: a whole number, at least 1/],
    [['hold', 'add', '--why', 'x'], /no criterion was given/],
    [['hold', 'add', '--tenant', 'acme'], /--why is missing/],
    [['hold', 'add', '--from', 'monday', '--why', 'x'], /--from is monday; allowed: a time/],
    [['hold', 'release', '99', '--why', 'x'], /no hold 99 is in force/],
  ] as const) {
    const { exitCode, stderr } = await run(...argv)
    assert.equal(exitCode, 2, argv.join(' '))
    assert.match(stderr, expected)
  }
})
