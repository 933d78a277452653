/** Old records in today's shape: the way they go, what stays as it was sealed, and what is said when a step is missing. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { defineActions, type Upcast } from '../../src/event/catalogue.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeControl, encodeRecord, type RecordMembers } from '../../src/event/record.ts'
import { readRecord, upcastRecord } from '../../src/event/upcast.ts'
import { position } from './positions.ts'

const description = 'An invoice was deleted.'
const details = z.object({ amount_cents: z.int(), currency: z.string() })

const toCents: Upcast = ({ details, ...record }) => ({
  ...record,
  details: { currency: details?.currency ?? 'EUR', amount_cents: Math.round(Number(details?.amount) * 100) },
})
const addCurrency: Upcast = (record) => ({ ...record, details: { ...record.details, currency: 'EUR' } })
const rename: Upcast = ({ details = {}, ...record }) => ({ ...record, details: { amount: details.sum ?? null } })

const catalogue = defineActions({
  'invoice.delete': { version: 3, description, details, upcast: { 0: rename, 1: addCurrency, 2: toCents } },
  'invoice.read': { version: 3, description, upcast: { 2: addCurrency } },
})

/** The bytes of a record, as a copy holds them. */
function sealed(event: object): string {
  return encodeRecord(convertEvent(event), position)
}

function reading(event: object): ReturnType<typeof readRecord> {
  return readRecord(catalogue, sealed(event))
}

describe('an old record', () => {
  it('goes step by step to the newest shape, and the versions say how', () => {
    const { record, versions, problem } = reading({ action: 'invoice.delete', schema: '1', details: { amount: 12.3 } })
    assert.deepEqual(record.details, { amount_cents: 1230, currency: 'EUR' })
    assert.deepEqual([versions, problem, record.schema], [[1, 2, 3], undefined, '1;invoice.delete=3'])
  })

  it('from before the action was catalogued counts as version 0', () => {
    const { record, versions } = reading({ action: 'invoice.delete', details: { sum: 5 } })
    assert.deepEqual([record.details, versions], [{ amount_cents: 500, currency: 'EUR' }, [0, 1, 2, 3]])
  })

  it('keeps the bytes it was sealed in, and whoever gave a parsed one keeps his', () => {
    const bytes = Buffer.from(sealed({ action: 'invoice.delete', schema: '1', details: { amount: 1 } }))
    const before = Buffer.from(bytes)
    readRecord(catalogue, bytes)
    assert.deepEqual(bytes, before)
    const parsed = JSON.parse(bytes.toString()) as RecordMembers
    const copy = structuredClone(parsed)
    upcastRecord(catalogue, parsed)
    assert.deepEqual(parsed, copy)
  })

  it('read again in its newest shape stays as it is', () => {
    const once = reading({ action: 'invoice.delete', schema: '2', details: { amount: 1, currency: 'CHF' } })
    const twice = upcastRecord(catalogue, once.record)
    assert.deepEqual(twice, { record: once.record, versions: [3], problem: undefined })
  })

  it('keeps what proves it, whatever a step does', () => {
    const forging: Upcast = () => ({
      seq: 1,
      id: 'x',
      prev: 'y',
      timestamp: 'z',
      v: '9',
      action: 'b',
      details: { a: 1 },
    })
    const forger = defineActions({ a: { version: 2, description, upcast: { 1: forging } } })
    const bytes = sealed({ action: 'a', schema: '1', details: { b: 1 } })
    const stored = JSON.parse(bytes) as RecordMembers
    const { record } = readRecord(forger, bytes)
    assert.deepEqual(record, { ...stored, schema: '1;a=2', details: { a: 1 } })
  })
})

describe('a record that has no way to go', () => {
  it('in the newest version is given as it stands', () => {
    const bytes = sealed({ action: 'invoice.delete', schema: '3', details: { amount_cents: 1 } })
    assert.deepEqual(readRecord(catalogue, bytes), { record: JSON.parse(bytes), versions: [3], problem: undefined })
  })

  it('of an action that was never catalogued, and of ours, is given as it stands', () => {
    const control = encodeControl({ type: 'audit.stream.closed', details: {} }, position)
    for (const bytes of [sealed({ action: 'other.thing', details: { a: 1 } }), control]) {
      assert.deepEqual(readRecord(catalogue, bytes), { record: JSON.parse(bytes), versions: [], problem: undefined })
    }
  })
})

describe('what could not be done is said, and the record given as it was stored', () => {
  const failing: readonly (readonly [string, Upcast, RegExp])[] = [
    [
      'throws',
      () => {
        throw new TypeError('no currency')
      },
      /^the step from version 1 of a to 2 failed: no currency$/,
    ],
    [
      'changes what it was given and throws',
      ({ details }) => {
        if (details !== undefined) details.b = 'changed'
        throw new TypeError('no currency')
      },
      /failed: no currency$/,
    ],
    ['gives nothing', () => undefined as unknown as RecordMembers, /failed: it gave no record$/],
    [
      'gives a promise',
      () => Promise.reject(new Error('late')) as unknown as RecordMembers,
      /failed: it gave no record$/,
    ],
    ['gives a list', () => [] as unknown as RecordMembers, /failed: it gave no record$/],
  ]
  for (const [name, step, text] of failing) {
    it(`a step that ${name}`, async () => {
      const bytes = sealed({ action: 'a', schema: '1', details: { b: 1 } })
      const { record, versions, problem } = readRecord(
        defineActions({ a: { version: 2, description, upcast: { 1: step } } }),
        bytes,
      )
      assert.deepEqual([record, versions, problem?.rule], [JSON.parse(bytes), [1], 'failed_step'])
      assert.match(problem?.text ?? '', text)
      await new Promise((resolve) => setImmediate(resolve))
    })
  }

  const rows: readonly (readonly [string, object, string, readonly number[], RegExp])[] = [
    [
      'a missing step',
      { action: 'invoice.read', schema: '1' },
      'missing_step',
      [1],
      /^there is no step from version 1 of invoice\.read to 2$/,
    ],
    ['no step for what was not catalogued', { action: 'invoice.read' }, 'missing_step', [0], /from version 0/],
    [
      'a newer version',
      { action: 'invoice.delete', schema: '4' },
      'newer_version',
      [4],
      /has version 4 of invoice\.delete, the catalogue 3$/,
    ],
    [
      'a version of an unknown action',
      { action: 'invoice.send', schema: '2' },
      'unknown_action',
      [],
      /does not name invoice\.send/,
    ],
    [
      'a version that is none',
      { action: 'invoice.delete', schema: 'two' },
      'unreadable',
      [],
      /states no version of invoice\.delete$/,
    ],
    [
      'another action in the version',
      { action: 'invoice.delete', schema: '2;invoice.read=1' },
      'unreadable',
      [],
      /states no version/,
    ],
  ]
  for (const [name, event, rule, versions, text] of rows) {
    it(name, () => {
      const { record, problem, ...rest } = reading(event)
      assert.deepEqual([record, problem?.rule, rest.versions], [JSON.parse(sealed(event)), rule, versions])
      assert.match(problem?.text ?? '', text)
    })
  }

  it('bytes that are no record', () => {
    for (const bytes of ['', 'no json', '[]', 'null', '{"action":7,"schema":{}}']) {
      const { versions, problem } = readRecord(catalogue, bytes)
      assert.deepEqual(versions, [])
      assert.ok(bytes.startsWith('{') || problem?.rule === 'unreadable', bytes)
    }
    assert.equal(upcastRecord(catalogue, { details: 1n } as unknown as RecordMembers).problem?.rule, 'unreadable')
  })
})
