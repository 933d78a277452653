/**
 * What holds of an encoder of ours: its requests are those of the library's serializer, to the byte.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import fc from 'fast-check'
import { toLogRecords } from '../../src/destination/log-records.ts'
import type { RequestEncoder } from '../../src/destination/otlp-request.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeRecord, type StoredRecord } from '../../src/event/record.ts'
import { hostileEvent } from '../event/arbitraries.ts'
import { position } from '../event/positions.ts'
import { batchOf, makeRecord, stream } from './records.ts'

export function testEncoder(
  create: () => RequestEncoder,
  library: Pick<typeof ProtobufLogsSerializer, 'serializeRequest'>,
): void {
  // One for all: what one request leaves in the buffer must not show in the next.
  const encoder = create()

  /** The library's encoder, through strings and objects, must give the very same bytes. */
  function assertSameAsLibrary(records: readonly StoredRecord[], subject = encoder): void {
    const expected = library.serializeRequest(toLogRecords(records))
    assert.ok(expected !== undefined)
    const actual = Buffer.from(subject.encode(records))
    if (actual.equals(expected)) return
    // Only for the message: a difference of half a megabyte takes minutes to print.
    const at = actual.findIndex((byte, index) => byte !== expected[index])
    const around = (bytes: Uint8Array) => Buffer.from(bytes.subarray(Math.max(0, at - 60), at + 60)).toString('latin1')
    assert.equal(around(actual), around(expected), `from byte ${at} of ${actual.length} and ${expected.length}`)
    assert.equal(actual.length, expected.length)
  }

  const stored = (text: string | Buffer): StoredRecord => ({ stream, sequence: 1, bytes: Buffer.from(text) })

  test('typical records are encoded as the library does', () => {
    assertSameAsLibrary(batchOf(1, 600).records)
  })

  test('whatever was sealed is encoded as the library does, in any company', () => {
    const sealed = hostileEvent.map((make) => stored(encodeRecord(convertEvent(make()), position)))
    fc.assert(
      fc.property(fc.array(sealed, { minLength: 1, maxLength: 4 }), (records) => assertSameAsLibrary(records)),
      { numRuns: 300 },
    )
  })

  const resource = fc.option(fc.dictionary(fc.constantFrom('service.name', '10', '9', 'k', 'ü"'), fc.jsonValue()), {
    nil: undefined,
  })
  const service = fc.constantFrom(undefined, '', 'null', 'a', 'b"', '{}')

  test('records of several resources are grouped as the library does', () => {
    const record = fc.tuple(service, resource).map(([name, rest]) => makeRecord(1, { resource: rest, service: name }))
    fc.assert(fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), (records) => assertSameAsLibrary(records)))
  })

  test('numbers of every size are encoded as the library does', () => {
    const value = fc.oneof(
      fc.double(),
      fc.maxSafeInteger(),
      fc.constantFrom(
        0,
        -0,
        127,
        128,
        2 ** 31,
        2 ** 32 - 1,
        2 ** 32,
        2 ** 53,
        2 ** 63,
        -(2 ** 63),
        -(2 ** 70),
        -1,
        1e300,
      ),
    )
    fc.assert(
      fc.property(value, (status) => assertSameAsLibrary([makeRecord(1, { request: { status }, seq: status })])),
    )
  })

  for (const length of [0, 100, 127, 128, 15_000, 15_300, 15_400, 16_383, 16_384, 48_000]) {
    test(`a text of ${length} bytes is encoded as the library does`, () => {
      assertSameAsLibrary([makeRecord(1, { reason: 'r'.repeat(length) })])
      assertSameAsLibrary([makeRecord(1, { tenant: 't'.repeat(length) })])
      assertSameAsLibrary([makeRecord(1, { tenant: 'é\n'.repeat(length / 8) })])
    })
  }

  test('records whose attributes are as long as their bodies find room', () => {
    const fresh = create()
    // The third ends where the first buffer does.
    const records = [1, 2, 3].map((sequence) => makeRecord(sequence, { tenant: 't'.repeat(48_000) }))
    assertSameAsLibrary(records, fresh)
  })

  test('what is no record of ours is carried as the library does', () => {
    const damaged = Buffer.concat([Buffer.from('{"action":"a'), Buffer.from([0xff, 0xc0]), Buffer.from('"}')])
    for (const text of ['', 'no JSON', '[]', '{"action":', '{"action":"a\nb"}', damaged])
      assertSameAsLibrary([stored(text)])
  })

  test('a resource longer than the room in front of the records is encoded as the library does', () => {
    for (const length of [900, 1_000, 1_024, 1_100, 5_000])
      assertSameAsLibrary([makeRecord(1, { resource: { k: 'r'.repeat(length) } })])
  })
}
