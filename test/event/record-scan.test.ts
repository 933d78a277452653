/** The scan against the parser: where it answers, both say the same, however hostile the bytes are. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { canonicalize, type JsonValue } from '../../src/event/canonical.ts'
import { parseRecord } from '../../src/event/record.ts'
import { scanRecord } from '../../src/event/record-scan.ts'
import { makeKeys, makeTrail } from '../support/trail.ts'

const lines = makeTrail({
  stream: '019b7c2f-1111-7000-8000-000000000001',
  keys: makeKeys('prod'),
  records: 20,
  interval: 8,
}).lines

/** Whether the scan answered; what it answered must be what the parser says. */
function assertAgrees(bytes: Buffer): boolean {
  const scanned = scanRecord(bytes)
  if (scanned === undefined) return false
  const { stream, seq, prev, recorded, eventType, hasClock } = scanned
  const members = parseRecord(bytes)
  const shown = bytes.toString('latin1')
  assert.ok(members !== undefined, `a parser refuses ${shown}`)
  const texts = [members.stream, members.prev, members.recorded, members.event_type].map((text) => text ?? '')
  assert.deepEqual([stream, prev, recorded, eventType], texts, shown)
  assert.deepEqual([seq, hasClock], [members.seq ?? 0, members.clock !== undefined], shown)
  return true
}

it('answers for every record of a trail', () => {
  for (const line of lines) assert.ok(assertAgrees(Buffer.from(line)), line)
})

it('says what the parser says after any one byte is changed, taken away or put in', () => {
  const bytes = Buffer.from(lines[4] ?? '')
  for (let at = 0; at < bytes.length; at += 1) {
    for (const byte of [
      0x00, 0x0a, 0x22, 0x2c, 0x2d, 0x30, 0x31, 0x3a, 0x5b, 0x5c, 0x5d, 0x61, 0x7b, 0x7d, 0xc3, 0xff,
    ]) {
      const changed = Buffer.from(bytes)
      changed[at] = byte
      assertAgrees(changed)
      assertAgrees(Buffer.concat([bytes.subarray(0, at), Buffer.of(byte), bytes.subarray(at)]))
    }
    assertAgrees(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]))
    assertAgrees(bytes.subarray(0, at))
  }
})

it('says what the parser says of any canonical object', () => {
  const key = fc.oneof(
    fc.constantFrom('seq', 'prev', 'stream', 'recorded', 'clock', 'event_type', 'a', 'z', 'é'),
    fc.string({ unit: 'grapheme' }),
  )
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('audit', 'audit.checkpoint', 'ab'.repeat(32), '', 'é', '"', '\\', '\u0000', '\u007f'),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.constantFrom(0, -0, 1e15, 1e16, 1e21, 2 ** 53),
    fc.dictionary(key, fc.jsonValue(), { maxKeys: 4 }),
  )
  let answered = 0
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 12 }), (members) => {
      const isPlain = (one: unknown): one is JsonValue => JSON.stringify(one)?.isWellFormed() ?? false
      const kept = JSON.parse(JSON.stringify(members)) as JsonValue
      if (isPlain(kept) && assertAgrees(Buffer.from(canonicalizeOr(kept)))) answered += 1
    }),
    { numRuns: 3_000 },
  )
  assert.ok(answered > 150, `it answered only ${answered} times`)
})

it('says what the parser says of bytes put together at random from pieces of records', () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u00',
    '\\"',
    '"seq":7',
    '"seq":07',
    '"seq":-1',
    '"stream":"x"',
    '"prev":"y"',
    '"a":',
    '1',
    '-',
    '-0',
    '0',
    '1.5',
    '1e3',
    'true',
    'fals',
    'null',
    ' ',
    '\n',
    '\u0000',
    'é',
    '"s\\u0065q":9',
    '"clock":"z"',
    '"clock":1',
    '{"a":1}',
    '[1,2]',
    '[]',
    '{}',
    '[,]',
    '{"seq":1}',
  ]
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 14 }), fc.boolean(), (parts, isWrapped) => {
      const text = parts.join('')
      assertAgrees(Buffer.from(isWrapped ? `{${text}}` : text))
      assertAgrees(Buffer.from(`{"a":${text},"stream":"x"}`))
    }),
    { numRuns: 20_000 },
  )
})

it('leaves to the parser what JSON allows and a record never is', () => {
  for (const text of [
    '{"seq":1,"seq":2}',
    '{"stream":"x","seq":1}',
    '{"a": 1}',
    '{"a":1.5}',
    '{"seq":1e3}',
    '{"s\\u0065q":1}',
    '{"stream":"\\u0078"}',
    '{"stream":"é"}',
    `{"a":${'['.repeat(60)}${']'.repeat(60)}}`,
    '{"seq":1}\n',
    '{"seq":1}x',
    '[]',
    '',
  ])
    assert.equal(scanRecord(Buffer.from(text)), undefined, text)
})

function canonicalizeOr(value: JsonValue): string {
  try {
    return canonicalize(value)
  } catch {
    return JSON.stringify(value)
  }
}
