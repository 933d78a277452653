/** Who may do what, on a real server: each role its own and nothing else, and every departure from that is named. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Connection } from '../../src/postgres/client.ts'
import { inspectSchema } from '../../src/postgres/inspect.ts'
import { deriveColumns } from '../../src/postgres/projection.ts'
import { appendRecords, encodeRecords, ensurePartition } from '../../src/postgres/records.ts'
import { makeRoles } from '../../src/postgres/roles.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { chainOf } from '../support/record-chain.ts'

const now = () => ({ recorded: `${new Date().toISOString().slice(0, -1)}000000Z` })

async function withRoles(t: TestContext): Promise<Connection> {
  const { connection } = await migratedDatabase(t)
  await makeRoles(connection)
  await appendRecords(connection, encodeRecords(chainOf(3, { members: now }).map(deriveColumns)))
  return connection
}

/** Runs as a role; the SQLSTATE of the refusal, or `done`. */
async function attempt(client: Connection, role: string, statement: string): Promise<string> {
  await client.query(`begin; set local role ${role}`)
  try {
    await client.query(statement)
    return 'done'
  } catch (thrown) {
    return (thrown as { code: string }).code
  } finally {
    await client.query('rollback')
  }
}

const refused = '42501'
const outboxInsert = `insert into audit.outbox (record_id, admitted, event) values (gen_random_uuid(), true, '{}')`
const enlist = `call audit.enlist(gen_random_uuid(), '{}')`

describe('the roles', () => {
  it('may do what they are for, and nothing else', async (t) => {
    const client = await withRoles(t)
    const emit = `select audit.emit('{"action": "a"}')`
    const allowed: Record<string, readonly string[]> = {
      audit_app: [outboxInsert, enlist, emit],
      audit_relay: [
        'select from audit.record',
        'delete from audit.outbox',
        'select from audit.outbox for update',
        'select from audit.stream_head for update',
        `select audit.ensure_partition('2030-01-01')`,
        emit,
      ],
      audit_reader: ['select from audit.event where event is not null', `select audit.note_query('{}')`],
      audit_maintainer: ['drop table audit.record cascade', 'select audit.index_closed_partition()'],
    }
    const statements = [...new Set(Object.values(allowed).flat())]
    const alone = ['update audit.record set action = null', 'delete from audit.record', 'truncate audit.record cascade']
    for (const [role, own] of Object.entries(allowed)) {
      for (const statement of [...statements, ...alone]) {
        const reads = role === 'audit_reader' && statement === 'select from audit.record'
        const looks = role === 'audit_relay' && statement === 'select from audit.event where event is not null'
        const mayAll = role === 'audit_maintainer' && !alone.includes(statement)
        const expected = own.includes(statement) || reads || mayAll ? 'done' : refused
        assert.equal(await attempt(client, role, statement), looks ? refused : expected, `${role}: ${statement}`)
      }
    }
  })

  it('are made once, however often', async (t) => {
    const client = await withRoles(t)
    await makeRoles(client)
    assert.deepEqual(await inspectSchema(client), [])
  })

  it('lets a relay append records, and make a partition that is missing', async (t) => {
    const client = await withRoles(t)
    await client.query('set role audit_relay')
    await ensurePartition(client, '2031-05-05T00:00:00Z')
    const records = chainOf(2, { members: () => ({ recorded: '2031-05-05T00:00:00.000000000Z' }) })
    const [outcome] = await appendRecords(client, encodeRecords(records.map(deriveColumns)))
    assert.equal(outcome?.inserted, 2)
    await client.query('reset role')
    assert.deepEqual(
      (await inspectSchema(client)).map(({ kind }) => kind),
      [],
    )
  })
})

describe('the guards', () => {
  it('refuse even a superuser that changes, removes or truncates, in a partition and as a replica too', async (t) => {
    const client = await withRoles(t)
    const { rows } = await client.query<{ name: string }>('select tableoid::regclass::text as name from audit.record')
    for (const table of ['audit.record', rows[0]?.name]) {
      for (const statement of [`update ${table} set action = 'x'`, `delete from ${table}`, `truncate ${table}`]) {
        assert.equal(await attempt(client, 'postgres', statement), refused, statement)
        const asReplica = `set local session_replication_role = replica; ${statement}`
        assert.equal(await attempt(client, 'postgres', asReplica), refused, statement)
      }
    }
    for (const statement of ['delete from audit.stream_head', 'truncate audit.stream_head'])
      assert.equal(await attempt(client, 'postgres', statement), refused, statement)
  })

  it('let go what a sealed statement says was pruned, and no record beside it', async (t) => {
    const client = await withRoles(t)
    await client.query(
      `insert into audit.partition (stream, from_seq, to_seq, recorded_from, recorded_to, hash, sealed_at)
       select stream, 1, 2, min(recorded_at), max(recorded_at), '\\x00', now() from audit.record group by stream`,
    )
    assert.equal(await attempt(client, 'audit_maintainer', 'delete from audit.record where seq <= 2'), 'done')
    assert.equal(await attempt(client, 'audit_maintainer', 'delete from audit.record where seq <= 3'), refused)
  })
})

describe('the inspection', () => {
  it('names what departs from what should be, and nothing else', async (t) => {
    const client = await withRoles(t)
    const partition = 'audit.record_2032_02'
    await ensurePartition(client, '2032-02-01T00:00:00Z')
    const departures: [string, string[]][] = [
      ['grant select on audit.outbox to audit_reader', ['grant audit.outbox audit_reader may select']],
      ['revoke insert on audit.outbox from audit_app', ['grant audit.outbox audit_app may nothing']],
      ['grant delete on audit.record to public', ['grant audit.record public may delete']],
      ['grant execute on function audit.emit to public', ['grant audit.emit(jsonb) public may execute']],
      ['alter table audit.journal owner to postgres', ['owner audit.journal postgres']],
      [
        'alter table audit.stream_head disable trigger refuse_delete',
        ['trigger audit.stream_head.refuse_delete disabled'],
      ],
      [`drop trigger refuse_truncate on ${partition}`, [`trigger ${partition}.refuse_truncate missing`]],
      [`alter table ${partition} enable trigger refuse_update`, [`trigger ${partition}.refuse_update enabled as O`]],
      [
        `create or replace function audit.is_pruned(of_stream uuid, of_seq bigint) returns boolean language sql stable
         as 'select true'`,
        ['function audit.is_pruned(uuid,bigint) another text'],
      ],
      ['create table audit.record_rest partition of audit.record default', ['partition audit.record one']],
    ]
    for (const [statement, expected] of departures) {
      await client.query('begin')
      await client.query(statement)
      const found = (await inspectSchema(client)).map(({ kind, object, found }) => `${kind} ${object} ${found}`)
      await client.query('rollback')
      // A new table has the owner and the triggers of who made it: what the statement is about is enough.
      for (const one of expected) assert.ok(found.includes(one), `${statement}: ${found.join('; ')}`)
      if (!statement.startsWith('create table')) assert.deepEqual(found, expected, statement)
    }
    assert.deepEqual(await inspectSchema(client), [])
  })
})
