import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import { createTable } from '../../src/clickhouse/table.ts'
import { createClickhouseDestination } from '../../src/destination/clickhouse.ts'
import type { Destination } from '../../src/destination/destination.ts'
import type { ClickhouseDestinationOptions } from '../../src/destination/options.ts'
import { type Clickhouse, clickhouseAbsent, clickhousePython, startClickhouse } from '../parts/clickhouse.ts'
import { startHttpReceiver } from '../support/http-receiver.ts'
import { type Peer, testContract } from './contract.ts'
import { batchOf, makeBatch, makeRecord, stream } from './records.ts'

const skip = clickhousePython() === undefined ? clickhouseAbsent : undefined

const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-clickhouse-'))
let shared: Promise<Clickhouse> | undefined
let tables = 0

after(async () => {
  const server = await shared
  await server?.kill()
  fs.rmSync(directory, { recursive: true, force: true })
})

/** A table of its own on the server that these tests share: it takes seconds to start. */
async function start(): Promise<{ server: Clickhouse; url: string; table: string }> {
  shared ??= startClickhouse(directory)
  const server = await shared
  tables += 1
  return { server, url: server.url, table: `audit_${tables}` }
}

async function connect(t: TestContext, options: Omit<ClickhouseDestinationOptions, 'type'>): Promise<Destination> {
  const destination = await createClickhouseDestination({ type: 'clickhouse', ...options })
  t.after(() => destination.close())
  return destination
}

async function query<Row>({ url }: { readonly url: string }, text: string): Promise<Row[]> {
  const answer = await fetch(url, { method: 'POST', body: `${text} format JSONEachRow` })
  const body = await answer.text()
  if (!answer.ok) throw new Error(body)
  return body
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

async function execute({ url }: { readonly url: string }, text: string): Promise<void> {
  const answer = await fetch(url, { method: 'POST', body: text })
  assert.ok(answer.ok, await answer.text())
}

const places = new WeakMap<Peer, Awaited<ReturnType<typeof start>>>()

testContract({
  name: 'clickhouse',
  skip,
  async open() {
    const place = await start()
    const { server, table, url } = place
    const peer: Peer = {
      connect: () => createClickhouseDestination({ type: 'clickhouse', url, table }),
      async held() {
        const exists = await query<{ name: string }>(place, `select name from system.tables where name = '${table}'`)
        if (exists.length === 0) return []
        const rows = await query<{ record: string }>(place, `select record from ${table} order by stream, sequence`)
        return rows.map(({ record }) => record)
      },
      stop: () => server.kill(),
      start: () => server.start(),
    }
    places.set(peer, place)
    return peer
  },
  refuse: async (peer, id) => {
    const place = places.get(peer)
    assert.ok(place)
    await execute(place, createTable(place.table))
    await execute(place, `alter table ${place.table} add constraint refused check id != '${id}'`)
  },
  busy: 'its client does not show the header',
  silence: 'tested below, against a server that does not answer',
})

test('columns are derived from the record, whose bytes stay', { skip }, async (t) => {
  const server = await start()
  const destination = await connect(t, { url: server.url, table: server.table })
  const trace = { flags: 1, id: 'a'.repeat(32), span: 'b'.repeat(16) }
  const target = { id: '42', resource_type: 'invoice' }
  const record = makeRecord(1, { reason: 'ünïcode \u2028 \\ "', target, tenant: 't-1', trace })
  assert.deepEqual(await destination.send(makeBatch([record]), t.signal), { status: 'delivered' })
  const [row] = await query<Record<string, unknown>>(server, `select * from ${server.table}`)
  assert.partialDeepStrictEqual(row, {
    stream,
    hash: leafHash(record.bytes),
    recorded: '2026-11-22 09:00:00.000000002',
    timestamp: '2026-11-22 09:00:00.000000001',
    action: 'invoice.delete',
    actor_id: 'u-1',
    target_type: 'invoice',
    target_id: '42',
    tenant: 't-1',
    trace_id: 'a'.repeat(32),
    record: record.bytes.toString(),
  })
})

test('no value of a record keeps it from being inserted', { skip }, async (t) => {
  const server = await start()
  const destination = await connect(t, { url: server.url, table: server.table })
  const odd = [
    makeRecord(1, { timestamp: '9999-12-31T23:59:59.999999999Z' }),
    makeRecord(2, { timestamp: '0000-01-01T00:00:00.000000000Z', recorded: '2262-12-31T00:00:00.000000000Z' }),
    makeRecord(3, { timestamp: 7, actor: 'text', target: null, trace: [], tenant: {} }),
    makeRecord(4, { action: '\u0000\ufffd\n\t', tenant: '\\N' }),
    { stream: 'not a uuid', sequence: 1, bytes: Buffer.from('no JSON') },
  ]
  assert.deepEqual(await destination.send(makeBatch(odd), t.signal), { status: 'delivered' })
  const rows = await query<{ record: string }>(server, `select record from ${server.table}`)
  assert.deepEqual(rows.map(({ record }) => record).toSorted(), odd.map(({ bytes }) => bytes.toString()).toSorted())
})

test('a repetition merges with itself, and a fork stays', { skip }, async (t) => {
  const server = await start()
  const destination = await connect(t, { url: server.url, table: server.table })
  await destination.send(batchOf(1, 3), t.signal)
  await destination.send(batchOf(1, 3), t.signal)
  await destination.send(makeBatch([makeRecord(2, { reason: 'another' })]), t.signal)
  await execute(server, `optimize table ${server.table} final`)
  const rows = await query<{ sequence: number }>(server, `select sequence from ${server.table} order by sequence`)
  assert.deepEqual(
    rows.map(({ sequence }) => Number(sequence)),
    [1, 2, 2, 3],
  )
})

test('the head is the last record of the stream, none without a table', { skip }, async (t) => {
  const server = await start()
  const destination = await connect(t, { url: server.url, table: server.table })
  assert.deepEqual(await destination.head?.(stream, t.signal), { status: 'known', head: undefined })
  await destination.send(batchOf(1, 5), t.signal)
  const head = { sequence: 5, hash: leafHash(makeRecord(5).bytes) }
  assert.deepEqual(await destination.head?.(stream, t.signal), { status: 'known', head })
  assert.deepEqual(await destination.head?.("another'stream", t.signal), { status: 'known', head: undefined })
})

test('a table that must not be made is waited for', { skip }, async (t) => {
  const server = await start()
  const destination = await connect(t, { url: server.url, createTable: false, table: 'default.own' })
  const missing = await destination.send(batchOf(1, 1), t.signal)
  assert.match('reason' in missing ? missing.reason : '', /UNKNOWN_TABLE/)
  assert.equal(missing.status, 'retry')
  await execute(server, createTable('default.own'))
  assert.deepEqual(await destination.send(batchOf(1, 1), t.signal), { status: 'delivered' })
})

test('an insert is synchronous unless it is asked otherwise, and always waited for', async (t) => {
  const receiver = await startHttpReceiver()
  t.after(() => receiver.stop())
  receiver.answer = (response) => response.end()
  await (await connect(t, { url: receiver.url })).send(batchOf(1, 1), t.signal)
  await (await connect(t, { url: receiver.url, settings: { async_insert: 1, insert_quorum: 'auto' } })).send(
    batchOf(1, 1),
    t.signal,
  )
  const settings = receiver.posts.map(({ path }) => Object.fromEntries(new URL(path, receiver.url).searchParams))
  assert.partialDeepStrictEqual(settings, [
    { async_insert: '0', wait_for_async_insert: '1', wait_end_of_query: '1' },
    { async_insert: '1', wait_for_async_insert: '1', insert_quorum: 'auto' },
  ])
})

test('a server that does not answer holds a sending until timeoutMs, or until the signal', async (t) => {
  const receiver = await startHttpReceiver()
  t.after(() => receiver.stop())
  receiver.answer = () => {}
  const late = await (await connect(t, { url: receiver.url, timeoutMs: 100 })).send(batchOf(1, 1), t.signal)
  assert.equal(late.status, 'retry')
  const stopping = new AbortController()
  const sending = (await connect(t, { url: receiver.url })).send(batchOf(1, 1), stopping.signal)
  setImmediate(() => stopping.abort())
  assert.deepEqual(await sending, { status: 'retry', reason: 'stopped' })
})
