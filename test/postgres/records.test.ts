/** Appending and reading on a real server: idempotent, never over what is held, and read back as it was sealed. */

import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { compareColumns, deriveColumns } from '../../src/postgres/projection.ts'
import {
  type AppendOutcome,
  appendRecords,
  encodeRecords,
  ensurePartition,
  readHeads,
} from '../../src/postgres/records.ts'
import { readRecords } from '../../src/postgres/stored-records.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'
import { chainOf } from '../support/record-chain.ts'

const now = `${new Date().toISOString().slice(0, -1)}000000Z`
const recordedNow = () => ({ recorded: now })

function append(client: Queryable, records: readonly StoredRecord[]): Promise<AppendOutcome[]> {
  return appendRecords(client, encodeRecords(records.map(deriveColumns)))
}

async function readAll(client: Queryable, options: Parameters<typeof readRecords>[1] = {}): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  for await (const row of readRecords(client, options)) {
    assert.deepEqual(compareColumns(row), [])
    records.push({ stream: row.stream, sequence: row.sequence, bytes: row.bytes })
  }
  return records
}

const byStream = (a: { stream: string }, b: { stream: string }) => (a.stream < b.stream ? -1 : 1)
const appended = { status: 'appended', refusedSequence: null, heldHash: null, sentHash: null }

describe('appending', () => {
  it('stores records as sealed, and storing them again changes nothing', async (t) => {
    const { connection } = await migratedDatabase(t)
    const records = chainOf(5, { members: recordedNow })
    const stream = records[0]?.stream
    assert.deepEqual(await append(connection, records), [
      { stream, ...appended, inserted: 5, skipped: 0, headSequence: 5 },
    ])
    const heads = await readHeads(connection)
    assert.deepEqual(heads, [{ stream, sequence: 5, hash: leafHash(records[4]?.bytes ?? ''), firstSequence: 1 }])
    assert.deepEqual(await append(connection, records), [
      { stream, ...appended, inserted: 0, skipped: 5, headSequence: 5 },
    ])
    assert.deepEqual(await readHeads(connection), heads)
    assert.deepEqual(await readAll(connection), records)
  })

  it('skips what an overlapping batch repeats and stores the rest', async (t) => {
    const { connection } = await migratedDatabase(t)
    const records = chainOf(10, { members: recordedNow })
    await append(connection, records.slice(0, 6))
    const [outcome] = await append(connection, records.slice(3))
    assert.deepEqual([outcome?.inserted, outcome?.skipped], [4, 3])
    assert.deepEqual(await readAll(connection), records)
  })

  it('takes a stream that is new to it from anywhere', async (t) => {
    const { connection } = await migratedDatabase(t)
    const records = chainOf(3, { from: 1_000, prev: 'cd'.repeat(32), members: recordedNow })
    const [outcome] = await append(connection, records)
    assert.deepEqual([outcome?.status, outcome?.inserted], ['appended', 3])
    assert.equal((await readHeads(connection))[0]?.firstSequence, 1_000)
  })

  it('refuses a fork wherever it begins, names both hashes, and overwrites nothing', async (t) => {
    const { connection } = await migratedDatabase(t)
    const stream = randomUUID()
    const held = chainOf(4, { stream, members: recordedNow })
    const other = chainOf(6, { stream, members: () => ({ ...recordedNow(), action: 'invoice.forge' }) })
    await append(connection, held)
    for (const from of [0, 2, 3]) {
      const [outcome] = await append(connection, other.slice(from))
      assert.deepEqual(outcome, {
        stream,
        status: 'fork',
        inserted: 0,
        skipped: 0,
        headSequence: 4,
        refusedSequence: from + 1,
        heldHash: leafHash(held[from]?.bytes ?? ''),
        sentHash: leafHash(other[from]?.bytes ?? ''),
      })
    }
    const [unlinked] = await append(connection, other.slice(4))
    assert.deepEqual([unlinked?.status, unlinked?.refusedSequence], ['fork', 5])
    assert.equal(unlinked?.heldHash, leafHash(held[3]?.bytes ?? ''))
    assert.equal(unlinked?.sentHash, leafHash(other[3]?.bytes ?? ''))
    assert.deepEqual(await readAll(connection), held)
    assert.equal((await readHeads(connection))[0]?.sequence, 4)
  })

  it('refuses a gap, and a record below the head that is not held', async (t) => {
    const { connection } = await migratedDatabase(t)
    const records = chainOf(9, { members: recordedNow })
    await append(connection, records.slice(3, 6))
    const [gap] = await append(connection, records.slice(7))
    assert.deepEqual([gap?.status, gap?.headSequence, gap?.refusedSequence], ['gap', 6, 8])
    const [lost] = await append(connection, records.slice(2))
    assert.deepEqual([lost?.status, lost?.refusedSequence, lost?.heldHash], ['lost', 3, null])
    assert.deepEqual(await readAll(connection), records.slice(3, 6))
  })

  it('judges each stream of a batch on its own', async (t) => {
    const { connection } = await migratedDatabase(t)
    const [good, forked, fresh] = [randomUUID(), randomUUID(), randomUUID()]
    const held = chainOf(3, { stream: forked, members: recordedNow })
    const contradicting = chainOf(3, { stream: forked, members: () => ({ ...recordedNow(), outcome: 'denied' }) })
    const steady = chainOf(4, { stream: good, members: (sequence) => ({ ...recordedNow(), id: idOf(sequence) }) })
    await append(connection, [...steady.slice(0, 2), ...held])
    const anew = chainOf(2, { stream: fresh, members: recordedNow })
    const mixed = [...anew, ...contradicting, ...steady]
    const outcomes = (await append(connection, mixed)).map(({ stream, status, inserted }) => ({
      stream,
      status,
      inserted,
    }))
    assert.deepEqual(
      outcomes,
      [
        { stream: good, status: 'appended', inserted: 2 },
        { stream: forked, status: 'fork', inserted: 0 },
        { stream: fresh, status: 'appended', inserted: 2 },
      ].sort(byStream),
    )
    assert.deepEqual(await readAll(connection), [...steady, ...held, ...anew].sort(bySequence))
  })

  it('lets competing writers of one stream store each record once', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const records = chainOf(60, { members: recordedNow })
    const clients = await Promise.all([1, 2, 3, 4].map(() => connectionFor(t, url)))
    const outcomes = await Promise.all(
      clients.map(async (client) => {
        let inserted = 0
        for (let from = 0; from < records.length; from += 10) {
          // In order: the next batch follows this one.
          const [outcome] = await append(client, records.slice(from, from + 10))
          assert.equal(outcome?.status, 'appended')
          inserted += outcome.inserted
        }
        return inserted
      }),
    )
    assert.equal(
      outcomes.reduce((sum, inserted) => sum + inserted),
      60,
    )
    assert.deepEqual(await readAll(connection), records)
  })

  it('keeps what is hostile or no record at all as bytes', async (t) => {
    const { connection } = await migratedDatabase(t)
    const hostile = [
      { action: 'a\0b', tenant: '\u0000', actor: { id: '\ud800', type: [] } },
      { action: "'; drop table audit.record; --", tenant: '$1', session: '{"}', service: '\\x00', level: 'NULL' },
      { target: 'no object', trace: { id: 5, span: {} }, error: null, id: '__proto__', timestamp: '9e999' },
      { correlation_id: randomBytes(9_000).toString('base64'), details: { deep: '['.repeat(1_000) } },
    ]
    const records = chainOf(4, { members: (sequence) => ({ ...recordedNow(), ...hostile[sequence - 1] }) })
    const last = records.at(-1)
    assert.ok(last !== undefined)
    const noRecord = { stream: last.stream, sequence: 5, bytes: Buffer.from([0x00, 0xff, 0x7b]) }
    const after = chainOf(1, { stream: last.stream, from: 6, prev: leafHash(noRecord.bytes), members: recordedNow })
    const all = [...records, noRecord, ...after]
    const [outcome] = await append(connection, all)
    assert.deepEqual([outcome?.status, outcome?.inserted], ['appended', 6])
    assert.deepEqual(await readAll(connection), all)
  })
})

describe('partitions', () => {
  it('are by month in UTC whatever the session says, and a record at the border goes to its own', async (t) => {
    const { connection } = await migratedDatabase(t)
    await connection.query(`set timezone = 'Pacific/Auckland'; set datestyle = 'German'`)
    const times = ['2031-01-31T23:59:59.999999999Z', '2031-02-01T00:00:00.000000000Z']
    const records = chainOf(2, { members: (sequence) => ({ recorded: times[sequence - 1] }) })
    await assert.rejects(append(connection, records), { code: '23514', table: 'record' })
    for (const month of ['2031-01-31T23:59:59.999999Z', '2031-02-01T00:00:00Z'])
      await ensurePartition(connection, month)
    assert.equal((await append(connection, records))[0]?.inserted, 2)
    const { rows } = await connection.query(
      'select tableoid::regclass::text as name, seq from audit.record order by seq',
    )
    assert.deepEqual(rows, [
      { name: 'audit.record_2031_01', seq: '1' },
      { name: 'audit.record_2031_02', seq: '2' },
    ])
    assert.deepEqual(await readAll(connection), records)
  })

  it('are made once by several makers at once', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const clients = await Promise.all([1, 2, 3, 4].map(() => connectionFor(t, url)))
    await Promise.all(clients.map((client) => ensurePartition(client, '2040-06-15T12:00:00Z')))
    const { rows } = await connection.query(`select to_regclass('audit.record_2040_06')::text as name`)
    assert.deepEqual(rows, [{ name: 'audit.record_2040_06' }])
  })

  it('are attached while a reader and a writer have the table open', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const [reader, writer] = [await connectionFor(t, url), await connectionFor(t, url)]
    await reader.query('begin; select count(*) from audit.record')
    await writer.query('begin')
    await append(writer, chainOf(1, { members: recordedNow }))
    await connection.query(`set lock_timeout = '2s'`)
    await ensurePartition(connection, '2041-01-01T00:00:00Z')
    await writer.query('commit')
    await reader.query('commit')
  })
})

describe('reading', () => {
  it('gives streams and sequences in order whatever the page size, and one stream alone', async (t) => {
    const { connection } = await migratedDatabase(t)
    const chains = [1, 2, 3].map(() => chainOf(7, { members: recordedNow }))
    await append(connection, chains.flat())
    const ordered = chains.flat().sort(bySequence)
    for (const pageRecords of [1, 2, 7, 20, 21, 22]) {
      assert.deepEqual(await readAll(connection, { pageRecords }), ordered)
    }
    const stream = chains[1]?.[0]?.stream
    assert.deepEqual(await readAll(connection, { stream, pageRecords: 3 }), chains[1])
  })

  it('also gives rows that a forger doubled in another partition', async (t) => {
    const { connection } = await migratedDatabase(t)
    const records = chainOf(3, { members: recordedNow })
    await append(connection, records)
    await connection.query(
      `insert into audit.record (record, stream, seq, hash, recorded_at)
       select record, stream, seq, hash, recorded_at + interval '1 month' from audit.record where seq = 2`,
    )
    for (const pageRecords of [1, 2, 3, 10]) {
      const sequences: number[] = []
      for await (const row of readRecords(connection, { pageRecords })) sequences.push(row.sequence)
      assert.deepEqual(sequences, [1, 2, 2, 3])
    }
  })
})

function bySequence(a: StoredRecord, b: StoredRecord): number {
  return a.stream === b.stream ? a.sequence - b.sequence : byStream(a, b)
}

function idOf(sequence: number): string {
  return `0190a000-0000-7000-8000-${String(sequence).padStart(12, '0')}`
}
