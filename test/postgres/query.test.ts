/** Queries on a real server: what is asked for and nothing else, in order, page by page, and the same as of a file. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import type { StoredRecord } from '../../src/event/record.ts'
import type { Connection } from '../../src/postgres/client.ts'
import { type Condition, happened, isEvent, referenceIs, textIs, traceIs } from '../../src/postgres/filter.ts'
import { deriveColumns } from '../../src/postgres/projection.ts'
import {
  indexClosedPartition,
  noteQuery,
  pageStatement,
  type QueryOptions,
  queryRecords,
} from '../../src/postgres/query.ts'
import { appendRecords, encodeRecords, ensurePartition } from '../../src/postgres/records.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { chainOf } from '../support/record-chain.ts'

const day = (number: number) => `2026-11-${String(number).padStart(2, '0')}`
const trace = 'f'.repeat(32)

/** Thirty records, one a day; each third has the trace, each fifth happened ten days before it was sealed. */
function monthOf(stream?: string): StoredRecord[] {
  return chainOf(30, {
    stream,
    members: (sequence) => ({
      recorded: `${day(sequence)}T12:00:00.000000123Z`,
      timestamp: `${day(sequence % 5 === 0 && sequence > 10 ? sequence - 10 : sequence)}T11:00:00.000000000Z`,
      action: ['invoice.delete', 'invoice.read', 'user.login'][sequence % 3],
      actor: { type: sequence % 2 === 0 ? 'user' : 'service', id: `u-${sequence % 4}` },
      target: { resource_type: 'invoice', id: sequence === 7 ? 'a:b' : String(sequence) },
      outcome: sequence % 7 === 0 ? 'denied' : 'success',
      tenant: sequence > 20 ? "o'brien" : 'acme',
      correlation_id: `c-${sequence}`,
      ...(sequence % 3 === 0 ? { trace: { flags: 1, id: trace, span: 'b7ad6b7169203331' } } : {}),
      ...(sequence === 30 ? { event_type: 'audit.checkpoint', action: 'audit.checkpoint' } : {}),
    }),
  })
}

async function filled(t: TestContext, ...chains: StoredRecord[][]): Promise<Connection> {
  const { connection } = await migratedDatabase(t)
  await ensurePartition(connection, '2026-11-01T00:00:00Z')
  for (const chain of chains) await appendRecords(connection, encodeRecords(chain.map(deriveColumns)))
  return connection
}

async function sequencesOf(client: Connection, options: Partial<QueryOptions>): Promise<number[]> {
  const found: number[] = []
  for await (const page of queryRecords(client, { conditions: [], ...options }))
    found.push(...page.map(({ sequence }) => sequence))
  return found
}

describe('a query', () => {
  it('finds what it asks for, and what the same question finds in the records themselves', async (t) => {
    const records = monthOf()
    const client = await filled(t, records)
    const slackMs = 5 * 86_400_000
    const since = `${day(4)}T00:00:00.000000Z`
    const until = `${day(9)}T00:00:00.000000Z`
    const questions: [Condition, number[]][] = [
      [textIs('action', 'user.login'), [2, 5, 8, 11, 14, 17, 20, 23, 26, 29]],
      [textIs('action', 'user.*'), [2, 5, 8, 11, 14, 17, 20, 23, 26, 29]],
      [textIs('action', 'user'), []],
      [referenceIs('actor', 'u-3'), [3, 7, 11, 15, 19, 23, 27]],
      [referenceIs('actor', 'user:u-3'), []],
      [referenceIs('actor', 'service:u-3'), [3, 7, 11, 15, 19, 23, 27]],
      [referenceIs('actor', 'user:'), [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30]],
      [referenceIs('target', 'a:b'), [7]],
      [referenceIs('target', 'invoice:a:b'), [7]],
      [traceIs(trace), [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]],
      [textIs('outcome', 'denied'), [7, 14, 21, 28]],
      [textIs('tenant', "o'brien"), [21, 22, 23, 24, 25, 26, 27, 28, 29, 30]],
      [textIs('correlation_id', 'c-17'), [17]],
      [happened({ since, until, slackMs }), [4, 5, 6, 7, 8]],
      [happened({ since, until, slackMs: 2 * slackMs }), [4, 5, 6, 7, 8, 15]],
      [happened({ since: `${day(28)}T00:00:00.000000Z`, slackMs }), [28, 29]],
      [happened({ until, slackMs }), [1, 2, 3, 4, 5, 6, 7, 8]],
      [isEvent, Array.from({ length: 29 }, (_, index) => index + 1)],
    ]
    for (const [condition, expected] of questions) {
      assert.deepEqual(await sequencesOf(client, { conditions: [condition] }), expected)
      const inRecords = records.filter((record) => condition.matches(deriveColumns(record).columns))
      assert.deepEqual(
        inRecords.map(({ sequence }) => sequence),
        expected,
      )
    }
    const both = [textIs('outcome', 'denied'), textIs('tenant', 'acme')]
    assert.deepEqual(await sequencesOf(client, { conditions: both }), [7, 14])
  })

  it('gives every record once and in order, whatever the page, from either end and from any record on', async (t) => {
    const chains = [monthOf(), monthOf(), monthOf()]
    const client = await filled(t, ...chains)
    const all = chains.flat().sort(bySealing)
    for (const pageRecords of [1, 2, 29, 30, 31, 90, 91]) {
      for (const isNewestFirst of [false, true]) {
        const found: StoredRecord[] = []
        for await (const page of queryRecords(client, { conditions: [], isNewestFirst, pageRecords }))
          found.push(...page)
        assert.deepEqual(found, isNewestFirst ? all.toReversed() : all)
      }
    }
    const middle = all[40]
    assert.ok(middle !== undefined)
    const { stream, sequence } = middle
    const rest = await sequencesOf(client, { after: { stream, sequence }, limit: 7, pageRecords: 3 })
    assert.deepEqual(
      rest,
      all.slice(41, 48).map((record) => record.sequence),
    )
    await assert.rejects(sequencesOf(client, { after: { stream, sequence: 99 } }), { code: 'INVALID_OPTION' })
  })

  it('takes what it is asked for as a value, whatever stands in it', async (t) => {
    const client = await filled(t, monthOf())
    const text = fc.string({ unit: 'grapheme' }).filter((one) => !one.includes('\0'))
    await fc.assert(
      fc.asyncProperty(text, text, async (one, other) => {
        const conditions = [
          textIs('tenant', one),
          referenceIs('actor', other),
          referenceIs('target', `${one}:${other}`),
        ]
        assert.deepEqual(await sequencesOf(client, { conditions }), [])
      }),
      { numRuns: 50 },
    )
  })

  it('with a time leaves out the partitions that cannot hold it, and never sorts the whole of one', async (t) => {
    const client = await filled(t, monthOf())
    for (const month of ['2025-01-01', '2027-08-01']) await ensurePartition(client, `${month}T00:00:00Z`)
    const time = happened({ since: `${day(8)}T00:00:00.000000Z`, until: `${day(20)}T00:00:00.000000Z`, slackMs: 0 })
    const key = { recorded_at: `${day(9)}T00:00:00Z`, stream: '00000000-0000-0000-0000-000000000000', seq: '1' }
    const plan = await planOf(client, pageStatement({ conditions: [time], key, limit: 10 }))
    assert.match(plan, /record_2026_11/)
    assert.doesNotMatch(plan, /record_2025_01|record_2027_08/)
    const whole = await planOf(client, pageStatement({ conditions: [], limit: 10 }))
    assert.match(whole, /Incremental Sort/)
  })
})

describe('indexes for searches', () => {
  it('are built on partitions that are over, one after the other, and on no other', async (t) => {
    const { connection } = await migratedDatabase(t)
    await ensurePartition(connection, '2020-02-10T00:00:00Z')
    await ensurePartition(connection, '2020-01-10T00:00:00Z')
    const built: (string | undefined)[] = []
    for (let count = 0; count < 3; count += 1) built.push(await indexClosedPartition(connection))
    assert.deepEqual(built, ['record_2020_01', 'record_2020_02', undefined])
    const { rows } = await connection.query<{ tablename: string; count: string }>(
      `select tablename, count(*) from pg_indexes where schemaname = 'audit' and indexname ~ '_(actor_id|target_id|action|tenant)_at$'
       group by 1 order by 1`,
    )
    assert.deepEqual(rows, [
      { tablename: 'record_2020_01', count: '4' },
      { tablename: 'record_2020_02', count: '4' },
    ])
  })
})

describe('the view audit.event', () => {
  it('shows what happened in readable columns, without control records, and null where jsonb cannot hold it', async (t) => {
    const records = monthOf()
    const last = records.at(-1)
    const client = await filled(t, records)
    const hostile = chainOf(2, {
      members: () => ({ details: { text: 'a\0b' }, recorded: `${day(2)}T00:00:00.000000000Z` }),
    })
    await appendRecords(client, encodeRecords(hostile.map(deriveColumns)))
    const { rows } = await client.query<{ actor: string; count: string }>(
      `select event -> 'actor' ->> 'id' as actor, count(*) from audit.event
       where tenant = 'acme' and stream = '${last?.stream}' group by 1 order by 1`,
    )
    assert.deepEqual(
      rows.map(({ actor, count }) => [actor, count]),
      [
        ['u-0', '5'],
        ['u-1', '5'],
        ['u-2', '5'],
        ['u-3', '5'],
      ],
    )
    const found = await client.query(`select seq from audit.event where trace_id = '${trace}' and seq > 20 order by 1`)
    assert.deepEqual(
      found.rows.map((row) => (row as { seq: string }).seq),
      ['21', '24', '27'],
    )
    const unfit = await client.query('select count(*) from audit.event where event is null')
    assert.deepEqual(unfit.rows, [{ count: '2' }])
  })
})

describe('that a query was made', () => {
  it('is enlisted in the outbox where a journal is in use, under the name of the session’s user', async (t) => {
    const { connection } = await migratedDatabase(t)
    assert.equal(await noteQuery(connection, { who: 'ann' }), 'absent')
    await connection.query(
      `insert into audit.journal (deployment, stream, system_identifier, timeline_id, signed_size, tree, signed_at, unsigned)
       values ('d', gen_random_uuid(), 1, 1, 0, '{}', now(), 0)`,
    )
    await connection.query(`set audit.context = '{"actor": {"id": "somebody else"}}'`)
    assert.equal(await noteQuery(connection, { who: 'ann', filter: { actor: 'u-1' } }), 'noted')
    const { rows } = await connection.query<{ event: string; admitted: boolean; me: string }>(
      `select convert_from(event, 'UTF8') as event, admitted, session_user as me from audit.outbox`,
    )
    assert.deepEqual(
      rows.map(({ event, admitted, me }) => [JSON.parse(event), admitted, me]),
      [
        [
          {
            action: 'audit.query',
            operation: 'read',
            outcome: 'success',
            actor: { type: 'user', id: rows[0]?.me },
            details: { who: 'ann', filter: { actor: 'u-1' } },
          },
          false,
          rows[0]?.me,
        ],
      ],
    )
    const context = await connection.query(`select current_setting('audit.context') like '%somebody else%' as kept`)
    assert.deepEqual(context.rows, [{ kept: true }])
  })
})

function bySealing(one: StoredRecord, other: StoredRecord): number {
  if (one.sequence !== other.sequence) return one.sequence - other.sequence
  return one.stream < other.stream ? -1 : 1
}

async function planOf(client: Connection, { text, values }: { text: string; values: string[] }): Promise<string> {
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (costs off) ${text}`, values)
  return rows.map((row) => row['QUERY PLAN']).join('\n')
}
