/** `otel-audit trigger` as a user runs it: the SQL goes to psql, mistakes are named. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TriggerScript } from '../../src/cli/trigger.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { runCli } from './run.ts'

test('trigger finds the primary key of a table, and its SQL makes changes of rows events', async (t) => {
  const { url, connection } = await migratedDatabase(t)
  await connection.query('create schema sales; create table sales.line (invoice integer, number integer, note text)')
  await connection.query('alter table sales.line add primary key (number, invoice)')
  const printed = await runCli(['trigger', 'sales.line', '--url', url, '--exclude', 'note', '--json'])
  assert.deepEqual([printed.exitCode, printed.stderr], [0, ''])
  const { sql, ...chosen }: TriggerScript = JSON.parse(printed.stdout)
  assert.deepEqual(chosen, { table: 'sales.line', key: ['number', 'invoice'], exclude: ['note'], mask: [] })
  const text = await runCli(['trigger', 'sales.line', '--url', url, '--exclude', 'note'])
  assert.equal(text.stdout, sql)
  await connection.query(sql)
  await connection.query(`insert into sales.line values (7, 1, 'x')`)
  const { rows } = await connection.query<{ event: Record<string, unknown> }>(
    `select convert_from(event, 'UTF8')::jsonb as event from audit.outbox`,
  )
  assert.deepEqual(rows[0]?.event.target, { resource_type: 'sales.line', id: '["1", "7"]' })
  await connection.query((await runCli(['trigger', 'sales.line', '--drop'])).stdout)
  await connection.query('delete from sales.line')
  assert.equal((await connection.query('select from audit.outbox')).rows.length, 1)
})

test('what trigger cannot print is said with the remedy, and the password never', async (t) => {
  const { url, connection } = await migratedDatabase(t)
  await connection.query('create table invoice (id integer, amount integer)')
  const closed = new URL(url)
  closed.port = '1'
  const cases: readonly (readonly [argv: readonly string[], complaint: RegExp])[] = [
    [[], /^otel-audit: TABLE is missing/],
    [['a b'], /^otel-audit: TABLE a b is no name of a table/],
    [['audit.outbox', '--url', url], /^otel-audit: TABLE audit\.outbox is the trail's own/],
    [['invoice', 'other'], /^otel-audit: unexpected argument other/],
    [['invoices', '--url', url], /^otel-audit: there is no table public\.invoices/],
    [
      ['invoice', '--url', url, '--mask', 'amuont'],
      /--mask amuont: the table has no such column\n {2}hint: .*--mask amount/,
    ],
    [['invoice', '--url', closed.href], /^otel-audit: the database cannot be used: .*ECONNREFUSED/],
    [['invoice', '--action', 'audit.x'], /^otel-audit: --action audit\.x: no beginning/],
  ]
  for (const [argv, complaint] of cases) {
    const { exitCode, stdout, stderr } = await runCli(['trigger', ...argv])
    assert.deepEqual([exitCode, stdout], [2, ''], argv.join(' '))
    assert.match(stderr, complaint)
    assert.match(stderr, /\n {2}hint: /)
    assert.ok(!stderr.includes(new URL(url).password))
  }
})
