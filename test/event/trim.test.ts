import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeRecord } from '../../src/event/record.ts'
import { recordBytesMax } from '../../src/limits.ts'
import { position } from './positions.ts'

function encode(event: unknown): Record<string, unknown> {
  const text = encodeRecord(convertEvent(event), position)
  assert.ok(Buffer.byteLength(text) <= recordBytesMax, `${Buffer.byteLength(text)} bytes`)
  const record = JSON.parse(text)
  assert.equal(canonicalize(record), text)
  return record
}

const markerOf = (value: unknown): unknown => {
  const text = canonicalize(value)
  const sha256 = createHash('sha256').update(text).digest('hex')
  return { bytes: Buffer.byteLength(text), sha256, trimmed: true }
}

describe('a record that is too long', () => {
  it('is left alone up to the last byte', () => {
    const frame = Buffer.byteLength(encodeRecord(convertEvent({ action: 'a', details: { text: '' } }), position))
    const text = 'x'.repeat(recordBytesMax - frame)
    assert.deepEqual(encode({ action: 'a', details: { text } }).details, { text })
    assert.deepEqual(encode({ action: 'a', details: { text: `${text}x` } }).details, { text: markerOf(`${text}x`) })
  })

  it('counts bytes, not characters', () => {
    const text = '€'.repeat(17_000)
    assert.deepEqual(encode({ action: 'a', details: { text } }).details, { text: markerOf(text) })
  })

  it('loses its largest values first, and no more than it must', () => {
    const [large, medium, small] = ['l'.repeat(30_000), 'm'.repeat(20_000), 's'.repeat(10_000)]
    const event = { action: 'a', changes: { small: { to: small } }, details: { a: medium, large } }
    const { details, changes } = encode(event)
    assert.deepEqual(details, { a: medium, large: markerOf(large) })
    assert.deepEqual(changes, { small: { to: small } })
  })

  it('of equal values loses the one whose pointer comes first', () => {
    const value = 'x'.repeat(30_000)
    const { details, changes } = encode({ action: 'a', details: { a: value }, changes: { z: value } })
    assert.deepEqual([changes, details], [{ z: markerOf(value) }, { a: value }])
  })

  it('does not tell the digest of a short value, which could be guessed', () => {
    const values = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k${index}`, 'x'.repeat(60)]))
    const { details } = encode({ action: 'a', details: values })
    const trimmed = Object.values(details as object).filter((value) => typeof value === 'object')
    assert.ok(trimmed.length > 0 && trimmed.length < 1_000)
    assert.deepEqual(trimmed[0], { bytes: 62, trimmed: true })
  })

  it('loses whole containers when their values are not enough', () => {
    const details = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`${index} ${'k'.repeat(100)}`, 1]))
    const record = encode({ action: 'a', details, changes: { a: { from: 1, to: 2 } }, actor: { id: 'u' } })
    assert.deepEqual(record.details, markerOf(details))
    assert.deepEqual([record.changes, record.actor], [{ a: { from: 1, to: 2 } }, { id: 'u' }])
  })

  it('keeps who and what to the last', () => {
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`extra ${index}`, 'x'.repeat(100)]))
    const actor = { type: 'user', id: 'u-1', name: 'Ann', ...many }
    const targets = Array.from({ length: 1_000 }, (_, index) => ({ id: `${index}`.repeat(50) }))
    const record = encode({
      action: 'a',
      actor,
      target: { id: 't', ...many },
      targets,
      request: { status: 200, ...many },
    })
    assert.deepEqual(record.actor, { id: 'u-1', name: 'Ann', type: 'user', '…': markerOf(many) })
    assert.deepEqual(record.target, { id: 't', '…': markerOf(many) })
    assert.deepEqual(record.request, { status: 200, '…': markerOf(many) })
    assert.deepEqual(record.targets, [markerOf(targets)])
  })

  it('adds redaction receipts up by rule', () => {
    const event = convertEvent({ action: 'a' })
    event.redactions = Array.from({ length: 2_000 }, (_, index) => ({
      count: 2,
      pointer: `/details/${index}`,
      rule: `key:${index % 3}`,
    }))
    const { redactions } = JSON.parse(encodeRecord(event, position))
    assert.deepEqual(redactions, [
      { count: 1_334, pointer: '', rule: 'key:0' },
      { count: 1_334, pointer: '', rule: 'key:1' },
      { count: 1_332, pointer: '', rule: 'key:2' },
    ])
  })

  it('always fits, even if every text is as long as it may be and all of it must be escaped', () => {
    const nasty = '\u0001'.repeat(5_000)
    const texts = (...keys: string[]): Record<string, string> => Object.fromEntries(keys.map((key) => [key, nasty]))
    const event = {
      ...texts('action', 'tenant', 'session', 'grant', 'reason', 'correlation_id', 'schema'),
      ...texts('operation', 'outcome', 'timestamp', 'duration_ms', nasty),
      actor: texts('id', 'name', 'on_behalf_of', 'type', nasty),
      target: texts('id', 'name', 'resource_type', nasty),
      targets: [texts('id', 'name', 'resource_type')],
      error: texts('class', 'code', 'message'),
      request: texts('id', 'source_ip', 'user_agent', 'method', 'route', 'status'),
      changes: { [nasty]: nasty },
    }
    const record = encode(event)
    assert.deepEqual(record.validation, [{ pointer: '', rule: 'trimmed' }])
    assert.equal((record.actor as Record<string, string>).id, '\u0001'.repeat(128))
  })

  it('always fits, and says the same each time', () => {
    const text = fc
      .string({ unit: 'binary', maxLength: 30 })
      .chain((unit) => fc.nat(3_000).map((times) => unit.repeat(times)))
    const container = fc.dictionary(text, fc.oneof(text, fc.array(text), fc.nat(20).map(String)), { maxKeys: 30 })
    const names = ['actor', 'target', 'request', 'error', 'details', 'changes', 'targets', 'reason', 'tenant']
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.oneof(container, text), { maxKeys: 9 }), (event) => {
        assert.deepEqual(encode({ action: 'a', ...event }), encode({ action: 'a', ...event }))
      }),
      { numRuns: 60 },
    )
  })
})
