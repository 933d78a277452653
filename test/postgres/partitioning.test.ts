/** How `audit.record` is cut into partitions, and what retention makes of each cut. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { migrateUp, readMigrations } from '../../src/postgres/migrate.ts'
import { ensurePartitions, type Partitioning } from '../../src/postgres/records.ts'
import { runRetention } from '../../src/postgres/retention.ts'
import { AgedWriter, aged, agedDatabase, daysAgo, streamA } from '../support/aged-trail.ts'
import { connectionFor } from '../support/migrated.ts'
import { databaseFor, queryOnce } from '../support/postgres.ts'

async function migrated(t: TestContext, partition?: Partitioning): Promise<{ url: string; client: Queryable }> {
  const url = await databaseFor(t)
  const client = await connectionFor(t, url)
  await migrateUp(client, readMigrations(), { partition })
  return { url, client }
}

/** Names with their bounds, oldest first. */
async function partitionsOf(client: Queryable): Promise<string[]> {
  await client.query(`set timezone = 'UTC'`)
  const { rows } = await client.query<{ text: string }>(
    `select format('%s: %s to %s', name, low, high) as text from audit.list_partitions() order by low`,
  )
  return rows.map(({ text }) => text.replaceAll(' 00:00:00+00', ''))
}

describe('partitions', () => {
  it('are cut by week or day from the first one on, with some made ahead', async (t) => {
    const weekly = await migrated(t, 'weekly')
    assert.equal((await partitionsOf(weekly.client)).length, 5)
    // 2031-01-01 was a Wednesday of the first ISO week.
    await ensurePartitions(weekly.client, ['2031-01-01T00:00:00Z', '2031-01-05T23:59:59Z', '2031-01-06T00:00:00Z'])
    assert.deepEqual((await partitionsOf(weekly.client)).slice(-2), [
      'record_2031_w01: 2030-12-30 to 2031-01-06',
      'record_2031_w02: 2031-01-06 to 2031-01-13',
    ])
    const daily = await migrated(t, 'daily')
    assert.equal((await partitionsOf(daily.client)).length, 8)
    await ensurePartitions(daily.client, ['2032-02-29T12:00:00Z'])
    assert.deepEqual((await partitionsOf(daily.client)).slice(-1), ['record_2032_02_29: 2032-02-29 to 2032-03-01'])
  })

  it('fill what is left between older ones when the cut has changed', async (t) => {
    const { client } = await migrated(t)
    await ensurePartitions(client, ['2031-02-01T00:00:00Z', '2031-04-01T00:00:00Z'])
    await migrateUp(client, readMigrations(), { partition: 'weekly' })
    const march = ['2031-03-01T00:00:00Z', '2031-03-05T00:00:00Z', '2031-03-31T00:00:00Z']
    await ensurePartitions(client, march)
    assert.deepEqual((await partitionsOf(client)).slice(-5), [
      'record_2031_02: 2031-02-01 to 2031-03-01',
      'record_2031_w09: 2031-03-01 to 2031-03-03',
      'record_2031_w10: 2031-03-03 to 2031-03-10',
      'record_2031_w14: 2031-03-31 to 2031-04-01',
      'record_2031_04: 2031-04-01 to 2031-05-01',
    ])
    await migrateUp(client, readMigrations(), { partition: 'monthly' })
    await ensurePartitions(client, ['2031-03-20T00:00:00Z'])
    assert.ok((await partitionsOf(client)).includes('record_2031_03: 2031-03-10 to 2031-03-31'))
  })

  it('are one for all with none, which has its search indexes at once and cannot be cut any more', async (t) => {
    const { client } = await migrated(t, 'none')
    assert.deepEqual(await partitionsOf(client), ['record_all: -infinity to infinity'])
    await ensurePartitions(client, ['0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z'])
    assert.equal((await partitionsOf(client)).length, 1)
    const { rows } = await client.query(`select indexname from pg_indexes where indexname = 'record_all_actor_id_at'`)
    assert.equal(rows.length, 1)
    await assert.rejects(migrateUp(client, readMigrations(), { partition: 'daily' }), {
      code: 'MIGRATION_FAILED',
      message: /one partition holds all that is to come: it cannot be cut any more/,
      hint: /before the first/,
    })
  })

  it('are made by the writer when nobody has made them ahead', async (t) => {
    const { url, client } = await migrated(t, 'daily')
    const writer = aged(new AgedWriter(streamA, (sequence) => 40 - (sequence % 2) - Math.floor(sequence / 30)), 90, 30)
    const destination = createPostgresDestination({ type: 'postgres', url })
    t.after(() => destination.close())
    assert.deepEqual(await destination.send(batchOf(writer), AbortSignal.timeout(60_000)), { status: 'delivered' })
    const { rows } = await client.query('select distinct tableoid from audit.record')
    assert.ok(rows.length >= 4)
  })
})

for (const partition of ['daily', 'none'] as const) {
  it(`cut ${partition}, only what is past its retention goes, and comes again as nothing new`, async (t) => {
    const database = await agedDatabase(t, partition)
    const client = await connectionFor(t, database.url)
    const writer = aged(new AgedWriter(streamA, (sequence) => (sequence <= 60 ? 92 : 88)), 100, 20)
    await database.deliver(writer)
    const report = await runRetention(client, {
      before: daysAgo(90),
      restateBefore: daysAgo(45),
      batchRows: 25,
      seal: (statement) => database.seal(statement),
      signal: new AbortController().signal,
    })
    assert.deepEqual([report.removed, report.partitions.length], [60, partition === 'none' ? 0 : 1])
    const destination = createPostgresDestination({ type: 'postgres', url: database.url })
    t.after(() => destination.close())
    const signal = AbortSignal.timeout(60_000)
    const all = batchOf(writer)
    // Above and below the size from which COPY is used, across the end of what was removed and within it.
    for (const [from, to] of [
      [0, all.records.length],
      [0, 20],
      [50, 70],
    ] as const) {
      const records = all.records.slice(from, to)
      assert.deepEqual(
        await destination.send({ records, bytes: 1 }, signal),
        { status: 'delivered' },
        `${from} to ${to}`,
      )
    }
    const [held] = await queryOnce(database.url, 'select min(seq) from audit.record where stream = $1', [streamA])
    assert.equal(Number(held?.min), 61)
    const forged = all.records.slice(59, 60).map((record) => ({ ...record, bytes: Buffer.from(`${record.bytes} `) }))
    const refused = await destination.send({ records: forged, bytes: 1 }, signal)
    assert.match(JSON.stringify(refused), /sequence 60: fork, it is held with another hash/)
  })
}

function batchOf(writer: AgedWriter) {
  const records = writer.lines.map((line, at) => {
    return { stream: writer.stream, sequence: at + 1, bytes: Buffer.from(line) }
  })
  return { records, bytes: 1 }
}
