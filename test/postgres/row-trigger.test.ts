/** The triggers of `otel-audit trigger` on a real server: each change of a row is an event of its transaction, whatever is in it. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Connection } from '../../src/postgres/client.ts'
import {
  dropTriggerScript,
  formatTableName,
  parseTableName,
  type RowTrigger,
  readTableShape,
  rowTriggerScript,
} from '../../src/postgres/row-trigger.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'

interface Emitted {
  readonly action: string
  readonly operation: string
  readonly actor: unknown
  readonly tenant?: string
  readonly target: unknown
  readonly changes?: Record<string, unknown>
  readonly details: Record<string, unknown>
  readonly correlation_id: string
}

async function emitted(client: Connection): Promise<Emitted[]> {
  const { rows } = await client.query<{ event: Emitted }>(
    `select convert_from(event, 'UTF8')::jsonb as event from audit.outbox order by number`,
  )
  return rows.map(({ event }) => event)
}

const choice = { schema: 'public', table: 'invoice', key: ['id'], exclude: [], mask: [], action: 'row' }

/** A table with triggers; `definition` is what stands between its parentheses. */
async function tableWith(t: TestContext, definition: string, chosen: Partial<RowTrigger> = {}) {
  const { url, connection } = await migratedDatabase(t)
  const trigger = { ...choice, ...chosen }
  await connection.query(`create schema if not exists ${quoted(trigger.schema)}`)
  await connection.query(`create table ${quoted(trigger.schema)}.${quoted(trigger.table)} (${definition})`)
  await connection.query(rowTriggerScript(trigger))
  return { url, connection }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

describe('the trigger of a table', () => {
  it('records each insert, update and delete with what changed, and a truncate', async (t) => {
    const { connection } = await tableWith(t, 'id integer primary key, amount numeric, note text')
    await connection.query('insert into invoice values (42, 12.50, null)')
    await connection.query(`update invoice set amount = 13, note = 'paid'`)
    await connection.query('delete from invoice')
    await connection.query('truncate invoice')
    const events = await emitted(connection)
    assert.deepEqual(
      events.map(({ action, operation, target, changes }) => ({ action, operation, target, changes })),
      [
        {
          action: 'row.insert',
          operation: 'create',
          target: { resource_type: 'public.invoice', id: '42' },
          changes: { id: { to: 42 }, amount: { to: 12.5 }, note: { to: null } },
        },
        {
          action: 'row.update',
          operation: 'update',
          target: { resource_type: 'public.invoice', id: '42' },
          changes: { amount: { from: 12.5, to: 13 }, note: { from: null, to: 'paid' } },
        },
        {
          action: 'row.delete',
          operation: 'delete',
          target: { resource_type: 'public.invoice', id: '42' },
          changes: { id: { from: 42 }, amount: { from: 13 }, note: { from: 'paid' } },
        },
        {
          action: 'row.truncate',
          operation: 'delete',
          target: { resource_type: 'public.invoice' },
          changes: undefined,
        },
      ],
    )
    assert.deepEqual(events[0]?.actor, { type: 'unknown', id: 'postgres' })
  })

  it('takes who did it from the context of the transaction, and joins what one transaction did', async (t) => {
    const { connection } = await tableWith(t, 'id integer primary key')
    const context = {
      actor: { type: 'user', id: "u-1'; drop table invoice; --" },
      tenant: 'acme',
      details: { why: 'x' },
    }
    await connection.query('begin')
    await connection.query(`select set_config('audit.context', $1, true)`, [JSON.stringify(context)])
    await connection.query('insert into invoice values (1), (2)')
    await connection.query('commit')
    await connection.query('insert into invoice values (3)')
    const [one, two, other] = await emitted(connection)
    assert.deepEqual([one?.actor, one?.tenant, one?.details.why], [context.actor, 'acme', 'x'])
    assert.equal(typeof one?.details.transaction, 'string')
    assert.equal(one?.correlation_id, two?.correlation_id)
    assert.notEqual(other?.correlation_id, two?.correlation_id)
    assert.equal(other?.tenant, undefined)
    await connection.query('begin')
    await connection.query(`select set_config('audit.context', '{"correlation_id": "c-1"}', true)`)
    await connection.query('delete from invoice where id = 3')
    await connection.query('commit')
    assert.equal((await emitted(connection)).at(-1)?.correlation_id, 'c-1')
  })

  it('refuses the change when the context is no JSON object, and says what it should be', async (t) => {
    const { connection } = await tableWith(t, 'id integer primary key')
    for (const context of ['{', '[1]', '"text"', '7']) {
      await connection.query('begin')
      await connection.query(`select set_config('audit.context', $1, true)`, [context])
      await assert.rejects(connection.query('insert into invoice values (1)'), {
        code: '22023',
        message: /audit\.context holds no JSON object/,
      })
      await connection.query('rollback')
    }
    assert.deepEqual(await emitted(connection), [])
  })

  it('leaves nothing of what was rolled back, to a savepoint or whole', async (t) => {
    const { connection } = await tableWith(t, 'id integer primary key')
    await connection.query('begin; insert into invoice values (1); savepoint one; insert into invoice values (2)')
    await connection.query('rollback to savepoint one; insert into invoice values (3); commit')
    await connection.query('begin; insert into invoice values (4); rollback')
    assert.deepEqual(
      (await emitted(connection)).map(({ changes }) => changes?.id),
      [{ to: 1 }, { to: 3 }],
    )
  })

  it('records one event for each row of an update of 10,000', async (t) => {
    const { connection } = await tableWith(t, 'id integer primary key, amount integer')
    await connection.query('alter table invoice disable trigger user')
    await connection.query('insert into invoice select n, n from generate_series(1, 10000) as n')
    await connection.query('alter table invoice enable trigger user')
    await connection.query('update invoice set amount = amount + 1')
    const { rows } = await connection.query<{ events: string; ids: string }>(
      `select count(*) as events, count(distinct convert_from(event, 'UTF8')::jsonb -> 'target' ->> 'id') as ids
       from audit.outbox`,
    )
    assert.deepEqual(rows, [{ events: '10000', ids: '10000' }])
  })

  it('records nothing of an excluded column, and of a masked one only that it changed', async (t) => {
    const chosen = { exclude: ['seen'], mask: ['password'] }
    const { connection } = await tableWith(t, 'id integer primary key, seen text, password text', chosen)
    await connection.query(`insert into invoice values (1, 'now', 'hunter2')`)
    await connection.query(`update invoice set seen = 'later'`)
    await connection.query(`update invoice set seen = 'at last', password = 'hunter3'`)
    await connection.query('delete from invoice')
    const events = await emitted(connection)
    assert.deepEqual(
      events.map(({ changes }) => changes),
      [
        { id: { to: 1 }, password: { to: '[REDACTED]' } },
        { password: { from: '[REDACTED]', to: '[REDACTED]' } },
        { id: { from: 1 }, password: { from: '[REDACTED]' } },
      ],
    )
    assert.doesNotMatch(JSON.stringify(events), /hunter|later/)
  })

  it('never refuses a row for what it holds', async (t) => {
    const { connection } = await tableWith(t, 'id text, odd json, big numeric, moment timestamptz, bytes bytea')
    await connection.query(
      `insert into invoice values ('1', '{"a": "\\u0000"}', 1e400, 'infinity', '\\xdeadbeef'),
         ('2', '{}', 9007199254740993, 'infinity', null), ('3', '{}', 'NaN', null, null), ('4', '{"a": 1, "a": 2}', 1, null, null)`,
    )
    await connection.query(`insert into invoice (id, odd) values ('5', to_json(repeat('x', 2000000)))`)
    const events = await emitted(connection)
    assert.equal(events.length, 5)
    assert.deepEqual([events[0]?.changes, events[0]?.details.unreadable_row], [undefined, true])
    assert.deepEqual(events[1]?.changes?.big, { to: '9007199254740993' })
    assert.deepEqual(events[2]?.changes?.big, { to: 'NaN' })
    assert.equal(events[4]?.details.trimmed, true)
    assert.deepEqual(events[4]?.target, { resource_type: 'public.invoice', id: '5' })
  })

  it('serves tables and columns of any name', async (t) => {
    const hostile = { schema: `we"ird.$$'`, table: `Order"; drop table audit.outbox; --` }
    const column = `col'"\\ $1 %s {{`
    const chosen = { ...hostile, key: [column, 'b'], mask: [`m'"`] }
    const definition = `${quoted(column)} integer, b text, ${quoted(`m'"`)} text, primary key (${quoted(column)}, b)`
    const { connection } = await tableWith(t, definition, chosen)
    assert.deepEqual(await readTableShape(connection, hostile), { columns: [column, 'b', `m'"`], key: [column, 'b'] })
    await connection.query(`insert into ${quoted(hostile.schema)}.${quoted(hostile.table)} values (1, 'x,"', 'secret')`)
    const [event] = await emitted(connection)
    assert.deepEqual(event?.target, { resource_type: formatTableName(hostile), id: '["1", "x,\\""]' })
    assert.deepEqual(event?.changes, { [column]: { to: 1 }, b: { to: 'x,"' }, 'm\'"': { to: '[REDACTED]' } })
    assert.deepEqual(parseTableName(formatTableName(hostile)), hostile)
    await connection.query(dropTriggerScript(hostile))
    await connection.query(`truncate ${quoted(hostile.schema)}.${quoted(hostile.table)}`)
    assert.equal((await emitted(connection)).length, 1)
  })

  it('needs no more of who changes a row than to execute audit.emit, and trusts no search path', async (t) => {
    const { url, connection } = await tableWith(t, 'id integer primary key')
    const role = `clerk_${new URL(url).pathname.slice(-12)}`
    const other = await connectionFor(t, url)
    await connection.query(
      `create role ${role}; grant insert on invoice to ${role}; grant usage on schema audit to ${role}`,
    )
    await other.query(`set role ${role}`)
    await assert.rejects(other.query('insert into invoice values (1)'), { code: '42501' })
    await connection.query(`grant execute on function audit.emit to ${role}`)
    await connection.query(`create schema evil; create function evil.lower(text) returns text language sql
      as $$ select 'forged' $$; grant usage on schema evil to public`)
    await other.query('set search_path = evil, pg_catalog')
    await other.query('insert into public.invoice values (1)')
    assert.deepEqual(
      (await emitted(connection)).map(({ action }) => action),
      ['row.insert'],
    )
    await other.query('reset role')
    await connection.query(`drop owned by ${role}; drop role ${role}`)
  })

  it('is replaced by another choice, and covers the partitions of a table under its name', async (t) => {
    const { connection } = await migratedDatabase(t)
    await connection.query('create table invoice (id integer, note text) partition by range (id)')
    await connection.query('create table invoice_1 partition of invoice for values from (0) to (100)')
    await connection.query(rowTriggerScript(choice))
    await connection.query(rowTriggerScript({ ...choice, exclude: ['note'], action: 'invoice' }))
    await connection.query(`insert into invoice values (1, 'x')`)
    const events = await emitted(connection)
    assert.deepEqual(
      events.map(({ action, target, changes }) => [action, target, changes]),
      [['invoice.insert', { resource_type: 'public.invoice', id: '1' }, { id: { to: 1 } }]],
    )
  })
})

describe('the name of a table', () => {
  const names: readonly (readonly [text: string, name: ReturnType<typeof parseTableName>])[] = [
    ['Invoice', { schema: 'public', table: 'invoice' }],
    ['sales.invoice', { schema: 'sales', table: 'invoice' }],
    ['"Sales"."a.b"', { schema: 'Sales', table: 'a.b' }],
    ['x."a""b"', { schema: 'x', table: 'a"b' }],
    ['größe', { schema: 'public', table: 'größe' }],
    ['', undefined],
    ['a.b.c', undefined],
    ['a b', undefined],
    ['a; drop table b', undefined],
    ['"a', undefined],
    ['""', undefined],
    ['1a', undefined],
    [`"a\0"`, undefined],
    ['a'.repeat(64), undefined],
  ]
  for (const [text, name] of names) {
    it(`${JSON.stringify(text.slice(0, 20))} is ${name === undefined ? 'none' : JSON.stringify(name)}`, () => {
      assert.deepEqual(parseTableName(text), name)
    })
  }
})
