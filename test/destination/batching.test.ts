import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchingOf } from '../../src/destination/batching.ts'

test('what the options say counts, then what suits the type, then nothing', () => {
  const s3 = { type: 's3', bucket: 'audit' } as const
  assert.deepEqual(batchingOf(s3), { flushIntervalMs: 10_000, batchRecordsMax: 10_000, batchBytesMax: undefined })
  assert.partialDeepStrictEqual(batchingOf({ ...s3, flushIntervalMs: 0, batchRecordsMax: 7 }), {
    flushIntervalMs: 0,
    batchRecordsMax: 7,
  })
  const nothing = { flushIntervalMs: undefined, batchRecordsMax: undefined, batchBytesMax: undefined }
  assert.deepEqual(batchingOf({ type: 'stdout' }), nothing)
})
