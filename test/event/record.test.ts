import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeControl, encodeRecord, parseRecord } from '../../src/event/record.ts'
import { recordBytesMax } from '../../src/limits.ts'
import { position } from './positions.ts'

/** An event with every member that an application or we can give it. */
function fullEvent() {
  const event = convertEvent({
    action: 'invoice.delete',
    operation: 'delete',
    actor: { type: 'user', id: 'u-1', name: 'Ann', on_behalf_of: 'u-2', roles: ['admin'] },
    target: { resource_type: 'invoice', id: '42', name: 'March' },
    targets: [{ id: '1' }],
    tenant: 'acme',
    session: 's',
    grant: 'g',
    outcome: 'denied',
    error: { class: 'auth_failure', code: 'E1', message: 'no' },
    reason: 'why',
    request: { id: 'r', source_ip: '::1', user_agent: 'ua', method: 'DELETE', route: '/i/:id', status: 403 },
    changes: { state: { from: 'open', to: 'deleted' } },
    details: { 9: 'nine', 10: 'ten', a: [{ b: null }] },
    timestamp: '2026-11-22T09:29:59Z',
    duration_ms: 1.5,
    attempts: 2,
    correlation_id: 'c',
    trace: { id: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7', flags: 1 },
    schema: '3',
  })
  event.level = 'all'
  event.policy = 'f'.repeat(64)
  event.redactions = [{ count: 1, pointer: '/details/x', rule: 'key:x' }]
  event.resource = { 'host.name': 'h' }
  event.sampling = { rate: 0.5, threshold: '8' }
  event.service = 'billing'
  event.validation = [{ pointer: '/a', rule: 'type' }]
  return event
}

describe('encodeRecord', () => {
  it('writes every member of the format, canonically', () => {
    const text = encodeRecord(fullEvent(), { ...position, clock: '2026-11-22T09:29:58.000000000Z' })
    assert.equal(
      text,
      `{"action":"invoice.delete","actor":{"id":"u-1","name":"Ann","on_behalf_of":"u-2","roles":["admin"],"type":"user"},"attempts":2,"changes":{"state":{"from":"open","to":"deleted"}},"clock":"2026-11-22T09:29:58.000000000Z","correlation_id":"c","details":{"10":"ten","9":"nine","a":[{"b":null}]},"duration_ms":1.5,"epoch":2,"error":{"class":"auth_failure","code":"E1","message":"no"},"event_type":"audit","grant":"g","id":"${position.id}","level":"all","operation":"delete","outcome":"denied","policy":"${'f'.repeat(64)}","prev":"${position.previousHash}","reason":"why","recorded":"2026-11-22T09:30:00.123000000Z","redactions":[{"count":1,"pointer":"/details/x","rule":"key:x"}],"request":{"id":"r","method":"DELETE","route":"/i/:id","source_ip":"::1","status":403,"user_agent":"ua"},"resource":{"host.name":"h"},"sampling":{"rate":0.5,"threshold":"8"},"schema":"1;invoice.delete=3","seq":7,"service":"billing","session":"s","stream":"${position.stream}","target":{"id":"42","name":"March","resource_type":"invoice"},"targets":[{"id":"1"}],"tenant":"acme","timestamp":"2026-11-22T09:29:59.000000000Z","trace":{"flags":1,"id":"4bf92f3577b34da6a3ce929d0e0e4736","span":"00f067aa0ba902b7"},"v":"1","validation":[{"pointer":"/a","rule":"type"}]}`,
    )
    assert.equal(canonicalize(JSON.parse(text)), text)
  })

  it('leaves out what is not known: the first record of a stream has no predecessor', () => {
    const text = encodeRecord(convertEvent({ action: 'a' }), { ...position, previousHash: undefined })
    assert.equal(
      text,
      `{"action":"a","epoch":2,"event_type":"audit","id":"${position.id}","recorded":"${position.recorded}","schema":"1","seq":7,"stream":"${position.stream}","timestamp":"${position.recorded}","v":"1"}`,
    )
  })

  it('sorts trace context, whatever order it came in', () => {
    const event = convertEvent({ action: 'a' })
    event.trace = { span: '00f067aa0ba902b7', id: '4bf92f3577b34da6a3ce929d0e0e4736', flags: 0 }
    const text = encodeRecord(event, position)
    assert.equal(canonicalize(JSON.parse(text)), text)
  })

  it('leaves the event whole when it must trim, so that it can be encoded again elsewhere', () => {
    const text = 'x'.repeat(recordBytesMax)
    const event = convertEvent({ action: 'a', details: { text, other: 1 } })
    assert.equal(encodeRecord(event, position), encodeRecord(event, position))
    assert.deepEqual(event.details, { other: 1, text })
  })
})

describe('encodeControl', () => {
  it('writes a record whose action is its type', () => {
    const details = { reason: 'start', previous_end: 'none', deployment: 'prod', predecessor: undefined }
    const text = encodeControl(
      { type: 'audit.stream.opened', details, service: 'billing', correlation_id: 'c' },
      position,
    )
    assert.equal(canonicalize(JSON.parse(text)), text)
    const { action, event_type, details: written, service, correlation_id, validation } = JSON.parse(text)
    assert.deepEqual(
      { action, event_type, written, service, correlation_id, validation },
      {
        action: 'audit.stream.opened',
        event_type: 'audit.stream.opened',
        written: { deployment: 'prod', previous_end: 'none', reason: 'start' },
        service: 'billing',
        correlation_id: 'c',
        validation: undefined,
      },
    )
  })

  it('keeps a checkpoint note as it is', () => {
    const note = 'prod/0197c2f4\n7\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n— prod AAAA\n'
    const text = encodeControl({ type: 'audit.checkpoint', details: { note, frontier: ['a', 'b'] } }, position)
    assert.deepEqual(JSON.parse(text).details, { frontier: ['a', 'b'], note })
  })
})

describe('parseRecord', () => {
  it('gives back what was encoded', () => {
    const text = encodeRecord(fullEvent(), position)
    assert.deepEqual(parseRecord(Buffer.from(text)), JSON.parse(text))
  })

  it('reads a part of a larger buffer', () => {
    const bytes = Buffer.from('xx{"seq":1}yy')
    assert.deepEqual(parseRecord(new Uint8Array(bytes.buffer, bytes.byteOffset + 2, 9)), { seq: 1 })
  })

  it('refuses what is no JSON object', () => {
    for (const text of ['', '[]', 'null', '1', '"{}"', '{', '{"a":1}x', '\u0000']) {
      assert.equal(parseRecord(Buffer.from(text)), undefined, text)
    }
  })

  it('takes members of the wrong type for missing, and leaves unknown ones alone', () => {
    const text = '{"seq":"1","stream":5,"actor":[],"details":null,"targets":{},"action":"a","new":[1],"toString":1}'
    assert.deepEqual(parseRecord(Buffer.from(text)), { action: 'a', new: [1], toString: 1 })
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void parseRecord(bytes)))
    fc.assert(fc.property(fc.json(), (text) => void parseRecord(Buffer.from(text))))
    assert.doesNotThrow(() => parseRecord(Buffer.from(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`)))
  })
})
