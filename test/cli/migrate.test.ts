/** `otel-audit migrate` as a user runs it, against a real server. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MigrateReport } from '../../src/cli/migrate.ts'
import { databaseFor, queryOnce } from '../support/postgres.ts'
import { runCli } from './run.ts'

test('migrate up brings a database up to date, and status says so', async (t) => {
  const url = await databaseFor(t)
  const before = await runCli(['migrate', 'status', '--url', url])
  assert.deepEqual([before.exitCode, before.stderr], [1, ''])
  assert.match(before.stdout, /^0001 {2}record +pending\n(?:.*\n)*Run: otel-audit migrate up\n$/)
  const up = await runCli(['migrate', 'up', '--url', url])
  assert.deepEqual([up.exitCode, up.stderr], [0, ''])
  assert.match(up.stdout, /^0001 {2}record +applied now\n(?:.*\n)*The database is up to date\.\n$/)
  const after = await runCli(['migrate', 'status'], { AUDIT_POSTGRES_URL: url })
  assert.equal(after.exitCode, 0)
  assert.match(after.stdout, /^0001 {2}record +applied \d{4}-\d\d-\d\dT/)
})

test('with --json each prints one line: what is applied, what is pending, what this run did', async (t) => {
  const url = await databaseFor(t)
  const reportOf = async (verb: string): Promise<MigrateReport> => {
    const { stdout } = await runCli(['migrate', verb, '--json', '--url', url])
    assert.equal(stdout.split('\n').length, 2)
    return JSON.parse(stdout)
  }
  const status = await reportOf('status')
  assert.deepEqual([status.applied, status.ran], [[], []])
  assert.deepEqual(status.pending[0], { number: 1, name: 'record', breaking: false })
  const up = await reportOf('up')
  assert.deepEqual([up.pending, up.ran], [[], status.pending.map(({ number }) => number)])
  assert.deepEqual((await reportOf('up')).ran, [])
  assert.match(up.applied[0]?.checksum ?? '', /^[0-9a-f]{64}$/)
})

test('what cannot be done is said with the remedy, and the password never', async (t) => {
  const url = await databaseFor(t)
  await runCli(['migrate', 'up', '--url', url])
  await queryOnce(url, `update audit.migration set checksum = decode('00', 'hex')`)
  const closed = new URL(url)
  closed.port = '1'
  const cases: readonly [readonly string[], RegExp][] = [
    [['up', '--url', url], /^otel-audit: migration 1 \(record\) was applied with other contents: SHA-256 expected/],
    [['status', '--url', closed.href], /^otel-audit: the database cannot be used: .*ECONNREFUSED/],
    [['status', '--url', 'mysql://u:hidden@h/d'], /^otel-audit: the database URL is not a PostgreSQL URL/],
    [['up'], /^otel-audit: --url is missing/],
    [['up', 'now', '--url', url], /^otel-audit: unexpected argument now/],
    [['down'], /^otel-audit: unknown command "migrate down"/],
  ]
  for (const [argv, expected] of cases) {
    const { exitCode, stdout, stderr } = await runCli(['migrate', ...argv], { AUDIT_POSTGRES_URL: undefined })
    assert.deepEqual([exitCode, stdout], [2, ''], argv.join(' '))
    assert.match(stderr, expected)
    assert.match(stderr, /\n {2}hint: /)
    assert.ok(!stderr.includes('hidden') && !stderr.includes(new URL(url).password))
  }
})
