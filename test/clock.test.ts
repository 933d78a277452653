import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatTimestamp, normalizeTimestamp, timestampNanos } from '../src/clock.ts'

test('a time is written with nine fractional digits, whatever was written before it', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') }), fc.nat(999_999)),
      ),
      (times) => {
        for (const [date, nanos] of times) {
          const [seconds, fraction] = date.toISOString().slice(0, -1).split('.')
          assert.equal(
            formatTimestamp(date.getTime(), nanos),
            `${seconds}.${fraction}${String(nanos).padStart(6, '0')}Z`,
          )
          assert.equal(formatTimestamp(date.getTime()), `${seconds}.${fraction}000000Z`)
        }
      },
    ),
  )
})

test('years that RFC 3339 does not have give nothing', () => {
  assert.equal(formatTimestamp(Date.parse('0000-01-01T00:00:00Z')), '0000-01-01T00:00:00.000000000Z')
  for (const ms of [
    Date.parse('0000-01-01T00:00:00Z') - 1,
    253_402_300_800_000,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ]) {
    assert.equal(formatTimestamp(ms), undefined)
  }
})

const normalized = [
  ['2026-11-22T10:00:00Z', '2026-11-22T10:00:00.000000000Z'],
  ['2026-11-22T10:00:00.1234567899+01:00', '2026-11-22T09:00:00.123456789Z'],
  ['2026-11-22t10:00:00.5z', '2026-11-22T10:00:00.500000000Z'],
  ['2026-11-22', undefined],
  ['2026-13-22T10:00:00Z', undefined],
  ['yesterday', undefined],
] as const

for (const [text, expected] of normalized) {
  test(`${text} is read as ${expected ?? 'no time'}`, () => {
    assert.equal(normalizeTimestamp(text), expected)
  })
}

test('nanoseconds are exact', () => {
  assert.equal(
    timestampNanos('2026-11-22T10:00:00.123456789Z'),
    BigInt(Date.parse('2026-11-22T10:00:00Z')) * 1_000_000n + 123_456_789n,
  )
})
