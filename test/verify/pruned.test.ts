/** What verification says of a database from which retention has removed records, and of one from which others have. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { addHold } from '../../src/postgres/hold.ts'
import { runRetention } from '../../src/postgres/retention.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { parseTrust } from '../../src/verify/trust-file.ts'
import { verifySource } from '../../src/verify/verify.ts'
import {
  type AgedDatabase,
  AgedWriter,
  aged,
  agedDatabase,
  daysAgo,
  keys,
  streamA,
  streamB,
} from '../support/aged-trail.ts'
import { connectionFor } from '../support/migrated.ts'
import { queryOnce } from '../support/postgres.ts'
import { makeKeys } from '../support/trail.ts'

async function prune(t: TestContext, database: AgedDatabase): Promise<void> {
  await runRetention(await connectionFor(t, database.url), {
    before: daysAgo(90),
    restateBefore: daysAgo(45),
    batchRows: 10_000,
    seal: (statement) => database.seal(statement),
    signal: new AbortController().signal,
  })
}

async function verify({ url }: AgedDatabase): Promise<string[]> {
  const { verdict, findings, observations } = await verifySource(createPostgresSource(url), {
    verifiers: [keys.verifier],
  })
  const all = [...findings, ...observations].map(({ verdict: one, stream, sequence, from, to }) => {
    return `${one} ${stream?.slice(-1)} ${sequence ?? `${from}-${to}`}`
  })
  return [verdict, ...all]
}

/** As somebody who owns the database. */
async function asOwner(url: string, statement: string): Promise<void> {
  await queryOnce(url, `alter table audit.record disable trigger user; ${statement}`)
}

/** The first 60 records are past the limit. */
const halfOld = (sequence: number) => (sequence <= 60 ? 120 : 30)

test('a trail whose beginning was removed is PRUNED, and what is left is proven', async (t) => {
  const database = await agedDatabase(t)
  await database.deliver(aged(new AgedWriter(streamA, halfOld), 100, 15))
  await prune(t, database)
  assert.deepEqual(await verify(database), ['PRUNED', 'PRUNED 1 1-60'])
  await asOwner(
    database.url,
    `update audit.record set record = overlay(record placing '\\x78' from 200) where stream = '${streamA}' and seq = 61`,
  )
  const [verdict, ...findings] = await verify(database)
  assert.deepEqual([verdict, findings[0]], ['CONTENT_TAMPERED', 'CONTENT_TAMPERED 1 61'])
})

test('the one checkpoint that is left proves the rest', async (t) => {
  const database = await agedDatabase(t)
  const writer = aged(new AgedWriter(streamA, (sequence) => (sequence <= 95 ? 120 : 30)), 90, 15)
  await database.deliver(writer)
  await prune(t, database)
  assert.ok(writer.lines.length - 95 < 10)
  assert.deepEqual(await verify(database), ['PRUNED', 'PRUNED 1 1-95'])
})

test('a stream that is gone as a whole, and a stretch that a hold keeps', async (t) => {
  const database = await agedDatabase(t)
  const gone = aged(new AgedWriter(streamA, () => 120), 40, 10)
  const tenantOf = (sequence: number) => (sequence === 62 ? { tenant: 'acme' } : {})
  const kept = aged(new AgedWriter(streamB, () => 120, tenantOf), 100, 10)
  for (const writer of [gone, kept]) await database.deliver(writer)
  await addHold(await connectionFor(t, database.url), { tenant: 'acme' }, { reason: 'case', operator: 'ada' })
  await prune(t, database)
  const [verdict, ...seen] = await verify(database)
  assert.equal(verdict, 'PRUNED')
  assert.equal(seen.length, 3, seen.join())
  assert.ok(seen.includes(`PRUNED 1 1-${gone.lines.length}`))
})

test('records that no sealed statement names were not removed by retention', async (t) => {
  const database = await agedDatabase(t)
  await database.deliver(aged(new AgedWriter(streamA, halfOld), 100, 15))
  await prune(t, database)
  await asOwner(database.url, `delete from audit.record where stream = '${streamA}' and seq between 61 and 70`)
  assert.deepEqual(await verify(database), ['MISSING', 'MISSING 1 61-70', 'PRUNED 1 1-60'])
})

test('a removal that is listed but not sealed is UNAUTHORISED_PRUNE', async (t) => {
  const database = await agedDatabase(t)
  await database.deliver(aged(new AgedWriter(streamA, halfOld), 100, 15))
  await prune(t, database)
  await asOwner(
    database.url,
    `delete from audit.record where event_type = 'audit.pruned' or stream = '${database.operations.stream}'`,
  )
  await queryOnce(
    database.url,
    `alter table audit.stream_head disable trigger user; delete from audit.stream_head where stream = '${database.operations.stream}'`,
  )
  assert.deepEqual(await verify(database), ['UNAUTHORISED_PRUNE', 'UNAUTHORISED_PRUNE 1 1-60'])
})

test('a removal sealed by somebody whom the trust file names no pruner is UNAUTHORISED_PRUNE', async (t) => {
  const database = await agedDatabase(t)
  await database.deliver(aged(new AgedWriter(streamA, halfOld), 100, 15))
  await prune(t, database)
  const operations = `prod/${database.operations.stream}`
  const verifyWith = async (member: object) => {
    const trust = parseTrust(JSON.stringify({ keys: [{ key: keys.signer.verifierKey }], ...member }))
    assert.ok(typeof trust !== 'string', String(trust))
    const report = await verifySource(createPostgresSource(database.url), { verifiers: [keys.verifier], trust })
    return report.verdict
  }
  assert.equal(await verifyWith({ pruners: [operations] }), 'PRUNED')
  assert.equal(await verifyWith({ pruners: [keys.signer.verifierKey] }), 'PRUNED')
  assert.equal(await verifyWith({ pruners: [`prod/${streamA}`] }), 'UNAUTHORISED_PRUNE')
  assert.equal(await verifyWith({ pruners: [makeKeys('ops').signer.verifierKey] }), 'UNAUTHORISED_PRUNE')
  assert.equal(await verifyWith({ operators: [] }), 'UNAUTHORISED_PRUNE')
  assert.equal(await verifyWith({ operators: [], pruners: ['prod/*'] }), 'PRUNED')
})

test('a statement about other records than those that were removed counts for nothing', async (t) => {
  const database = await agedDatabase(t)
  await database.deliver(aged(new AgedWriter(streamA, halfOld), 100, 15))
  await prune(t, database)
  await queryOnce(database.url, `update audit.partition set hash = sha256('other') where stream = $1`, [streamA])
  const [verdict, ...findings] = await verify(database)
  assert.equal(verdict, 'LINK_BROKEN', findings.join())
  assert.ok(findings.includes('UNAUTHORISED_PRUNE 1 1-60'), findings.join())
})
