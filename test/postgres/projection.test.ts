/** Derivation of columns: what each member becomes, what has no form, and that nothing makes it throw. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { leafHash } from '../../src/chain/hash.ts'
import { compareColumns, deriveColumns, derivedColumns } from '../../src/postgres/projection.ts'
import { recordBytes } from '../support/record-chain.ts'

const stream = '01890000-0000-7000-8000-000000000001'
const derive = (bytes: Buffer) => deriveColumns({ stream, sequence: 7, bytes })

describe('columns', () => {
  it('hold the members of the record in the form of their type', () => {
    const prev = 'ab'.repeat(32)
    const bytes = recordBytes({
      prev,
      id: '0190a000-0000-7000-8000-00000000000a',
      tenant: 't',
      session: 's',
      level: 'all',
      error: { class: 'timeout' },
    })
    assert.deepEqual(derive(bytes).columns, {
      hash: leafHash(bytes),
      prev_hash: prev,
      event_type: 'audit',
      record_id: '0190a000-0000-7000-8000-00000000000a',
      recorded_at: '2026-11-22T09:00:00.123456Z',
      occurred_at: '2026-11-22T08:59:59.000000Z',
      action: 'invoice.delete',
      operation: 'delete',
      level: 'all',
      outcome: 'success',
      actor_type: 'user',
      actor_id: 'u-1',
      target_type: 'invoice',
      target_id: '42',
      tenant: 't',
      session: 's',
      correlation_id: 'c-1',
      trace_id: '0af76519-16cd-43dd-8448-eb211c80319c',
      span_id: 'b7ad6b7169203331',
      service: 'billing',
      error_class: 'timeout',
    })
    assert.deepEqual(derive(bytes).underived, [])
  })

  it('are null without a flag where the record has no member', () => {
    const { columns, underived } = derive(Buffer.from('{}'))
    assert.deepEqual(underived, [])
    assert.deepEqual(
      Object.entries(columns).filter(([, value]) => value !== null),
      [['hash', leafHash('{}')]],
    )
  })

  const unstorable: readonly [string, Readonly<Record<string, unknown>>, string][] = [
    ['NUL in a text', { action: 'a\0b' }, 'action'],
    ['a lone surrogate', { tenant: '\ud800' }, 'tenant'],
    ['a text no index takes', { correlation_id: 'x'.repeat(513) }, 'correlation_id'],
    ['a number in the place of a text', { actor: { id: 7, type: 'user' } }, 'actor_id'],
    ['an id that is no UUID', { id: 'abc' }, 'record_id'],
    ['a trace id that is too short', { trace: { id: 'ab', span: 'b7ad6b7169203331' } }, 'trace_id'],
    ['a previous hash that is none', { prev: 'zz' }, 'prev_hash'],
    ['the year 0', { timestamp: '0000-01-01T00:00:00.000000000Z' }, 'occurred_at'],
    ['the year 10000', { timestamp: '+010000-01-01T00:00:00.000000000Z' }, 'occurred_at'],
    ['February 30', { recorded: '2026-02-30T00:00:00.000000000Z' }, 'recorded_at'],
    ['a leap second', { recorded: '2016-12-31T23:59:60.000000000Z' }, 'recorded_at'],
    ['another zone', { recorded: '2026-01-01T00:00:00.000000000+01:00' }, 'recorded_at'],
  ]
  for (const [what, members, column] of unstorable) {
    it(`become null and are flagged for ${what}`, () => {
      const { columns, underived } = derive(recordBytes(members))
      assert.deepEqual(underived, [column])
      assert.equal((columns as Record<string, string | null>)[column], null)
    })
  }

  it('are all flagged for bytes that are no record', () => {
    for (const bytes of [Buffer.from('not json'), Buffer.from([0xff, 0x00]), Buffer.alloc(0), Buffer.from('[1]')]) {
      const { columns, underived } = derive(bytes)
      assert.equal(columns.hash, leafHash(bytes))
      assert.equal(underived.length, derivedColumns.length - 1, String(bytes))
    }
  })

  it('never throw, whatever stands in the members', () => {
    const keys = ['actor', 'target', 'trace', 'error', 'prev', 'id', 'recorded', 'timestamp', 'action', '__proto__']
    const members = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue({ stringUnit: 'binary' }))
    fc.assert(
      fc.property(members, (value) => {
        const projected = derive(Buffer.from(JSON.stringify(value)))
        for (const { name } of derivedColumns) {
          const column = projected.columns[name]
          assert.ok(column === null || (typeof column === 'string' && !column.includes('\0')))
        }
        assert.deepEqual(compareColumns(projected), [])
      }),
    )
  })
})

describe('comparing a stored row with its record', () => {
  const row = derive(recordBytes({}))

  it('finds nothing where they agree, also for a record filed under its arrival', () => {
    assert.deepEqual(compareColumns(row), [])
    const filed = derive(recordBytes({ recorded: 'never' }))
    assert.deepEqual(
      compareColumns({ ...filed, columns: { ...filed.columns, recorded_at: '2026-01-01T00:00:00.000000Z' } }),
      [],
    )
  })

  it('names every column that was changed, and the values', () => {
    for (const { name } of derivedColumns) {
      const found = compareColumns({ ...row, columns: { ...row.columns, [name]: 'forged' } })
      assert.deepEqual(found, [{ column: name, expected: row.columns[name], found: 'forged' }])
    }
  })

  it('finds a value hidden behind a flag', () => {
    const hidden = { ...row, columns: { ...row.columns, actor_id: null }, underived: ['actor_id'] }
    assert.deepEqual(
      compareColumns(hidden).map(({ column }) => column),
      ['actor_id', 'underived'],
    )
  })
})
