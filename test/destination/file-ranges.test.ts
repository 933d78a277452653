import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import { describeDeleted } from '../../src/destination/file-ranges.ts'
import { makeRecord, stream } from './records.ts'

async function* linesOf(...records: readonly { readonly bytes: Buffer }[]): AsyncGenerator<Buffer> {
  for (const { bytes } of records) yield bytes
}

const hashOf = (sequence: number) => leafHash(makeRecord(sequence).bytes)

/** A record that says what was deleted before. */
function deletion(sequence: number, ranges: readonly object[], destination = 'file') {
  const details = { destination, file: 'audit.ndjson.000001.gz', ranges, records: 1 }
  return makeRecord(sequence, { action: 'audit.file.deleted', details, event_type: 'audit.file.deleted' })
}

test('each stream is told with its first and last number, and the hash of the last', async () => {
  const other = { bytes: makeRecord(1, { stream: 'b' }).bytes }
  assert.deepEqual(await describeDeleted(linesOf(makeRecord(4), makeRecord(5), other), 'file'), {
    records: 3,
    ranges: [
      { stream, from: 4, to: 5, hash: hashOf(5) },
      { stream: 'b', from: 1, to: 1, hash: leafHash(other.bytes) },
    ],
  })
})

test('what a file says of files deleted before goes on being said, joined where it touches', async () => {
  const gone = { stream, from: 1, to: 3, hash: hashOf(3) }
  const last = deletion(5, [gone])
  const { ranges } = await describeDeleted(linesOf(makeRecord(4), last), 'file')
  assert.deepEqual(ranges, [{ stream, from: 1, to: 5, hash: leafHash(last.bytes) }])
})

test('what lies apart stays apart, and what another destination deleted is not said', async () => {
  const apart = { stream, from: 1, to: 2, hash: hashOf(2) }
  const elsewhere = deletion(5, [{ stream, from: 1, to: 3, hash: hashOf(3) }], 'other')
  const last = deletion(6, [apart, { stream: 7 }])
  const { ranges } = await describeDeleted(linesOf(makeRecord(4), elsewhere, last), 'file')
  assert.deepEqual(ranges, [apart, { stream, from: 4, to: 6, hash: leafHash(last.bytes) }])
})

test('lines that are no records are not counted', async () => {
  assert.deepEqual(await describeDeleted(linesOf({ bytes: Buffer.from('note') }, makeRecord(1)), 'file'), {
    records: 1,
    ranges: [{ stream, from: 1, to: 1, hash: hashOf(1) }],
  })
})
