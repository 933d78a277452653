/** Binary arrays: the bytes of a worked example, and what a real server reads out of random ones. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import * as array from '../../src/postgres/binary-array.ts'
import { connectionFor } from '../support/migrated.ts'
import { databaseFor } from '../support/postgres.ts'

it('an array is its header and its elements, as the server’s array_send writes them', () => {
  const encoded = array.encodeArray(array.text, ['a', null, '€'])
  const header = '00000001 00000001 00000019 00000003 00000001'
  assert.equal(encoded.toString('hex'), `${header} 00000001 61 ffffffff 00000003 e282ac`.replaceAll(' ', ''))
  assert.equal(array.encodeArray(array.int8, []).toString('hex'), '000000000000000000000014')
})

it('the server reads every element as it was given', async (t) => {
  const client = await connectionFor(t, await databaseFor(t))
  const hex = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('hex'))
  const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.includes('\0'))
  const date = { min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }
  const time = fc.tuple(fc.date(date), fc.integer({ min: 0, max: 999_999 })).map(([day, micros]) => {
    return `${day.toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`
  })
  const row = fc.tuple(fc.option(hex), fc.option(text), fc.option(fc.uuid()), fc.option(time), fc.maxSafeInteger())
  const statement = `
    select encode(b, 'hex') as b, t, u, n, to_char(m at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as m
    from unnest($1::bytea[], $2::text[], $3::uuid[], $4::timestamptz[], $5::bigint[]) as _ (b, t, u, m, n)`
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (rows) => {
      const { rows: read } = await client.query(statement, [
        array.encodeArray(
          array.byteaHex,
          rows.map(([b]) => b),
        ),
        array.encodeArray(
          array.text,
          rows.map(([, value]) => value),
        ),
        array.encodeArray(
          array.uuid,
          rows.map(([, , u]) => u),
        ),
        array.encodeArray(
          array.timestamptz,
          rows.map(([, , , m]) => m),
        ),
        array.encodeArray(
          array.int8,
          rows.map(([, , , , n]) => n),
        ),
      ])
      assert.deepEqual(
        read,
        rows.map(([b, value, u, m, n]) => ({ b, t: value, u, n: String(n), m })),
      )
    }),
    { numRuns: 60 },
  )
})
