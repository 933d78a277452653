/** `otel-audit query` from outside: one answer from every copy, recorded before it is shown, and clear refusals. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAudit } from '../../src/index.ts'
import { deriveColumns } from '../../src/postgres/projection.ts'
import { appendRecords, encodeRecords, ensurePartition } from '../../src/postgres/records.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { databaseFor } from '../support/postgres.ts'
import { chainOf } from '../support/record-chain.ts'
import { runCli } from './run.ts'

const members = (sequence: number) => ({
  recorded: `2026-11-0${sequence}T12:00:00.000000000Z`,
  timestamp: `2026-11-0${sequence}T11:00:00.000000000Z`,
  action: sequence % 2 === 0 ? 'invoice.delete' : 'user.login',
  actor: { type: 'user', id: `u-${sequence % 3}` },
  outcome: 'success',
})

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-query-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function fileOf(t: TestContext, records: ReturnType<typeof chainOf>): string {
  const path = join(folderFor(t), 'audit.ndjson')
  writeFileSync(path, records.map(({ bytes }) => `${bytes}\n`).join(''))
  return path
}

test('a database and a file give the same records, as sealed, for the same question', async (t) => {
  const { url, connection } = await migratedDatabase(t)
  const records = chainOf(9, { members })
  const file = fileOf(t, records)
  await ensurePartition(connection, '2026-11-01T00:00:00Z')
  await appendRecords(connection, encodeRecords(records.map(deriveColumns)))
  const stream = records[0]?.stream
  const questions: [string[], number[]][] = [
    [[], [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [
      ['--actor', 'user:u-1', '--action', 'user.*'],
      [1, 7],
    ],
    [
      ['--since', '2026-11-03', '--until', '2026-11-06T00:00:00Z'],
      [3, 4, 5],
    ],
    [
      ['--newest', '--limit', '2'],
      [9, 8],
    ],
    [
      ['--newest', '--after', `${stream}/8`, '--limit', '2'],
      [7, 6],
    ],
    [
      ['--after', `${stream}/6`, '--limit', '2'],
      [7, 8],
    ],
    [['--actor', 'nobody'], []],
  ]
  for (const [filters, expected] of questions) {
    for (const source of [url, file]) {
      const { exitCode, stdout, stderr } = await runCli(['query', source, ...filters, '--json'])
      assert.equal(exitCode, 0, stderr)
      assert.equal(stdout, expected.map((sequence) => `${records[sequence - 1]?.bytes}\n`).join(''))
      assert.match(stderr, /This query was not recorded/)
    }
  }
})

test('people get a line each, how to go on, and nothing that moves the cursor', async (t) => {
  const records = chainOf(3, {
    members: (sequence) => ({ ...members(sequence), actor: { type: 'user', id: '\u001b[2J' } }),
  })
  const { stdout, stderr, exitCode } = await runCli(['query', fileOf(t, records), '--limit', '2'])
  assert.equal(exitCode, 0)
  const stream = records[0]?.stream
  assert.equal(
    stdout,
    [1, 2]
      .map((sequence) => {
        const action = members(sequence).action
        return `2026-11-0${sequence}T11:00:00.000Z  success  user:\\u001b[2J  ${action}  invoice:42  ${stream}/${sequence}\n`
      })
      .join(''),
  )
  assert.ok(stderr.endsWith(`2 records; there may be more: --after ${stream}/2\n`), stderr)
})

test('a spool is searched while it is written, and the query is recorded in a trail of its own', async (t) => {
  const folder = folderFor(t)
  const audit = createAudit({ service: 'shop', policy: { level: 'all' }, spool: { directory: join(folder, 'spool') } })
  t.after(() => audit.close())
  for (const id of ['a', 'b']) await audit.emit({ action: 'cart.open', target: { resource_type: 'cart', id } }).durable
  const operations = join(folder, 'operations')
  const { stdout, exitCode, stderr } = await runCli(
    ['query', join(folder, 'spool'), '--target', 'cart:b', '--operations', operations],
    { AUDIT_POSTGRES_URL: undefined },
  )
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /^\S+ {2}- {2}- {2}cart\.open {2}cart:b {2}\S+\n$/)
  assert.doesNotMatch(stderr, /not recorded/)
  const noted = await runCli(['query', operations, '--action', 'audit.query', '--json'])
  const { details, operation } = JSON.parse(noted.stdout)
  assert.equal(operation, 'read')
  assert.deepEqual(details.filter, { target: 'cart:b' })
  assert.equal(details.first_page, 1)
})

test('with a journal in the database the query is enlisted there, and shown only when that was possible', async (t) => {
  const { url, connection } = await migratedDatabase(t)
  await connection.query(
    `insert into audit.journal (deployment, stream, system_identifier, timeline_id, signed_size, tree, signed_at, unsigned)
     values ('d', gen_random_uuid(), 1, 1, 0, '{}', now(), 0)`,
  )
  await ensurePartition(connection, '2026-11-01T00:00:00Z')
  await appendRecords(connection, encodeRecords(chainOf(1, { members }).map(deriveColumns)))
  const { exitCode, stdout, stderr } = await runCli(['query', '--actor', 'u-1', '--json'], { AUDIT_POSTGRES_URL: url })
  assert.deepEqual([exitCode, stderr, stdout.split('\n').length], [0, '', 2])
  const { rows } = await connection.query<{ event: string }>(
    `select convert_from(event, 'UTF8') as event from audit.outbox`,
  )
  const { action, details } = JSON.parse(rows[0]?.event ?? '')
  assert.deepEqual([action, details.filter, details.first_page], ['audit.query', { actor: 'u-1' }, 1])
  await connection.query('alter table audit.outbox add constraint full_up check (false) not valid')
  const refused = await runCli(['query', url, '--json'])
  assert.deepEqual([refused.exitCode, refused.stdout], [2, ''])
})

test('what cannot be meant is refused by name, and the password is never shown', async (t) => {
  const url = await databaseFor(t)
  const file = fileOf(t, chainOf(1))
  const refusals: [string[], RegExp][] = [
    [[file, '--outcome', 'sucess'], /--outcome is "sucess"; allowed: success, .*did you mean success/],
    [[file, '--since', 'yesterday'], /--since is "yesterday"; allowed: 2026-/],
    [[file, '--since', '2d', '--until', '3d'], /--until is "3d"; allowed: a time after --since 2d/],
    [[file, '--trace', '4bf9'], /--trace is "4bf9"; allowed: 32 hex digits/],
    [[file, '--actor', ''], /--actor is ""; allowed: a value/],
    [[file, '--limit', '0'], /--limit is "0"; allowed: a whole number from 1/],
    [[file, '--after', 'x/1'], /--after is "x\/1"; allowed: STREAM\/SEQ/],
    [[file, '--after', '00000000-0000-0000-0000-000000000000/1'], /there is no record .*\/1 here/],
    [[file, '--acter', 'x'], /unknown option --acter\n.*did you mean --actor/],
    [[`${file}.gone`], /there is no such file or directory/],
    [[url], /it holds no audit\.record table/],
    [[], /SOURCE is missing/],
  ]
  for (const [argv, message] of refusals) {
    const { exitCode, stdout, stderr } = await runCli(['query', ...argv], { AUDIT_POSTGRES_URL: undefined })
    assert.deepEqual([exitCode, stdout], [2, ''])
    assert.match(stderr, message)
    assert.ok(!stderr.includes(new URL(url).password))
  }
})
