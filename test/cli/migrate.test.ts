/** `otel-audit migrate` as a user runs it, against a real server. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DatabaseReport } from '../../src/cli/doctor-postgres.ts'
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

test('what migrate print prints does what migrate up does', async (t) => {
  const url = await databaseFor(t)
  const { exitCode, stdout } = await runCli(['migrate', 'print', '--url', url])
  assert.equal(exitCode, 0)
  await queryOnce(url, stdout)
  const status = await runCli(['migrate', 'status', '--url', url])
  assert.deepEqual([status.exitCode, status.stderr], [0, ''])
  const partitions = `select count(*)::int as count from pg_partition_tree('audit.record') where isleaf`
  assert.deepEqual(await queryOnce(url, partitions), [{ count: 3 }])
  const nothing = await runCli(['migrate', 'print', '--url', url, '--json'])
  assert.deepEqual(JSON.parse(nothing.stdout), { migrations: [] })
})

test('migrate roles makes a database that doctor has nothing to say about, and doctor names what departs from it', async (t) => {
  const url = await databaseFor(t)
  const pending = await runCli(['doctor', '--postgres', url])
  assert.deepEqual([pending.exitCode, pending.stdout.includes('remedy: otel-audit migrate up')], [1, true])
  await runCli(['migrate', 'up', '--url', url])
  const without = await runCli(['doctor', '--postgres', url, '--json'])
  const report: DatabaseReport = JSON.parse(without.stdout)
  assert.deepEqual([report.pending, report.exitCode, without.exitCode], [[], 1, 1])
  assert.deepEqual(new Set(report.differences.map(({ kind }) => kind)), new Set(['role']))
  const made = await runCli(['migrate', 'roles', '--url', url, '--json'])
  assert.deepEqual(
    JSON.parse(made.stdout).roles.map(({ name }: { name: string }) => name),
    ['audit_owner', 'audit_app', 'audit_relay', 'audit_maintainer', 'audit_reader', 'audit_discloser'],
  )
  const good = await runCli(['doctor', '--postgres', url])
  assert.deepEqual([good.exitCode, good.stderr], [0, ''], good.stdout)
  await queryOnce(url, 'alter table audit.record disable trigger refuse_update; grant select on audit.outbox to public')
  const bad = await runCli(['doctor', '--postgres', url])
  assert.equal(bad.exitCode, 1)
  assert.match(bad.stdout, /trigger {2}audit\.record\.refuse_update: expected enabled always; found disabled/)
  assert.match(bad.stdout, /grant {2}audit\.outbox: expected public may nothing; found public may select/)
  const nowhere = await runCli(['doctor', '--postgres', 'postgres://u:geheim@127.0.0.1:1/db'])
  assert.equal(nowhere.exitCode, 2)
  assert.ok(!nowhere.stderr.includes('geheim'))
})

test('migrate index builds indexes on what is over, once', async (t) => {
  const url = await databaseFor(t)
  await runCli(['migrate', 'up', '--url', url])
  await queryOnce(url, `select audit.ensure_partition('2020-02-01')`)
  const first = await runCli(['migrate', 'index', '--url', url])
  assert.deepEqual([first.exitCode, first.stdout], [0, 'record_2020_02: indexed\n'])
  const second = await runCli(['migrate', 'index', '--url', url, '--json'])
  assert.deepEqual([second.exitCode, second.stdout], [0, '{"indexed":[]}\n'])
})
