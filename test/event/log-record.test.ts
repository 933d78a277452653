import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type LogRecord as ApiLogRecord, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { LoggerProvider, type ReadWriteLogRecord } from '@opentelemetry/sdk-logs'
import fc from 'fast-check'
import { convertEvent } from '../../src/event/convert.ts'
import { eventFromLogRecord, projectRecord, traceFromSpanContext } from '../../src/event/log-record.ts'
import { encodeRecord, parseRecord, type RecordMembers } from '../../src/event/record.ts'
import { hostileEvent } from './arbitraries.ts'
import { position } from './positions.ts'

/** What a processor of the real SDK is handed when a logger emits. */
function handed(emitted: ApiLogRecord): ReadWriteLogRecord {
  const records: ReadWriteLogRecord[] = []
  const processor = {
    onEmit: (record: ReadWriteLogRecord) => void records.push(record),
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  }
  new LoggerProvider({ processors: [processor] }).getLogger('test').emit(emitted)
  const [record] = records
  assert.ok(record !== undefined)
  return record
}

const encode = (input: unknown): string => encodeRecord(convertEvent(input), position)
const sealed = (emitted: ApiLogRecord, ours = true): RecordMembers | undefined => {
  const input = eventFromLogRecord(handed(emitted), { ours })
  return input === undefined ? undefined : parseRecord(Buffer.from(encode(input)))
}

const event = {
  action: 'invoice.delete',
  operation: 'delete',
  actor: { type: 'user', id: 'u-1' },
  target: { resource_type: 'invoice', id: '42' },
  outcome: 'denied',
  error: { class: 'auth_failure' },
  request: { source_ip: '::1', user_agent: 'ua', method: 'DELETE', route: '/i/:id', status: 403 },
  tenant: 'acme',
  session: 's',
  correlation_id: 'c',
}

const attributes = {
  'audit.action': 'invoice.delete',
  'audit.operation': 'delete',
  'audit.actor.type': 'user',
  'audit.actor.id': 'u-1',
  'audit.target.type': 'invoice',
  'audit.target.id': '42',
  'audit.outcome': 'denied',
  'error.type': 'auth_failure',
  'client.address': '::1',
  'user_agent.original': 'ua',
  'http.request.method': 'DELETE',
  'http.route': '/i/:id',
  'http.response.status_code': 403,
  'audit.tenant.id': 'acme',
  'session.id': 's',
  'audit.correlation.id': 'c',
}

describe('a log record', () => {
  it('gives the same record as the event in its body, or spelled out in its attributes', () => {
    const expected = encode(event)
    assert.equal(encode(eventFromLogRecord(handed({ body: event }), { ours: true })), expected)
    assert.equal(encode(eventFromLogRecord(handed({ attributes }), { ours: false })), expected)
    const { action, ...rest } = event
    assert.equal(encode(eventFromLogRecord(handed({ body: rest, eventName: action }), { ours: true })), expected)
  })

  it('of our own loggers passes its body on untouched', () => {
    assert.equal(eventFromLogRecord(handed({ body: event }), { ours: true }), event)
  })

  it('of others is an audit record only with the attribute audit.action', () => {
    assert.equal(sealed({ body: event }, false), undefined)
    assert.equal(sealed({ body: 'text', attributes: { 'audit.actor.id': 'u' } }, false), undefined)
    assert.equal(sealed({ attributes: { 'audit.action': 'a' } }, false)?.action, 'a')
  })

  it('fills from attributes what the body lacks, and nothing else', () => {
    const body = { action: 'body.wins', actor: { id: 'u-body' }, details: { note: 'kept', color: 'blue' } }
    const record = sealed({ body, attributes: { ...attributes, color: 'red' }, eventName: 'loses' }, false)
    assert.equal(record?.action, 'body.wins')
    assert.deepEqual(record?.actor, { id: 'u-body', type: 'user' })
    assert.deepEqual(record?.details, { color: 'blue', 'color#2': 'red', note: 'kept' })
    assert.equal(record?.tenant, 'acme')
  })

  it('prefers the attribute to the event name', () => {
    assert.equal(sealed({ attributes: { 'audit.action': 'a' }, eventName: 'b' })?.action, 'a')
    assert.equal(sealed({ eventName: 'b' })?.action, 'b')
  })

  it('keeps other attributes in details, also such as would be members of an event or of ours', () => {
    const other = {
      reason: 'r',
      seq: 5,
      'audit.sequence.number': 9,
      'audit.level': 'all',
      'log.record.uid': 'i',
      __proto__x: 1,
    }
    assert.deepEqual(sealed({ body: { action: 'a' }, attributes: other })?.details, other)
  })

  it('keeps a body that is no object', () => {
    const record = sealed({ body: 'hello', attributes: { 'audit.action': 'a' } }, false)
    assert.deepEqual([record?.action, record?.details, record?.validation], ['a', { body: 'hello' }, undefined])
    assert.deepEqual(sealed({ body: [1, 'x'], eventName: 'a' })?.details, { body: [1, 'x'] })
  })

  it('happened when somebody said it did, to the nanosecond', () => {
    const timestamp: [number, number] = [1_790_000_000, 123_456_789]
    assert.equal(sealed({ body: { action: 'a' }, timestamp })?.timestamp, '2026-09-21T14:13:20.123456789Z')
    const said = { action: 'a', timestamp: '2026-01-01T00:00:00Z' }
    assert.equal(sealed({ body: said, timestamp })?.timestamp, '2026-01-01T00:00:00.000000000Z')
    const replayed = { body: { action: 'a' }, timestamp, observedTimestamp: timestamp }
    assert.equal(sealed(replayed)?.timestamp, '2026-09-21T14:13:20.123456789Z')
  })

  it('without a time happened when it was sealed', () => {
    assert.equal(sealed({ body: { action: 'a' } })?.timestamp, position.recorded)
    assert.equal(sealed({ attributes: { 'audit.action': 'a' } })?.timestamp, position.recorded)
  })

  it('has the trace context of its span', () => {
    const spanContext = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 }
    const record = handed({ body: event, context: trace.setSpanContext(ROOT_CONTEXT, spanContext) })
    assert.deepEqual(traceFromSpanContext(record.spanContext), {
      id: spanContext.traceId,
      span: spanContext.spanId,
      flags: 1,
    })
    assert.equal(traceFromSpanContext(undefined), undefined)
  })

  it('may have any body whatever', () => {
    fc.assert(
      fc.property(hostileEvent, (make) => {
        const record = {
          hrTime: [0, 0],
          hrTimeObserved: [1, 0],
          body: make(),
          attributes: { 'audit.action': 'a', x: 1 },
        } as const
        encode(eventFromLogRecord(record, { ours: true }))
      }),
      { numRuns: 100 },
    )
  })

  it('may have any times whatever', () => {
    fc.assert(
      fc.property(fc.tuple(fc.double(), fc.double()), fc.tuple(fc.double(), fc.double()), (hrTime, hrTimeObserved) => {
        encode(eventFromLogRecord({ hrTime, hrTimeObserved }, { ours: true }))
      }),
    )
  })
})

describe('the projection of a record', () => {
  const full = {
    ...event,
    schema: '2',
    trace: { id: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7', flags: 1 },
    timestamp: '2026-11-22T09:29:59.000000001Z',
  }
  const hash = 'a'.repeat(64)
  const project = (input: unknown) => projectRecord(parseRecord(Buffer.from(encode(input))), hash)

  it('has every attribute of the format', () => {
    const converted = convertEvent(full)
    converted.level = 'writes_only'
    assert.deepEqual(projectRecord(parseRecord(Buffer.from(encodeRecord(converted, position))), hash), {
      eventName: 'invoice.delete',
      timeUnixNano: 1_795_339_799_000_000_001n,
      observedTimeUnixNano: 1_795_339_800_123_000_000n,
      severityNumber: 13,
      severityText: 'WARN',
      attributes: {
        ...attributes,
        'audit.schema.version': '1;invoice.delete=2',
        'audit.level': 'writes_only',
        'log.record.uid': position.id,
        'audit.record.id': position.id,
        'audit.record.hash': hash,
        'audit.sequence.stream_id': position.stream,
        'audit.sequence.number': 7,
        'audit.sequence.previous_hash': position.previousHash,
      },
      trace: { flags: 1, id: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7' },
    })
  })

  it('warns of failures and denials only', () => {
    const severity = (outcome: string | undefined) => project({ action: 'a', outcome }).severityText
    assert.deepEqual(['success', 'failure', 'denied', 'unknown', undefined].map(severity), [
      'INFO',
      'WARN',
      'WARN',
      'INFO',
      'INFO',
    ])
  })

  it('has no attribute for what the record lacks', () => {
    assert.deepEqual(Object.keys(project({ action: 'a' }).attributes).sort(), [
      'audit.action',
      'audit.record.hash',
      'audit.record.id',
      'audit.schema.version',
      'audit.sequence.number',
      'audit.sequence.previous_hash',
      'audit.sequence.stream_id',
      'log.record.uid',
    ])
  })

  it('says 0 for times that OTLP cannot hold', () => {
    for (const timestamp of [
      '1969-12-31T23:59:59.000000000Z',
      '2555-01-01T00:00:00.000000000Z',
      '2026-13-01T00:00:00.000000000Z',
      'x',
    ]) {
      const { timeUnixNano } = projectRecord({ timestamp }, hash)
      assert.equal(timeUnixNano, 0n, timestamp)
    }
  })

  it('never throws, whatever a copy holds', () => {
    const names = [
      'action',
      'actor',
      'target',
      'trace',
      'timestamp',
      'recorded',
      'seq',
      'request',
      'outcome',
      'error',
      'id',
      'prev',
    ]
    assert.equal(projectRecord(undefined, hash).eventName, '')
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.jsonValue()), (record) => {
        const { attributes: projected } = projectRecord(parseRecord(Buffer.from(JSON.stringify(record))), hash)
        for (const value of Object.values(projected)) assert.ok(['string', 'number'].includes(typeof value))
      }),
    )
  })
})
