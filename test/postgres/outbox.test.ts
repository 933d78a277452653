/** `audit.tx(client).emit` on a real server, through the libraries that people use: committed with the change, or not at all. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Client } from 'pg'
import type { AuditOptions } from '../../src/index.ts'
import { createAudit, defineActions } from '../../src/index.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { transacts } from './clients.ts'

function auditFor(t: TestContext, options: AuditOptions = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'otel-audit-outbox-'))
  const audit = createAudit({
    service: 'billing',
    deployment: 'prod',
    spool: { directory },
    policy: { level: 'all' },
    ...options,
  })
  t.after(async () => {
    await audit.close()
    rmSync(directory, { recursive: true })
  })
  return audit
}

const event = { action: 'invoice.delete', operation: 'delete', details: { password: 'hunter2' } } as const
const outbox = `select record_id, admitted, convert_from(event, 'UTF8')::jsonb as event from audit.outbox order by number`

interface Row {
  readonly record_id: string
  readonly admitted: boolean
  readonly event: Record<string, unknown>
}

describe('an event in a transaction', () => {
  for (const [library, transact] of Object.entries(transacts)) {
    it(`of ${library} is committed with the change, and rolled back with it`, async (t) => {
      const { url, connection } = await migratedDatabase(t)
      await connection.query('create table invoice (id integer)')
      const audit = auditFor(t)
      const ids: string[] = []
      const emit = async (isKept: boolean) => {
        await transact(url, async (client, execute) => {
          await execute('insert into invoice values (1)')
          const receipt = await audit.tx(client).emit(event)
          assert.equal(receipt.status, 'enlisted')
          if ('id' in receipt) ids.push(receipt.id)
          if (!isKept) throw new Error('undo')
        })
      }
      await emit(true)
      await assert.rejects(emit(false), /undo/)
      const { rows } = await connection.query<Row>(outbox)
      assert.deepEqual(
        rows.map(({ record_id, admitted }) => [record_id, admitted]),
        [[ids[0], true]],
      )
      assert.equal((await connection.query('select from invoice')).rows.length, 1)
      assert.doesNotMatch(JSON.stringify(rows), /hunter2/)
    })
  }

  it('is judged, redacted and completed before it is inserted', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const actions = defineActions({
      'invoice.delete': { version: 3, description: 'An invoice is deleted.', operation: 'delete' },
    })
    const audit = auditFor(t, { actions, resource: { 'cloud.region': 'eu' } })
    await transacts.pg?.(url, async (client) => {
      await audit.withContext({ correlation_id: 'c-9' }, () => audit.tx(client).emit(event))
    })
    const [row] = (await connection.query<Row>(outbox)).rows
    assert.partialDeepStrictEqual(row?.event, {
      action: 'invoice.delete',
      correlation_id: 'c-9',
      level: 'all',
      resource: { 'cloud.region': 'eu' },
      schema: '3',
      service: 'billing',
    })
    assert.match(String(row?.event.timestamp), /^\d{4}-.*Z$/)
    assert.match(String(row?.event.policy), /^[0-9a-f]{64}$/)
    assert.equal(Array.isArray(row?.event.redactions), true)
  })

  it('that policy does not want is counted and not inserted', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const audit = auditFor(t, { policy: { level: 'deletes_only' } })
    await transacts.pg?.(url, async (client) => {
      const receipt = await audit.tx(client).emit({ action: 'invoice.create', operation: 'create' })
      assert.deepEqual([receipt.status, 'rule' in receipt && receipt.rule], ['suppressed', 'level:deletes_only'])
      await audit.tx(client).emit(event)
    })
    assert.equal((await connection.query<Row>(outbox)).rows.length, 1)
    assert.equal(audit.state.sequence, 1, 'nothing but its opening stands in the spool')
  })

  it('honours savepoints', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const audit = auditFor(t)
    await transacts.pg?.(url, async (client, execute) => {
      await audit.tx(client).emit({ ...event, action: 'kept' })
      await execute('savepoint one')
      await audit.tx(client).emit({ ...event, action: 'undone' })
      await execute('rollback to savepoint one')
      await audit.tx(client).emit({ ...event, action: 'kept.too' })
    })
    const { rows } = await connection.query<Row>(outbox)
    assert.deepEqual(
      rows.map((row) => row.event.action),
      ['kept', 'kept.too'],
    )
  })

  it('travels with the change where the client pipelines, and shares its fate', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await connection.query('create table invoice (id integer primary key)')
    const audit = auditFor(t)
    const client = new Client({ connectionString: url, pipeline: true })
    client.on('error', () => {}) // the database is dropped before it ends
    await client.connect()
    t.after(() => client.end())
    const insert = () => Promise.all([audit.tx(client).emit(event), client.query('insert into invoice values (1)')])
    await client.query('begin')
    const [receipt] = await insert()
    await client.query('commit')
    await client.query('begin')
    await assert.rejects(insert(), { code: '23505' }, 'the event was inserted, the change was refused')
    await client.query('rollback')
    const { rows } = await connection.query<Row>(outbox)
    assert.deepEqual(
      rows.map(({ record_id }) => record_id),
      ['id' in receipt && receipt.id],
    )
  })

  it('rejects when it cannot be inserted, and after close', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const audit = auditFor(t)
    await connection.query('drop table audit.outbox')
    const emitted = transacts.pg?.(url, async (client) => {
      await audit.tx(client).emit(event)
    })
    await assert.rejects(emitted ?? Promise.resolve(), { code: '42P01' })
    for (const none of [undefined, {}]) {
      assert.throws(() => audit.tx(none as never), { code: 'INVALID_OPTION', setting: 'tx(client)' })
    }
    await audit.close()
    await assert.rejects(audit.tx(connection).emit(event), { code: 'CLOSED' })
  })

  it('needs no more than to insert into the outbox, or to execute audit.emit', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const audit = auditFor(t)
    const role = `app_${new URL(url).pathname.slice(-12)}`
    await connection.query(`create role ${role}`)
    await connection.query(`grant usage on schema audit to ${role}; grant insert on audit.outbox to ${role}`)
    await connection.query(`set role ${role}`)
    await audit.tx(connection).emit(event)
    await assert.rejects(connection.query('select audit.emit($1)', ['{"action":"a"}']), { code: '42501' })
    await assert.rejects(connection.query('select * from audit.outbox'), { code: '42501' })
    await connection.query('reset role')
    await connection.query(
      `revoke insert on audit.outbox from ${role}; grant execute on function audit.emit to ${role}`,
    )
    await connection.query(`set role ${role}`)
    await connection.query('select audit.emit($1)', ['{"action":"a"}'])
    await assert.rejects(audit.tx(connection).emit(event), { code: '42501' })
    await connection.query('reset role')
    await connection.query(`drop owned by ${role}; drop role ${role}`)
    assert.equal((await connection.query<Row>(outbox)).rows.length, 2)
  })
})
