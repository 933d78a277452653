/** Events as they lie in the outbox: what was admitted comes out as it was, and any bytes come out as some event. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeRecord } from '../../src/event/record.ts'
import { recordBytesMax } from '../../src/limits.ts'
import { decodeEnlisted, encodeEnlisted, parseEnlisted } from '../../src/postgres/enlisted.ts'
import { hostileEvent } from '../event/arbitraries.ts'
import { position } from '../event/positions.ts'

function roundTrip(event: ReturnType<typeof convertEvent>) {
  return decodeEnlisted(Buffer.from(encodeEnlisted(event)))
}

describe('an enlisted event', () => {
  it('gives the record that it would have given at once, whatever was emitted', () => {
    fc.assert(
      fc.property(hostileEvent, (make) => {
        const event = convertEvent(make())
        const expected = encodeRecord(event, position)
        if (Buffer.byteLength(expected) > recordBytesMax - 1_024) return // trimmed for a longer place
        if (expected.includes('"truncated"')) return // the mark of a cut stands at the limit, and is cut once more
        assert.equal(encodeRecord(roundTrip(event), position), expected)
      }),
    )
  })

  it('keeps what policy and redaction have said of it', () => {
    const event = convertEvent({ action: 'user.update', details: { '10': 1, '9': 2 } })
    event.level = 'writes_only'
    event.policy = 'ab'.repeat(32)
    event.redactions = [{ count: 1, pointer: '/details/password', rule: 'key:password' }]
    event.resource = { 'cloud.region': 'eu' }
    event.sampling = { rate: 0.5, threshold: '8' }
    event.schema = '3'
    event.service = 'billing'
    event.validation = [{ pointer: '/actor', rule: 'missing' }]
    assert.equal(encodeRecord(roundTrip(event), position), encodeRecord(event, position))
  })

  it('that is too long is trimmed before it is enlisted, and then never again', () => {
    const event = convertEvent({
      action: 'a',
      schema: '2',
      details: { text: 'x'.repeat(recordBytesMax), note: 'kept' },
    })
    const text = encodeEnlisted(event)
    assert.ok(Buffer.byteLength(text) < recordBytesMax)
    const record = JSON.parse(encodeRecord(decodeEnlisted(Buffer.from(text)), position))
    assert.equal(record.details.text.trimmed, true)
    assert.equal(record.details.note, 'kept')
    assert.equal(record.schema, '1;a=2')
    assert.equal(record.validation, undefined)
    assert.equal(record.timestamp, position.recorded)
  })

  it('comes out of any bytes, and has the form of a record', () => {
    const hostile = [
      '{"redactions":[1],"level":7,"resource":[],"sampling":"x","policy":{}}',
      '"text"',
      '[]',
      'null',
      '{',
    ]
    const surrogate = encodeRecord(decodeEnlisted(Buffer.from('{"service":"\\ud800"}')), position)
    assert.equal(JSON.parse(surrogate).service, '\ufffd')
    const deep = `{"details":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    for (const text of [...hostile, deep, '{"__proto__":{"a":1},"action":5}', '\u0000\ufffd']) {
      const event = decodeEnlisted(Buffer.from(text))
      const record = JSON.parse(encodeRecord(event, position))
      assert.equal(typeof record.action, 'string')
      assert.equal(record.level, undefined)
      assert.ok(encodeRecord(convertEvent(parseEnlisted(Buffer.from(text))), position).length > 0)
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.ok(encodeRecord(decodeEnlisted(Buffer.from(bytes)), position).length > 0)
      }),
    )
  })
})
