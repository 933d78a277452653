/** Appending by COPY, on a real server: the same rows, the same judgement and the same heads as by one statement. */

import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { leafHash } from '../../src/chain/hash.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import type { CopyingConnection } from '../../src/postgres/client.ts'
import { copyRecords, copyRecordsMin, isCopyable, prepareCopy } from '../../src/postgres/copy-records.ts'
import { deriveColumns } from '../../src/postgres/projection.ts'
import { appendRecords, encodeRecords, readHeads } from '../../src/postgres/records.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'
import { chainOf } from '../support/record-chain.ts'

const recorded = `${new Date().toISOString().slice(0, -1)}123000Z`
const hostile = [
  {},
  { action: 'a\0b', tenant: '\u0000', actor: { id: '\ud800', type: [] } },
  { action: "'; drop table audit.record; --", tenant: '\\N', session: '{"}', service: '\t\n', level: 'NULL' },
  { target: 'no object', trace: { id: 5, span: {} }, error: null, id: '__proto__', timestamp: '9e999' },
  { trace: { id: 'f'.repeat(32), span: 'b7ad6b7169203331', flags: 1 }, outcome: 'denied', session: 'ü€😀' },
  { correlation_id: randomBytes(9_000).toString('base64') },
]

async function tableOf(client: CopyingConnection): Promise<unknown[]> {
  const { rows } = await client.query<{ row: string }>('select r::text as row from audit.record r order by stream, seq')
  return [...rows, ...(await readHeads(client))]
}

describe('appending by COPY', () => {
  it('leaves what appending by one statement leaves, and says the same, whatever is sent', async (t) => {
    const copied = (await migratedDatabase(t)).connection
    const appended = (await migratedDatabase(t)).connection
    const streams = [randomUUID(), randomUUID()]
    const members = (variant: number) => (sequence: number) => ({
      recorded,
      ...hostile[(sequence * 7 + variant) % hostile.length],
    })
    // Two chains of each stream that agree at first: what contradicts the held one is a fork, in both ways.
    const chains = streams.map((stream) => {
      const common = chainOf(12, { stream, members: members(0) })
      const prev = leafHash(common.at(-1)?.bytes ?? '')
      return [1, 2].map((variant) => [...common, ...chainOf(20, { stream, from: 13, prev, members: members(variant) })])
    })
    const slice = fc.record({
      chain: fc.nat(1),
      variant: fc.constantFrom(0, 0, 0, 1),
      from: fc.nat(25),
      count: fc.integer({ min: 1, max: 12 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(slice, { minLength: 1, maxLength: 2 }), async (slices) => {
        const parts = [...new Map(slices.map((one) => [one.chain, one])).values()]
        const batch = parts.flatMap(({ chain, variant, from, count }): StoredRecord[] => {
          return chains[chain]?.[variant]?.slice(from, from + count) ?? []
        })
        const records = batch.map(deriveColumns)
        const outcomes = await copyRecords(copied, prepareCopy(records))
        assert.deepEqual(outcomes, await appendRecords(appended, encodeRecords(records)))
        assert.deepEqual(await tableOf(copied), await tableOf(appended))
      }),
      { numRuns: 60 },
    )
    const { rows } = await copied.query<{ count: string }>('select count(*) from audit.record')
    assert.ok(Number(rows[0]?.count) > 0)
  })

  it('lets competing writers of one stream store each record once', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const records = chainOf(400, { members: () => ({ recorded }) }).map(deriveColumns)
    const clients = await Promise.all([1, 2, 3].map(() => connectionFor(t, url)))
    const inserted = await Promise.all(
      clients.map(async (client) => {
        let sum = 0
        for (let from = 0; from < records.length; from += 100) {
          // In order: the next batch follows this one.
          const [outcome] = await copyRecords(client, prepareCopy(records.slice(from, from + 100)))
          assert.equal(outcome?.status, 'appended')
          sum += outcome.inserted
        }
        return sum
      }),
    )
    assert.equal(
      inserted.reduce((sum, one) => sum + one),
      400,
    )
    const { rows } = await connection.query<{ count: string }>('select count(*) from audit.record')
    assert.deepEqual(rows, [{ count: '400' }])
  })

  it('moves no head and keeps no row when the copy is refused, and the connection can be used on', async (t) => {
    const { connection } = await migratedDatabase(t)
    const records = chainOf(3, {
      members: (sequence) => ({ recorded: sequence === 3 ? '2031-01-01T00:00:00.000000000Z' : recorded }),
    })
    await assert.rejects(copyRecords(connection, prepareCopy(records.map(deriveColumns))), {
      code: '23514',
      table: 'record',
    })
    assert.deepEqual(await tableOf(connection), [])
    const [outcome] = await copyRecords(connection, prepareCopy(records.slice(0, 2).map(deriveColumns)))
    assert.equal(outcome?.inserted, 2)
  })

  it('is for large batches of records with a time of their own', () => {
    const records = chainOf(copyRecordsMin, { members: () => ({ recorded }) }).map(deriveColumns)
    assert.equal(isCopyable(records), true)
    assert.equal(isCopyable(records.slice(1)), false)
    const late = chainOf(1, { members: () => ({ recorded: 'no time' }) }).map(deriveColumns)
    assert.equal(isCopyable([...records, ...late]), false)
  })
})
