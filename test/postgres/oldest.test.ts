/**
 * A short choice of the tests of this folder on the oldest PostgreSQL that the system's packages have, where one older than
 * that of `npm ci` is installed: the choice that touches each kind of statement. All of them run on any server with
 * AUDIT_TEST_DATABASE_URL.
 */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import { findOldestBinaries } from '../support/postgres-binaries.ts'

const chosen: readonly (readonly [file: string, name: string])[] = [
  ['migrate', 'make the schema and the partitions of three months'],
  ['outbox', 'is judged, redacted and completed before it is inserted'],
  ['outbox', 'needs no more than to insert into the outbox'],
  ['sequencer', 'seals committed events in their order'],
  ['row-trigger', 'records each insert, update and delete'],
  ['copy-records', 'leaves what appending by one statement leaves'],
  ['retention', 'partitions that hold nothing else are dropped'],
  ['roles', 'names what departs from what should be'],
  ['query', 'shows what happened in readable columns'],
  ['destination-lock', 'the transaction that holds the lock'],
]

const oldest = findOldestBinaries()
const skip =
  oldest === undefined && 'no PostgreSQL of 15 or later from the packages of this system: apt-get install postgresql'

test(`the schema, outbox, destination and retention work on PostgreSQL ${oldest?.version ?? 15}`, {
  skip,
}, async (t) => {
  const server = await startEmbeddedPostgres({ binaries: oldest })
  t.after(() => server.stop())
  const [row] = await queryOnce(server.url, 'show server_version')
  assert.equal(Number.parseInt(String(row?.server_version), 10), oldest?.version)
  const files = [...new Set(chosen.map(([file]) => join(import.meta.dirname, `${file}.test.ts`)))]
  const names = chosen.map(([, name]) => `--test-name-pattern=${name}`)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', ...names, ...files], {
    env: { ...env, AUDIT_TEST_DATABASE_URL: server.url },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  const report = await text(child.stdout)
  const [code] = await ended
  assert.equal(code, 0, report)
  for (const [, name] of chosen) assert.match(report, new RegExp(`^ *ok \\d+ - .*${name}`, 'm'))
})
