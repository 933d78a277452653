import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { convertEvent } from '../../src/event/convert.ts'
import { FlatProjection, projectedSlots, slots } from '../../src/event/flat-projection.ts'
import { projectRecord } from '../../src/event/log-record.ts'
import { encodeRecord, parseRecord } from '../../src/event/record.ts'
import { hostileEvent } from './arbitraries.ts'
import { position } from './positions.ts'

// One for all, as an encoder has it: what one record leaves behind must not show in the next.
const flat = new FlatProjection()

/** What the places say, in the shape of `projectRecord`. */
function unfold(record: Buffer) {
  flat.read(record)
  const { places, time, observedTime } = flat
  const text = (slot: number) =>
    places.isAbsent(slot) ? undefined : places.source.toString('utf8', places.start(slot), places.end(slot))
  const value = (slot: number) => (places.isNumber(slot) ? places.number(slot) : text(slot))
  const attributes = projectedSlots.map(({ name, slot }) => [name, value(slot)])
  return {
    eventName: text(slots.action) ?? '',
    timeUnixNano: (BigInt(time.high) << 32n) + BigInt(time.low),
    observedTimeUnixNano: (BigInt(observedTime.high) << 32n) + BigInt(observedTime.low),
    isWarning: flat.isWarning,
    attributes: attributes.filter(([, shown]) => shown !== undefined),
    trace: places.isAbsent(slots.traceId)
      ? undefined
      : { flags: flat.traceFlags, id: text(slots.traceId), span: text(slots.traceSpan) },
    service: text(slots.service),
    resource: JSON.parse(text(slots.resource) ?? 'null'),
  }
}

function assertSame(record: Buffer): void {
  const members = parseRecord(record)
  const { severityText, attributes, severityNumber: _, ...projection } = projectRecord(members, '')
  const [, ...shown] = Object.entries(attributes)
  assert.deepEqual(unfold(record), {
    ...projection,
    attributes: shown,
    isWarning: severityText === 'WARN',
    service: members?.service?.toWellFormed(),
    resource: members?.resource === undefined ? null : JSON.parse(JSON.stringify(members.resource)),
  })
}

const memberValue = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.constantFrom('failure', 'denied', '2026-11-22T09:29:59.000000001Z', '1970-01-01T00:00:00.000000000Z'),
  fc.constantFrom('4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7', '"', '\\', '\ud800'),
  fc.integer(),
  fc.double(),
  fc.constantFrom<unknown>(null, true, 1e300, 2 ** 53, -0, 256, []),
)
const parts = ['id', 'type', 'resource_type', 'class', 'source_ip', 'status', 'route', 'flags', 'span', 'prev']
const someObject = fc.dictionary(
  fc.constantFrom(...parts, 'i', 'id ', 'ida', 'é', '', '9', '10'),
  fc.oneof(memberValue, fc.jsonValue({ maxDepth: 2 })),
)
const members = [
  ...['action', 'actor', 'changes', 'correlation_id', 'details', 'error', 'id', 'level', 'outcome', 'prev'],
  ...['recorded', 'request', 'resource', 'schema', 'seq', 'service', 'stream', 'target', 'tenant', 'timestamp'],
  ...['trace', 'a', 'actio', 'actions', 'actor ', '\u{1f600}', '\uffff', '__proto__'],
]
/** Objects with a record's members, each of any type, in any order. */
const anyRecord = fc
  .array(fc.tuple(fc.constantFrom(...members), fc.oneof(memberValue, someObject)), { maxLength: 12 })
  .map((pairs) => pairs.map(([key, value]) => [key, value === undefined ? null : value] as const))

const textOf = (pairs: readonly (readonly [string, unknown])[]): string =>
  `{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`

describe('the flat projection', () => {
  it('says what projectRecord says of whatever was sealed', () => {
    fc.assert(
      fc.property(hostileEvent, (make) => assertSame(Buffer.from(encodeRecord(convertEvent(make()), position)))),
      { numRuns: 300 },
    )
  })

  it('reads a canonical record where it is', () => {
    const details = { prev: 'data', note: 'a "quoted" \\ ünïcode text', list: [1.5, { id: 'x' }] }
    const event = { action: 'a.b', actor: { id: 'ü', roles: ['x'], type: 'user' }, details, request: { status: 403 } }
    const trace = { flags: 1, id: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7' }
    const record = Buffer.from(
      encodeRecord(convertEvent({ ...event, trace, resource: { 'host.name': 'h' } }), position),
    )
    assertSame(record)
    assert.equal(flat.places.source, record)
  })

  it('says it of any object, sorted or not, with keys that come twice and members of any type', () => {
    fc.assert(
      fc.property(anyRecord, fc.boolean(), (pairs, sorted) => {
        const ordered = sorted ? pairs.toSorted(([a], [b]) => (a < b ? -1 : 1)) : pairs
        assertSame(Buffer.from(textOf(ordered)))
      }),
      { numRuns: 2_000 },
    )
  })

  it('says it of other JSON and of no JSON at the top', () => {
    for (const text of [
      '{}',
      '[]',
      'null',
      '"a"',
      '',
      '{',
      '{"action"',
      '{"action":"a"',
      '{"action":"a"}}',
      '{"action":',
    ])
      assertSame(Buffer.from(text))
  })

  for (const text of [
    ' {"action":"a"}',
    '{"action": "a"}',
    '{"action":"a","action":"b"}',
    '{"action":"a","action":5}',
    '{"\\u0061ction":"a"}',
    '{"action":"\\u0061","id":"1"}',
    '{"id":"1","action":"late"}',
    '{"details":{"id":"x","prev":"y","deep":[{"action":"z"}]},"prev":"real"}',
    '{"details":"}{\\"\\\\","id":"after"}',
    '{"seq":007}',
    '{"seq":1234567890123456789}',
    '{"seq":-1}',
    '{"seq":1e3}',
    '{"actor":{"id":5,"type":null}}',
    '{"actor":{},"id":"1"}',
    '{"actor":{"z":1,"id":"unsorted"}}',
    '{"seq":38358322684671985741}', // digit by digit gives another number
    '{"trace":{"flags":1}}',
    '{"trace":{"flags":257,"id":"4bf92f3577b34da6a3ce929d0e0e4736","span":"00f067aa0ba902b7"}}',
    '{"timestamp":"2026-02-31T00:00:00.000000000Z"}',
    '{"timestamp":"2026-11-22T24:00:00.999999999Z"}',
    '{"timestamp":"2026-11-22T09:29:59.99999999ZZ"}',
    '{"timestamp":"2554-07-21T23:34:33.709551615Z"}',
    '{"timestamp":"2554-07-21T23:34:33.709551616Z"}',
    '{"timestamp":"1970-01-01T00:00:00.000000001Z"}',
  ]) {
    it(`says it of ${text}`, () => assertSame(Buffer.from(text)))
  }
})
