/** The comparison with records of the same shape against the scan: both say the same of whatever bytes. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { canonicalize, type JsonValue } from '../../src/event/canonical.ts'
import { type ScannedRecord, scanRecord } from '../../src/event/record-scan.ts'
import { RecordShapes } from '../../src/event/record-shapes.ts'
import { makeKeys, makeTrail } from '../support/trail.ts'

const stream = '019b7c2f-1111-7000-8000-000000000001'
const lines = makeTrail({ stream, keys: makeKeys('prod'), records: 20, interval: 8 }).lines.map((line) =>
  Buffer.from(line),
)
/** A record with something of everything that a text of JSON can have. */
const rich = Buffer.from(
  canonicalize({
    action: 'a',
    clock: '2026-01-01T00:00:00.000000000Z',
    details: { amount: 12, list: [1, -2, 0, 'x', '', [], {}, null, true], note: 'say "no"', text: 'é', zero: 0 },
    event_type: 'audit',
    prev: 'ab'.repeat(32),
    recorded: '2026-01-01T00:00:00.000000000Z',
    seq: 109,
    stream,
    target: { seq: 300, stream: 'x' },
    z: -7,
  }),
)
const bytesTried = Buffer.from('\0\n",-0:[\\]a{}9\x7f\xc3 ', 'latin1')

function shown(scanned: ScannedRecord | undefined): unknown {
  if (scanned === undefined) return undefined
  const { seq, eventType, hasClock, prev, recorded, prevFrom, prevTo, recordedFrom, recordedTo } = scanned
  return [scanned.stream, seq, eventType, hasClock, prev, recorded, prevFrom, prevTo, recordedFrom, recordedTo]
}

/** Memory of its own, so that nothing is read beyond the bytes. */
function alone(...parts: Uint8Array[]): Buffer {
  return Buffer.from(new Uint8Array(Buffer.concat(parts)).buffer)
}

function assertSame(shapes: RecordShapes, bytes: Buffer): void {
  const found = shown(shapes.scan(bytes))
  assert.deepEqual(found, shown(scanRecord(bytes)), bytes.toString('latin1'))
}

it('says what the scan says of every record of a trail, in any order', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...lines, rich), { maxLength: 40 }), (order) => {
      const shapes = new RecordShapes()
      for (const line of order) assertSame(shapes, line)
    }),
    { numRuns: 200 },
  )
})

it('says what the scan says after any one byte of a record of a known shape is changed, taken away or put in', () => {
  for (const bytes of [rich, lines[4] ?? rich]) {
    for (let at = 0; at <= bytes.length; at += 1) {
      const shapes = new RecordShapes()
      shapes.scan(bytes)
      const [before, rest] = [bytes.subarray(0, at), bytes.subarray(at + 1)]
      for (const byte of bytesTried) {
        assertSame(shapes, alone(before, Buffer.of(byte), rest))
        shapes.scan(bytes)
        assertSame(shapes, alone(before, Buffer.of(byte), bytes.subarray(at)))
        shapes.scan(bytes)
      }
      assertSame(shapes, alone(before, rest))
      assertSame(shapes, alone(before))
    }
  }
})

it('says what the scan says of any two records one after the other', () => {
  const key = fc.constantFrom('a', 'b', 'event_type', 'prev', 'recorded', 'seq', 'stream', 'z', 'clock')
  const text = fc.oneof(
    fc.constantFrom('', 'audit', 'audit.checkpoint', '\\', '"', 'é', stream),
    fc.string({ maxLength: 8 }),
  )
  const inner = fc.oneof(text, fc.integer(), fc.nat(12), fc.constantFrom(true, null, 1.5, -0, 1e21))
  const value = fc.oneof(
    inner,
    fc.array(inner, { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'seq'), inner, { maxKeys: 2 }),
  )
  const members = fc.dictionary(key, value, { maxKeys: 6 })
  const usual = { event_type: 'audit', prev: 'ab'.repeat(32), recorded: '2026', seq: 7, stream }
  const record = fc
    .tuple(members, fc.boolean())
    .map(([own, isLike]) => (isLike ? { ...usual, ...own } : { ...own, ...usual }))
  fc.assert(
    fc.property(fc.array(record, { minLength: 2, maxLength: 12 }), (records) => {
      const shapes = new RecordShapes()
      for (const one of records) {
        if (JSON.stringify(one).isWellFormed()) assertSame(shapes, alone(Buffer.from(canonicalize(one as JsonValue))))
      }
    }),
    { numRuns: 2_000 },
  )
})

it('looks for no shape where none is had twice', () => {
  const shapes = new RecordShapes()
  for (let index = 1; index <= 3_000; index += 1) {
    const members = {
      [`k${index}`]: index,
      event_type: 'audit',
      prev: 'ab'.repeat(32),
      recorded: 'r',
      seq: index,
      stream,
    }
    assertSame(shapes, Buffer.from(canonicalize(members)))
  }
  for (const line of lines) assertSame(shapes, line)
})
