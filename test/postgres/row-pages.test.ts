/** Rows by COPY against rows by text: the same records, and the same said of their columns, whatever was done to them. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import { canonicalize, type JsonValue } from '../../src/event/canonical.ts'
import { parseRecord, type StoredRecord } from '../../src/event/record.ts'
import type { CopyingConnection } from '../../src/postgres/client.ts'
import { compareColumns, deriveColumns, type ProjectedRecord } from '../../src/postgres/projection.ts'
import { appendRecords, encodeRecords, ensurePartition } from '../../src/postgres/records.ts'
import { type CopiedRow, readRowPages } from '../../src/postgres/row-pages.ts'
import { readRecords } from '../../src/postgres/stored-records.ts'
import { migratedDatabase, unguard } from '../support/migrated.ts'
import { recordBytes } from '../support/record-chain.ts'

const recorded = '2026-11-22T10:00:00.123456789Z'
const strange = [
  {},
  { action: 'invoice.delete', operation: 'delete', actor: { type: 'user', id: 'u-1' }, outcome: 'success' },
  { action: 'é\u{1f600}', tenant: 'x'.repeat(512), session: 'x'.repeat(513), level: '' },
  { actor: { id: 'a"b', type: '\\' }, target: { id: 7, resource_type: null }, service: 'a\u007fb' },
  { actor: 'u-1', target: [], error: { class: 'timeout', code: 1.5 }, trace: { id: 'ab'.repeat(16), span: '12' } },
  { trace: { id: '019B7C2F-1111-7000-8000-000000000001' }, id: 'no uuid', timestamp: '2026-02-30T00:00:00.000000000Z' },
  { id: '019b7c2f-1111-7000-8000-000000000001', timestamp: '1999-12-31T23:59:59.999999999Z', correlation_id: '\0' },
  { timestamp: '9999-12-31T23:59:59.999999999Z', id: 'ab'.repeat(16), error: { class: '\ud800' } },
]

/** What is done to rows, one after the other. */
const changes = [
  'action = action',
  `action = 'other'`,
  'action = null',
  'action = reverse(action)',
  `actor_id = coalesce(actor_id, '') || 'x'`,
  'tenant = left(tenant, -1)',
  `session = repeat('x', 513), underived = null`,
  `hash = set_byte(hash, 31, get_byte(hash, 31) # 1)`,
  `hash = '\\x'`,
  'prev_hash = null',
  'prev_hash = hash',
  `record_id = '019b7c2f-1111-7000-8000-000000000002'`,
  `record_id = (overlay(record_id::text placing '0' from 9 for 1) || '0')::uuid`,
  `trace_id = coalesce(trace_id, '00000000-0000-0000-0000-000000000000')`,
  `trace_id = '0af7651916cd43dd8448eb211c80319d'`,
  `occurred_at = occurred_at + interval '1 microsecond'`,
  `occurred_at = '2026-11-22T10:00:00Z'`,
  `recorded_at = recorded_at + interval '1 microsecond'`,
  `underived = '{action}'`,
  `underived = '{}'`,
  'underived = null',
  'seq = seq + 1000',
  'seq = -seq',
  `stream = '019b7c2f-1111-7000-8000-0000000000ff'`,
  `record = convert_to('no record', 'UTF8')`,
  'record = set_byte(record, 20, get_byte(record, 20) # 1)',
  `record = convert_to(replace(convert_from(record, 'UTF8'), '"seq":', '"seq": '), 'UTF8')`,
]

const streams = ['019b7c2f-1111-7000-8000-000000000001', '019b7c2f-1111-7000-8000-000000000002']

/** A chain of canonical records, each with something unusual. */
function chainOf(stream: string): StoredRecord[] {
  let prev: string | undefined
  return Array.from({ length: 20 }, (_, index) => {
    const members = { stream, seq: index + 1, prev, recorded, ...strange[index % strange.length] }
    const parsed = JSON.parse(recordBytes(members).toString('utf8').toWellFormed()) as JsonValue
    const bytes = Buffer.from(index === 7 ? JSON.stringify(parsed) : canonicalize(wellFormed(parsed)))
    prev = leafHash(bytes)
    return { stream, sequence: index + 1, bytes }
  })
}

/** Canonical JSON has no half of a pair. */
function wellFormed(value: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(value).replaceAll('\\ud800', '\\ufffd')) as JsonValue
}

async function readPages(client: CopyingConnection, pageNumbers?: number): Promise<[string, CopiedRow][]> {
  const rows: [string, CopiedRow][] = []
  for await (const page of readRowPages(client, { pageNumbers }))
    rows.push(...page.rows.map((row): [string, CopiedRow] => [page.stream, row]))
  return rows
}

async function readTexts(client: CopyingConnection): Promise<ProjectedRecord[]> {
  const rows: ProjectedRecord[] = []
  for await (const row of readRecords(client)) rows.push(row)
  return rows
}

it('says of every row what the texts of its columns say, changed or not, on pages of any size', async (t) => {
  const { connection } = await migratedDatabase(t)
  await ensurePartition(connection, recorded)
  for (const stream of streams) await appendRecords(connection, encodeRecords(chainOf(stream).map(deriveColumns)))
  await connection.query(unguard)
  let agreed = 0
  for (const [index, set] of changes.entries()) {
    await connection.query('begin')
    // A column that cannot take the change is left as it is.
    await connection.query('savepoint before')
    await connection
      .query(`update audit.record set ${set} where stream = $1`, [streams[0]])
      .catch(() => connection.query('rollback to before'))
    const pages = await readPages(connection, [3, 20, 1_000][index % 3])
    const texts = await readTexts(connection)
    await connection.query('rollback')
    assert.deepEqual(pages.map(shownPage), texts.map(shownText), set)
    agreed += pages.filter(([, { stored }]) => stored === undefined).length
  }
  assert.ok(agreed > 150, `only ${agreed} rows were compared as bytes`)
})

function shownPage([stream, { bytes, sequence, leaf, stored }]: [string, CopiedRow]): unknown {
  assert.equal(Buffer.from(leaf).toString('hex'), leafHash(bytes))
  const shown = [stream, sequence, leafHash(bytes)]
  if (stored !== undefined) return [...shown, compareColumns(stored)]
  const members = parseRecord(bytes)
  assert.deepEqual([members?.stream, members?.seq], [stream, sequence])
  return [...shown, []]
}

function shownText(row: ProjectedRecord): unknown {
  return [row.stream, row.sequence, leafHash(row.bytes), compareColumns(row)]
}

it('gives what a forger doubled, moved far away or filed under another stream', async (t) => {
  const { connection } = await migratedDatabase(t)
  await ensurePartition(connection, recorded)
  const [stream = '', other] = streams
  await appendRecords(connection, encodeRecords(chainOf(stream).map(deriveColumns)))
  await connection.query(unguard)
  await connection.query(
    `insert into audit.record (record, stream, seq, hash, recorded_at)
     select record, stream, seq, hash, recorded_at + n * interval '1 hour' from audit.record, generate_series(1, 5) n where seq = 2`,
  )
  await connection.query('update audit.record set seq = 2::bigint ^ 62 where seq = 20')
  await connection.query('update audit.record set stream = $1 where seq = 19', [other])
  const expected = [1, 2, 2, 2, 2, 2, 2, ...Array.from({ length: 16 }, (_, index) => index + 3), 2 ** 62, 19]
  for (const pageNumbers of [1, 4, 1_000]) {
    const rows = await readPages(connection, pageNumbers)
    assert.deepEqual(
      rows.map(([, { sequence }]) => sequence),
      expected,
    )
  }
  assert.deepEqual(
    (await readTexts(connection)).map(({ sequence }) => sequence),
    expected,
  )
})

it('reads no more rows than a page has, though the statistics know nothing of them', async (t) => {
  const { connection } = await migratedDatabase(t)
  await ensurePartition(connection, recorded)
  const fill = `insert into audit.record (record, stream, seq, hash, recorded_at)
    select '\\x00', $1, n, '\\x00', $2::timestamptz + n * interval '1 ms' from generate_series($3::int, $4::int) n`
  await connection.query(fill, [streams[0], recorded, 1, 2_000])
  await connection.query('analyze audit.record')
  await connection.query(fill, [streams[0], recorded, 2_001, 6_000])
  const asked: string[] = []
  const recording: CopyingConnection = {
    ...connection,
    copyOut: (text) => {
      asked.push(text)
      return connection.copyOut(text)
    },
  }
  await readPages(recording, 500)
  assert.equal(asked.length, 12 + 1)
  for (const text of asked) {
    const query = text.replace(/^copy \(/, '').replace(/\) to stdout.*$/s, '')
    const { rows } = await connection.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, costs off, timing off) ${query}`,
    )
    const read = rows.flatMap((row) => [...(/actual rows=(\d+)/g.exec(row['QUERY PLAN']) ?? [])].slice(1).map(Number))
    assert.ok(Math.max(...read) <= 501, rows.map((row) => row['QUERY PLAN']).join('\n'))
  }
})
