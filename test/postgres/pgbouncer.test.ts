/**
 * Outbox, sequencers, destination and delivery of the journal behind a real PgBouncer in transaction mode, where a
 * connection of ours is another connection of the server in each transaction, and shared with everybody.
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Pool } from 'pg'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { newRecordId } from '../../src/event/record-id.ts'
import { deliveredElsewhere, JournalSource } from '../../src/forward/journal-source.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { pgbouncerAbsent, pgbouncerBinary, startPgbouncer } from '../parts/pgbouncer.ts'
import { connectionFor } from '../support/migrated.ts'
import { databaseFor, queryOnce } from '../support/postgres.ts'
import { makeKeys, TrailWriter } from '../support/trail.ts'

const keys = makeKeys('prod')
const skip = pgbouncerBinary() === undefined && pgbouncerAbsent

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-pgbouncer-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** A migrated database, and the URL that leads to it through a pool of three connections. */
async function pooledDatabase(t: TestContext) {
  const direct = await databaseFor(t)
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-pgbouncer-'))
  const pgbouncer = await startPgbouncer({ dir: folder, url: direct, poolSize: 3 })
  t.after(async () => {
    await pgbouncer[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })
  await migrateUp(await connectionFor(t, pgbouncer.url))
  return { direct, pooled: pgbouncer.url }
}

function sequencingOn(t: TestContext, url: string): Sequencing {
  const seen = new SeenHeadFile(folderFor(t))
  return new Sequencing({ url, signer: keys.signer, service: 'app', admit: (input) => convertEvent(input), seen })
}

/** Business transactions on more connections than the pool has; the ids of those that were committed. */
async function trade(url: string, transactions: number): Promise<Set<string>> {
  const pool = new Pool({ connectionString: url, max: 8 })
  const committed = new Set<string>()
  const one = async (index: number) => {
    const client = await pool.connect()
    const id = newRecordId()
    await client.query('begin')
    await client.query(`select set_config('audit.context', $1, true)`, [JSON.stringify({ tenant: id })])
    await insertEvent(client, { id, event: encodeEnlisted(convertEvent({ action: 'session.create' })) })
    const { rows } = await client.query(`select audit.emit('{"action": "row.update"}') as id`)
    const isKept = index % 4 !== 0
    await client.query(isKept ? 'commit' : 'rollback')
    if (isKept) committed.add(id).add(rows[0]?.id)
    client.release()
  }
  await Promise.all(Array.from({ length: transactions }, (_, index) => one(index)))
  await pool.end()
  return committed
}

describe('behind PgBouncer in transaction mode', { skip }, () => {
  it('what was committed is sealed once by three sequencers, and nothing leaks from one transaction into another', async (t) => {
    const { direct, pooled } = await pooledDatabase(t)
    const stopping = new AbortController()
    const sequencings = [1, 2, 3].map(() => sequencingOn(t, pooled))
    const running = sequencings.map((each) => each.run(stopping.signal))
    const committed = await trade(pooled, 120)
    while ((await queryOnce(direct, 'select from audit.outbox limit 1')).length > 0) await turn()
    stopping.abort()
    await Promise.all(running)
    const rows = await queryOnce(direct, `select record_id, action, tenant from audit.event`)
    assert.deepEqual(new Set(rows.map(({ record_id }) => record_id)), committed)
    assert.equal(rows.length, committed.size)
    const tenants = rows.filter(({ action }) => action === 'row.update').map(({ tenant }) => tenant)
    assert.equal(new Set(tenants).size, committed.size / 2, 'each event has the context of its own transaction')
    const report = await verifySource(createPostgresSource(pooled), { verifiers: [keys.verifier] })
    assert.deepEqual([report.verdict, report.findings, report.streams.length], ['INTACT', [], 1])
    assert.deepEqual(
      sequencings.map(({ state }) => state.condition),
      ['ok', 'ok', 'ok'],
    )
  })

  it('a destination stores each record once, by COPY too, while others compete', async (t) => {
    const { direct, pooled } = await pooledDatabase(t)
    const writer = new TrailWriter('019b7c2f-1111-7000-8000-000000000001', keys).open().act(400).checkpoint().close()
    const records = writer.lines.map((line, index) => {
      return { stream: writer.stream, sequence: index + 1, bytes: Buffer.from(line) }
    })
    const deliver = async (size: number) => {
      const destination = createPostgresDestination({ type: 'postgres', url: pooled })
      for (let at = 0; at < records.length; at += size) {
        const batch = { records: records.slice(at, at + size), bytes: 1 }
        // In order: the database takes no gaps.
        const delivery = await destination.send(batch, AbortSignal.timeout(30_000))
        assert.equal(delivery.status, 'delivered', JSON.stringify(delivery))
      }
      await destination.close()
    }
    await Promise.all([deliver(100), deliver(30)])
    const rows = await queryOnce(direct, 'select count(*)::integer as count from audit.record')
    assert.deepEqual(rows, [{ count: records.length }])
    const report = await verifySource(createPostgresSource(pooled), { verifiers: [keys.verifier] })
    assert.deepEqual([report.verdict, report.findings], ['INTACT', []])
  })

  it('one process delivers the journal to a destination, and another one as soon as that is gone', async (t) => {
    const { direct, pooled } = await pooledDatabase(t)
    await trade(pooled, 4)
    await sequencingOn(t, direct).drain(AbortSignal.timeout(30_000))
    const limit = { records: 3, bytes: 1_000_000 }
    const obstacles: (string | undefined)[] = []
    const sources = [1, 2].map(() => {
      const seen = new SeenHeadFile(folderFor(t))
      return new JournalSource({ url: pooled, name: 'siem', seen, onObstacle: (reason) => void obstacles.push(reason) })
    })
    const [first, second] = sources
    t.after(() => Promise.all(sources.map((source) => source.close())))
    const records = await first?.next(limit)
    assert.equal(records?.length, 3)
    for (let attempt = 0; attempt < 8; attempt += 1) assert.deepEqual(await second?.next(limit), [])
    assert.deepEqual(obstacles, [deliveredElsewhere])
    await first?.close()
    let taken = await second?.next(limit)
    for (let attempt = 0; taken?.length === 0 && attempt < 1_000; attempt += 1) taken = await second?.next(limit)
    assert.deepEqual(taken, records, 'nothing was confirmed')
    assert.deepEqual(obstacles, [deliveredElsewhere, undefined])
  })
})
