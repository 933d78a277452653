/** The PostgreSQL destination on a real server: delivered, retried or refused, and nothing ever overwritten. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import type { Batch, Delivery, Destination } from '../../src/destination/destination.ts'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import { type CopyingConnection, withConnection } from '../../src/postgres/client.ts'
import { copyRecords, prepareCopy } from '../../src/postgres/copy-records.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { deriveColumns } from '../../src/postgres/projection.ts'
import { readRecords } from '../../src/postgres/stored-records.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'
import { databaseFor, queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import { chainOf } from '../support/record-chain.ts'

const never = new AbortController().signal

function batchOf(records: readonly StoredRecord[]): Batch {
  return { records, bytes: records.reduce((sum, { bytes }) => sum + bytes.length, 0) }
}

function destinationFor(t: TestContext, url: string): Destination {
  const destination = createPostgresDestination({ type: 'postgres', url })
  t.after(() => destination.close())
  return destination
}

async function storedIn(url: string): Promise<StoredRecord[]> {
  return withConnection({ url }, async (connection) => {
    const records: StoredRecord[] = []
    for await (const { stream, sequence, bytes } of readRecords(connection)) records.push({ stream, sequence, bytes })
    return records
  })
}

function reasonOf(delivery: Delivery): string {
  assert.notEqual(delivery.status, 'delivered')
  return delivery.status === 'delivered' ? '' : delivery.reason
}

const thisMonth = () => ({ recorded: `${new Date().toISOString().slice(0, -1)}000000Z` })
const delivered: Delivery = { status: 'delivered' }

describe('a PostgreSQL destination', () => {
  it('delivers, and delivering again changes nothing', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(20)
    assert.equal(destination.name, 'postgres')
    assert.deepEqual(await destination.send(batchOf(records.slice(0, 12)), never), delivered)
    assert.deepEqual(await destination.send(batchOf(records.slice(5)), never), delivered)
    assert.deepEqual(await destination.send(batchOf(records), never), delivered)
    assert.deepEqual(await storedIn(url), records)
  })

  for (const way of [2, 80]) {
    it(`puts nothing behind a record that it should hold and does not: ${way} at once`, async (t) => {
      const { url } = await migratedDatabase(t)
      const destination = destinationFor(t, url)
      const records = chainOf(way + 5)
      const [first, rest] = [records.slice(0, 5), records.slice(5)]
      const { stream } = first[0] ?? { stream: '' }
      const place = (sequence: number) => ({ stream, sequence })
      const older = await destination.send({ ...batchOf(rest), after: place(5) }, never)
      assert.equal(older.status === 'rejected' && older.isBehind, true, 'a stream that it lost whole')
      assert.deepEqual(await storedIn(url), [])
      assert.deepEqual(await destination.send(batchOf(first.slice(0, 4)), never), delivered)
      const next = await destination.send({ ...batchOf(chainOf(way)), after: place(5) }, never)
      assert.equal(next.status === 'rejected' && next.isBehind, true, 'the end of the stream before')
      const gap = await destination.send(batchOf(rest), never)
      assert.equal(gap.status === 'rejected' && gap.isBehind, true, 'a hole')
      assert.equal((await storedIn(url)).length, 4)
      assert.deepEqual(await destination.send({ ...batchOf(records), after: place(4) }, never), delivered)
      assert.deepEqual(await storedIn(url), records)
    })
  }

  it('goes on behind a gap that it is told of, with the record that follows and no other', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(9)
    const { stream } = records[0] ?? { stream: '' }
    assert.deepEqual(await destination.send(batchOf(records.slice(0, 4)), never), delivered)
    const gap = { stream, from: 5, to: 6, hash: leafHash(records[5]?.bytes ?? '') }
    assert.equal((await destination.cross?.({ ...gap, from: 6 }, never))?.status, 'retry', 'its head lies elsewhere')
    assert.deepEqual(await destination.cross?.(gap, never), delivered)
    const [other] = chainOf(1, { stream, from: 7, prev: leafHash('another record') })
    assert.ok(other)
    const fork = await destination.send(batchOf([other]), never)
    assert.equal(fork.status === 'rejected' && fork.forked?.index, 0)
    assert.deepEqual(await destination.send(batchOf(records.slice(6)), never), delivered)
    assert.equal((await storedIn(url)).length, 7)
  })

  it('makes the partition of a month that nobody made ahead', async (t) => {
    const { url } = await migratedDatabase(t)
    const months = ['2019-12', '2020-01', '2045-07']
    const records = chainOf(3, {
      members: (sequence) => ({ recorded: `${months[sequence - 1]}-01T00:00:00.000000000Z` }),
    })
    assert.deepEqual(await destinationFor(t, url).send(batchOf(records), never), delivered)
    assert.deepEqual(await storedIn(url), records)
  })

  it('files a record that has no time of its own under its arrival', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const records = chainOf(2, { members: () => ({ recorded: 'no time' }) })
    assert.deepEqual(await destinationFor(t, url).send(batchOf(records), never), delivered)
    const { rows } = await connection.query(
      `select underived, recorded_at > now() - interval '1 hour' as fresh from audit.record`,
    )
    assert.deepEqual(rows, Array(2).fill({ underived: ['recorded_at'], fresh: true }))
  })

  it('refuses a fork, names stream, sequence and both hashes, and still stores the other streams', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const stream = randomUUID()
    const held = chainOf(3, { stream })
    const forked = chainOf(4, { stream, members: () => ({ outcome: 'denied' }) })
    const other = chainOf(2)
    await destination.send(batchOf(held), never)
    const delivery = await destination.send(batchOf([...other, ...forked.slice(1)]), never)
    assert.equal(delivery.status, 'rejected')
    assert.deepEqual(delivery.status === 'rejected' && delivery.indexes, [2, 3, 4])
    const instead = { sequence: 2, hash: leafHash(held[1]?.bytes ?? '') }
    assert.deepEqual(delivery.status === 'rejected' && delivery.forked, { index: 2, held: instead })
    const [expected, found] = [leafHash(held[1]?.bytes ?? ''), leafHash(forked[1]?.bytes ?? '')]
    const place = `stream ${stream}, sequence 2: fork, it is held with another hash`
    assert.equal(reasonOf(delivery), `${place}: expected ${expected}, found ${found}`)
    const stored = await storedIn(url)
    assert.deepEqual(
      stored.filter((record) => record.stream === stream),
      held,
    )
    assert.equal(stored.length, 5)
  })

  it('calls a record forked that does not follow the head, and names the head', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const stream = randomUUID()
    const held = chainOf(3, { stream })
    await destination.send(batchOf(held), never)
    const delivery = await destination.send(batchOf(chainOf(2, { stream, from: 4, prev: 'ab'.repeat(32) })), never)
    const head = { sequence: 3, hash: leafHash(held[2]?.bytes ?? '') }
    assert.deepEqual(delivery.status === 'rejected' && delivery.forked, { index: 0, held: head })
  })

  it('knows the head of each stream, and of others that it holds nothing', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const [one, other] = [chainOf(3), chainOf(2)]
    await destination.send(batchOf([...one, ...other]), never)
    const headOf = async (stream = '') => destination.head?.(stream, never)
    const head = { sequence: 3, hash: leafHash(one[2]?.bytes ?? '') }
    assert.deepEqual(await headOf(one[0]?.stream), { status: 'known', head })
    assert.deepEqual(await headOf(randomUUID()), { status: 'known', head: undefined })
    assert.deepEqual(await headOf('no UUID'), { status: 'known', head: undefined })
  })

  it('cannot say its head, and says why, while there is no schema, no server, or no time', async (t) => {
    const url = await databaseFor(t)
    const asked = await destinationFor(t, url).head?.(randomUUID(), never)
    assert.match(asked?.status === 'retry' ? asked.reason : '', /run `otel-audit migrate up`/)
    const nowhere = await destinationFor(t, 'postgres://u:p@127.0.0.1:1/db').head?.(randomUUID(), never)
    assert.match(nowhere?.status === 'retry' ? nowhere.reason : '', /ECONNREFUSED/)
    const stopped = await destinationFor(t, url).head?.(randomUUID(), AbortSignal.abort())
    assert.equal(stopped?.status, 'retry')
  })

  it('refuses a gap', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(6)
    await destination.send(batchOf(records.slice(0, 2)), never)
    const delivery = await destination.send(batchOf(records.slice(3)), never)
    assert.deepEqual(delivery.status === 'rejected' && delivery.indexes, [0, 1, 2])
    assert.equal(delivery.status === 'rejected' && delivery.forked, undefined, 'it may close')
    assert.match(reasonOf(delivery), /sequence 4: gap, the database holds the stream up to 2 /)
    assert.deepEqual(await storedIn(url), records.slice(0, 2))
  })

  it('refuses a batch whose records do not follow one another, and a stream that is no UUID', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(4)
    const [first, second, third] = records
    assert.ok(first !== undefined && second !== undefined && third !== undefined)
    const changed = { ...second, bytes: Buffer.from(second.bytes.toString().replace('success', 'failure')) }
    assert.match(
      reasonOf(await destination.send(batchOf([first, third]), never)),
      /sequence 1 is followed by 3 in the batch/,
    )
    assert.match(
      reasonOf(await destination.send(batchOf([first, changed, third]), never)),
      /sequence 3 does not follow the record before it in the batch: prev expected [0-9a-f]{64}, found [0-9a-f]{64}/,
    )
    assert.match(reasonOf(await destination.send(batchOf([{ ...first, stream: 'x' }]), never)), /not a UUID/)
    assert.deepEqual(await storedIn(url), [])
  })

  it('waits for the schema and says how it is made', async (t) => {
    const url = await databaseFor(t)
    const destination = destinationFor(t, url)
    const records = chainOf(2)
    const delivery = await destination.send(batchOf(records), never)
    assert.equal(delivery.status, 'retry')
    assert.match(reasonOf(delivery), /run `otel-audit migrate up`/)
    await migrateUp(await connectionFor(t, url))
    assert.deepEqual(await destination.send(batchOf(records), never), delivered)
  })

  it('commits to disk although the database’s default does not', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const name = new URL(url).pathname.slice(1)
    await connection.query(`alter database ${name} set synchronous_commit = off`)
    await connection.query(
      `create function audit.note_commit() returns trigger language plpgsql as
       $$ begin new.service := current_setting('synchronous_commit'); return new; end $$`,
    )
    await connection.query(
      'create trigger note before insert on audit.record for each row execute function audit.note_commit()',
    )
    assert.deepEqual(await destinationFor(t, url).send(batchOf(chainOf(1)), never), delivered)
    const { rows } = await connection.query('select service from audit.record')
    assert.deepEqual(rows, [{ service: 'on' }])
  })

  it('retries for as long as the database is read-only', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const name = new URL(url).pathname.slice(1)
    const destination = destinationFor(t, url)
    const records = chainOf(2)
    await connection.query(`alter database ${name} set default_transaction_read_only = on`)
    const delivery = await destination.send(batchOf(records), never)
    assert.equal(delivery.status, 'retry')
    assert.match(reasonOf(delivery), /read-only/)
    await connection.query(`alter database ${name} set default_transaction_read_only = off`)
    assert.deepEqual(await destination.send(batchOf(records), never), delivered)
  })

  it('survives the end of its connection between two batches', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(4)
    await destination.send(batchOf(records.slice(0, 2)), never)
    await connection.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`)
    let delivery = await destination.send(batchOf(records.slice(2)), never)
    if (delivery.status === 'retry') delivery = await destination.send(batchOf(records.slice(2)), never)
    assert.deepEqual(delivery, delivered)
    assert.deepEqual(await storedIn(url), records)
  })

  // The wait for the lock alone would last longer than the test may.
  it('stops at once when told to, while another transaction holds the head', { timeout: 8_000 }, async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(4)
    await destination.send(batchOf(records.slice(0, 2)), never)
    await connection.query('begin; select from audit.stream_head for update')
    const stop = new AbortController()
    const sending = destination.send(batchOf(records.slice(2)), stop.signal)
    await waiterOf(connection)
    stop.abort()
    assert.deepEqual(await sending, { status: 'retry', reason: 'stopped while sending' })
    assert.equal((await destination.send(batchOf(records.slice(2)), stop.signal)).status, 'retry')
    await connection.query('rollback')
    assert.deepEqual(await destination.send(batchOf(records), never), delivered)
    assert.deepEqual(await storedIn(url), records)
  })

  it('closes at once while sending', { timeout: 8_000 }, async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(4)
    await destination.send(batchOf(records.slice(0, 2)), never)
    await connection.query('begin; select from audit.stream_head for update')
    const sending = destination.send(batchOf(records.slice(2)), never)
    await waiterOf(connection)
    await destination.close()
    assert.equal((await sending).status, 'retry')
    await connection.query('rollback')
  })

  it('is refused at construction when the URL is none', () => {
    for (const url of ['', 'http://localhost/db', 'localhost:5432', 'postgres://u:p@h:99999999/db']) {
      assert.throws(() => createPostgresDestination({ type: 'postgres', url }), {
        code: 'INVALID_OPTION',
        message: /not a PostgreSQL URL/,
      })
    }
  })
})

describe('a large batch', () => {
  const large = 200

  it('is delivered once, however often, over the border of a month that has no partition', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(large, {
      members: (sequence) => ({ recorded: `2044-0${sequence <= 90 ? 1 : 2}-10T00:00:00.000000000Z` }),
    })
    assert.deepEqual(await destination.send(batchOf(records.slice(0, 150)), never), delivered)
    assert.deepEqual(await destination.send(batchOf(records.slice(20)), never), delivered)
    assert.deepEqual(await destination.send(batchOf(records), never), delivered)
    assert.deepEqual(await storedIn(url), records)
  })

  it('is refused from the fork on, and what is held stays', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const stream = randomUUID()
    const held = chainOf(large, { stream })
    const forked = chainOf(large, { stream, members: () => ({ outcome: 'denied' }) })
    assert.deepEqual(await destination.send(batchOf(held), never), delivered)
    const delivery = await destination.send(batchOf(forked), never)
    assert.deepEqual(delivery.status === 'rejected' && delivery.forked?.index, 0)
    assert.deepEqual(await storedIn(url), held)
  })

  it('commits to disk although the database’s default does not', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await connection.query(`alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`)
    await connection.query(
      `create function audit.note_commit() returns trigger language plpgsql as
       $$ begin new.service := current_setting('synchronous_commit'); return new; end $$`,
    )
    await connection.query(
      'create trigger note before insert on audit.record for each row execute function audit.note_commit()',
    )
    assert.deepEqual(await destinationFor(t, url).send(batchOf(chainOf(large)), never), delivered)
    const { rows } = await connection.query('select distinct service from audit.record')
    assert.deepEqual(rows, [{ service: 'on' }])
  })

  it('is made ready while another is on its way, and goes only if that has arrived', async (t) => {
    const { url } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    assert.equal(destination.sendingsMax, 2)
    const records = chainOf(3 * large, { members: thisMonth })
    const [first, second, third] = [0, 1, 2].map((at) => records.slice(at * large, (at + 1) * large))
    const send = (batch: readonly StoredRecord[] = []) => destination.send(batchOf(batch), never)
    assert.deepEqual(await Promise.all([send(first), send(second)]), [delivered, delivered])
    assert.deepEqual(await storedIn(url), records.slice(0, 2 * large))
    const [forged, behind] = await Promise.all([
      send(chainOf(large, { stream: records[0]?.stream, from: 2 * large, members: thisMonth })),
      send(third),
    ])
    assert.equal(forged.status, 'rejected')
    assert.equal(reasonOf(behind), 'the batch before it did not arrive')
    assert.deepEqual(await storedIn(url), records.slice(0, 2 * large))
    assert.deepEqual(await send(third), delivered)
    assert.deepEqual(await storedIn(url), records)
  })

  const obstacles: readonly { what: string; reason: RegExp; on: string; off: string }[] = [
    {
      what: 'a statement timeout that nothing can keep',
      reason: /statement timeout/,
      on: "alter database DB set statement_timeout = '1ms'",
      off: 'alter database DB reset statement_timeout',
    },
    {
      what: 'a read-only database',
      reason: /read-only/,
      on: 'alter database DB set default_transaction_read_only = on',
      off: 'alter database DB reset default_transaction_read_only',
    },
    {
      what: 'a server that has no connection left',
      reason: /too many connections/,
      on: 'alter role ROLE connection limit 0',
      off: 'alter role ROLE connection limit -1',
    },
    {
      what: 'a database that lets nobody in',
      reason: /not currently accepting connections/,
      on: 'alter database DB allow_connections false',
      off: 'alter database DB allow_connections true',
    },
  ]
  for (const { what, reason, on, off } of obstacles) {
    it(`is retried for as long as there is ${what}`, async (t) => {
      const { url, connection } = await migratedDatabase(t)
      const role = `app_${randomUUID().slice(0, 8)}`
      await connection.query(`create role ${role} login password 'p'`)
      const elsewhere = new URL('/postgres', url).href
      t.after(() => queryOnce(elsewhere, `drop role ${role}`)) // the database is gone by then
      await connection.query(
        `grant usage on schema audit to ${role}; grant all on all tables in schema audit to ${role}`,
      )
      const own = new URL(url)
      own.username = role
      own.password = 'p'
      const [toggleOn, toggleOff] = [on, off].map((one) =>
        one.replace('DB', new URL(url).pathname.slice(1)).replace('ROLE', role),
      )
      const destination = destinationFor(t, own.href)
      const records = chainOf(large)
      await queryOnce(elsewhere, toggleOn ?? '')
      const delivery = await destination.send(batchOf(records), never)
      assert.equal(delivery.status, 'retry')
      assert.match(reasonOf(delivery), reason)
      await queryOnce(elsewhere, toggleOff ?? '')
      assert.deepEqual(await destination.send(batchOf(records), never), delivered)
      assert.deepEqual(await storedIn(url), records)
    })
  }

  it('is whole or not there when its session is ended in the middle, and is delivered after that', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const destination = destinationFor(t, url)
    const records = chainOf(large)
    // Held up at its hundredth row: half of the batch is in the table, and not committed.
    await connection.query(
      `create function audit.hold_up() returns trigger language plpgsql as
       $$ begin perform pg_advisory_xact_lock(7); return new; end $$`,
    )
    await connection.query(
      'create trigger hold_up before insert on audit.record for each row when (new.seq = 100) execute function audit.hold_up()',
    )
    await connection.query('select pg_advisory_lock(7)')
    const cut = destination.send(batchOf(records), never)
    await waiterOf(connection)
    await connection.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`)
    const delivery = await cut
    assert.equal(delivery.status, 'retry')
    assert.match(reasonOf(delivery), /terminating connection/)
    assert.deepEqual(await storedIn(url), [])
    await connection.query('select pg_advisory_unlock(7)')
    assert.deepEqual(await destination.send(batchOf(records), never), delivered)
    assert.deepEqual(await storedIn(url), records)
  })

  it('does not hold the head for ever when its writer hangs in the middle', async (t) => {
    const { connection } = await migratedDatabase(t)
    const noted: unknown[] = []
    const spying: CopyingConnection = {
      ...connection,
      copyIn: async (text, input) => {
        noted.push(...(await connection.query('show idle_in_transaction_session_timeout')).rows)
        return connection.copyIn(text, input)
      },
    }
    await copyRecords(spying, prepareCopy(chainOf(large, { members: thisMonth }).map(deriveColumns)))
    assert.deepEqual(noted, [{ idle_in_transaction_session_timeout: '30s' }])
  })
})

/** Resolves when another connection waits for a lock in this database. */
async function waiterOf(connection: Awaited<ReturnType<typeof connectionFor>>): Promise<void> {
  const waiting = `select count(*)::int as waiting from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`
  for (;;) {
    // One look after the other, until it is there.
    const { rows } = await connection.query<{ waiting: number }>(waiting)
    if (rows[0]?.waiting !== 0) return
  }
}

describe('a server that goes away', () => {
  it('is retried while it is down and delivered to when it is back, each record once', async (t) => {
    const server = await startEmbeddedPostgres()
    t.after(() => server.stop())
    await withConnection({ url: server.url }, (connection) => migrateUp(connection))
    const destination = destinationFor(t, server.url)
    const records = chainOf(30)
    assert.deepEqual(await destination.send(batchOf(records.slice(0, 10)), never), delivered)
    const holder = await connectionFor(t, server.url)
    await holder.query('begin; select from audit.stream_head for update')
    const cut = destination.send(batchOf(records.slice(10, 20)), never)
    await waiterOf(await connectionFor(t, server.url))
    await server.crash()
    assert.equal((await cut).status, 'retry')
    assert.match(reasonOf(await destination.send(batchOf(records.slice(10, 20)), never)), /ECONNREFUSED/)
    await server.start()
    assert.deepEqual(await destination.send(batchOf(records.slice(10, 20)), never), delivered)
    assert.deepEqual(await destination.send(batchOf(records.slice(10)), never), delivered)
    assert.deepEqual(await storedIn(server.url), records)
  })

  it('keeps what it confirmed when it crashes right afterwards', async (t) => {
    const server = await startEmbeddedPostgres()
    t.after(() => server.stop())
    await withConnection({ url: server.url }, (connection) => migrateUp(connection))
    const destination = destinationFor(t, server.url)
    const records = chainOf(50)
    for (let from = 0; from < 50; from += 10) {
      // In order: each batch follows the one before.
      assert.deepEqual(await destination.send(batchOf(records.slice(from, from + 10)), never), delivered)
    }
    await server.crash()
    await server.start()
    assert.deepEqual(await storedIn(server.url), records)
  })

  it('is given up on, for this time, when it accepts and then swallows everything', async (t) => {
    const sockets: Socket[] = []
    const hole = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
    await once(hole, 'listening')
    t.after(() => {
      for (const socket of sockets) socket.destroy()
      hole.close()
    })
    const address = hole.address()
    assert.ok(typeof address === 'object' && address !== null)
    const url = `postgres://u:p@127.0.0.1:${address.port}/db`
    const impatient = createPostgresDestination({ type: 'postgres', url }, { connectMsMax: 50 })
    assert.equal((await impatient.send(batchOf(chainOf(1)), never)).status, 'retry')
    const connected = once(hole, 'connection')
    const stop = new AbortController()
    const sending = destinationFor(t, url).send(batchOf(chainOf(1)), stop.signal)
    await connected
    stop.abort()
    assert.deepEqual(await sending, { status: 'retry', reason: 'stopped while sending' })
  })

  it('is given up on, for this time, when it swallows a query', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const records = chainOf(4)
    assert.deepEqual(await destinationFor(t, url).send(batchOf(records.slice(0, 2)), never), delivered)
    await connection.query('begin; select from audit.stream_head for update')
    const impatient = createPostgresDestination({ type: 'postgres', url }, { queryMsMax: 50 })
    t.after(() => impatient.close())
    assert.match(reasonOf(await impatient.send(batchOf(records.slice(2)), never)), /timeout/)
    await connection.query('rollback')
    assert.deepEqual(await destinationFor(t, url).send(batchOf(records), never), delivered)
  })
})
