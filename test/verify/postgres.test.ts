/** Verification of a real database: what somebody with write access can do to it, and the finding that it gives. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { unguard } from '../support/migrated.ts'
import { databaseFor, queryOnce } from '../support/postgres.ts'
import { leafOf, makeKeys, makeTrail } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const trail = makeTrail({ stream, keys, records: 20, interval: 8 }).lines

/** A database to which the trail was delivered. */
async function delivered(t: TestContext): Promise<string> {
  const url = await databaseFor(t)
  await withConnection({ url }, (connection) => migrateUp(connection))
  const destination = createPostgresDestination({ type: 'postgres', url })
  const records = trail.map((text, index) => ({ stream, sequence: index + 1, bytes: Buffer.from(text) }))
  const delivery = await destination.send({ records, bytes: 1 }, AbortSignal.timeout(30_000))
  await destination.close()
  assert.deepEqual(delivery, { status: 'delivered' })
  await queryOnce(url, unguard)
  return url
}

async function findingsIn(url: string): Promise<string[]> {
  const { findings } = await verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })
  return findings.map(({ verdict, sequence, from, to, detail }) =>
    verdict === 'PROJECTION_MISMATCH'
      ? `${verdict} ${sequence} ${detail.split(' ')[0]}`
      : `${verdict} ${sequence ?? `${from}-${to}`}`,
  )
}

test('a database that holds what was delivered is INTACT', async (t) => {
  const url = await delivered(t)
  const report = await verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })
  assert.deepEqual([report.verdict, report.exitCode, report.records], ['INTACT', 0, trail.length])
})

test('what was changed in a table is named', async (t) => {
  const url = await delivered(t)
  const attacks: readonly (readonly [string, readonly string[]])[] = [
    [
      `update audit.record set record = convert_to(replace(convert_from(record, 'UTF8'), 'u-5', 'm-5'), 'UTF8') where seq = 5`,
      ['CONTENT_TAMPERED 5'],
    ],
    [`update audit.record set record = '\\x00'::bytea where seq = 5`, ['CONTENT_TAMPERED 5']],
    [`delete from audit.record where seq = 5`, ['MISSING 5']],
    [`delete from audit.record where seq between 5 and 7`, ['MISSING 5-7']],
    [`delete from audit.record where seq = 1`, ['MISSING 1']],
    [`delete from audit.record where seq > 20`, ['TRUNCATED 21-25']],
    [`delete from audit.record where seq > 1`, ['TRUNCATED 2-25', 'UNANCHORED undefined-undefined']],
    [`update audit.record set actor_id = 'm-5' where seq = 5`, ['PROJECTION_MISMATCH 5 actor_id']],
    [`update audit.record set hash = '\\x00' where seq = 5`, ['PROJECTION_MISMATCH 5 hash']],
    [`update audit.record set seq = 105 where seq = 5`, ['PROJECTION_MISMATCH 5 seq']],
    [`update audit.stream_head set hash = '\\x00'`, ['PROJECTION_MISMATCH 25 the']],
    [
      `insert into audit.record (record, stream, seq, hash, recorded_at)
      select convert_to(replace(convert_from(record, 'UTF8'), 'u-5', 'm-5'), 'UTF8'), stream, seq, hash, recorded_at + interval '1 hour'
      from audit.record where seq = 5`,
      ['FORKED 5'],
    ],
  ]
  for (const [statement, expected] of attacks) {
    await queryOnce(url, 'create table public.kept as select * from audit.record')
    await queryOnce(url, 'create table public.kept_head as select * from audit.stream_head')
    await queryOnce(url, statement)
    assert.deepEqual(await findingsIn(url), expected, statement)
    await queryOnce(url, 'delete from audit.record')
    await queryOnce(url, 'insert into audit.record select * from public.kept')
    await queryOnce(url, 'delete from audit.stream_head')
    await queryOnce(url, 'insert into audit.stream_head select * from public.kept_head')
    await queryOnce(url, 'drop table public.kept, public.kept_head')
  }
  assert.deepEqual(await findingsIn(url), [])
})

test('a changed byte anywhere in a record is named', async (t) => {
  const url = await delivered(t)
  const whole = Buffer.from(trail[4] ?? '')
  // Every byte of the head of the record, where stream and number are not, would only repeat the same finding.
  const from = whole.indexOf('"prev":"')
  for (let at = 0; at < whole.length; at += at < from ? 37 : 7) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 1
    await queryOnce(url, 'update audit.record set record = $1 where seq = 5', [changed])
    assert.deepEqual(await findingsIn(url), ['CONTENT_TAMPERED 5'], `byte ${at}: ${changed}`)
  }
})

test('the evidence is both hashes', async (t) => {
  const url = await delivered(t)
  const forged = (trail[4] ?? '').replace('u-5', 'm-5')
  await queryOnce(url, 'update audit.record set record = $1 where seq = 5', [Buffer.from(forged)])
  const { findings } = await verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })
  assert.deepEqual([findings[0]?.expected, findings[0]?.found], [leafOf(trail[4] ?? ''), leafOf(forged)])
})

test('a database without our tables is unreadable, with the reason', async (t) => {
  const report = await verifySource(createPostgresSource(await databaseFor(t)), { verifiers: [keys.verifier] })
  assert.equal(report.exitCode, 2)
  assert.match(report.unreadable[0]?.reason ?? '', /the database holds no audit\.record table$/)
})
