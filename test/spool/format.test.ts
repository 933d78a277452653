import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import {
  decodeFrame,
  encodeFrame,
  frameBytes,
  frameHeaderBytes,
  nextSector,
  segmentName,
  segmentNumber,
} from '../../src/spool/format.ts'
import {
  decodeSegmentFrontier,
  decodeSegmentHeader,
  encodeSegmentFrontier,
  encodeSegmentHeader,
  type SegmentHeader,
} from '../../src/spool/segment-header.ts'

const header: SegmentHeader = {
  kind: 'explicit',
  spoolId: '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071',
  stream: '5e884898-da28-4715-a1d0-1b6b9c2f0e11',
  segment: 7,
  salt: 0xdeadbeef,
  epoch: 3,
  previous: 5,
  base: 2 ** 33 + 1,
  previousLength: 70_000,
  publishedLength: 4_096,
  previousHash: 'ab'.repeat(32),
  createdMs: 1_795_000_000_123,
}

const frameHeader = {
  flags: 1,
  salt: 0xdeadbeef,
  number: 9,
  sequence: 2 ** 40 + 5,
  previousCrc: 77,
  known: { segment: 6, offset: 512 },
}

function frameOf(record: string, attachment = ''): Buffer {
  const load = { record: Buffer.byteLength(record), attachment: Buffer.byteLength(attachment) }
  const bytes = Buffer.alloc(frameBytes(load), 0xee)
  bytes.write(record + attachment, frameHeaderBytes)
  encodeFrame(bytes, frameHeader, load)
  return bytes
}

test('a segment header is read as it was written', () => {
  const decoded = decodeSegmentHeader(encodeSegmentHeader(header))
  assert.ok(decoded.ok)
  assert.deepEqual(decoded.header, header)
})

test('a segment header with any flipped bit in its first sector is refused', () => {
  const bytes = encodeSegmentHeader(header)
  for (let bit = 0; bit < 512 * 8; bit += 1) {
    const copy = Buffer.from(bytes)
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(decodeSegmentHeader(copy).ok, false, `bit ${bit}`)
  }
})

test('a later format version is named; one whose checksum does not hold is damage', () => {
  const bytes = encodeSegmentHeader(header)
  bytes.writeUInt16LE(9, 8)
  const damaged = decodeSegmentHeader(bytes)
  assert.ok(!damaged.ok && damaged.newer !== true)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 508)), 508)
  const decoded = decodeSegmentHeader(bytes)
  assert.ok(!decoded.ok && decoded.newer)
  for (const { reason } of [damaged, decoded]) assert.match(reason, /version 9/)
})

test('the frontier block is read as it was written, and not at all when damaged', () => {
  const frontier = {
    base: 6,
    previousHash: 'cd'.repeat(32),
    hashes: [Buffer.alloc(32, 1), Buffer.alloc(32, 2)],
    frameCrc: 0xffffffff,
    writtenMs: 1_795_000_000_456,
  }
  const bytes = encodeSegmentHeader(header)
  assert.equal(decodeSegmentFrontier(bytes), undefined)
  const block = encodeSegmentFrontier(frontier)
  block.bytes.copy(bytes, block.offset)
  assert.deepEqual(decodeSegmentFrontier(bytes), frontier)
  for (let at = 0; at < block.bytes.length; at += 1) {
    const copy = Buffer.from(bytes)
    copy[block.offset + at] = (copy[block.offset + at] ?? 0) ^ 0x10
    assert.equal(decodeSegmentFrontier(copy), undefined, `byte ${at}`)
  }
})

const text = fc.string({ unit: 'grapheme', maxLength: 300 })

test('a frame gives back exactly its record, its attachment and its header', () => {
  fc.assert(
    fc.property(text, text, (record, attachment) => {
      const reading = decodeFrame(frameOf(record, attachment), 0, frameHeader.salt)
      assert.ok(reading.kind === 'frame')
      assert.equal(reading.frame.record.toString(), record)
      assert.equal(reading.frame.attachment.toString(), attachment)
      const { flags, salt, number, sequence, previousCrc, known } = reading.frame
      assert.deepEqual({ flags, salt, number, sequence, previousCrc, known }, frameHeader)
      assert.equal(reading.frame.end % 8, 0)
    }),
  )
})

test('a frame with any flipped bit is none', () => {
  const record = '{"action":"a"}'
  const bytes = frameOf(record, 'beside it')
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const copy = Buffer.from(bytes)
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.notEqual(decodeFrame(copy, 0, frameHeader.salt).kind, 'frame', `bit ${bit}`)
  }
})

test('a frame that lacks its last bytes is never read as whole', () => {
  const record = 'x'.repeat(20)
  const bytes = frameOf(record)
  for (let length = 0; length < bytes.length; length += 1) {
    const reading = decodeFrame(bytes.subarray(0, length), 0, frameHeader.salt)
    assert.notEqual(reading.kind, 'frame', `${length} bytes`)
    const zeroed = Buffer.alloc(bytes.length)
    bytes.copy(zeroed, 0, 0, length)
    assert.notEqual(decodeFrame(zeroed, 0, frameHeader.salt).kind, 'frame', `${length} bytes, then zeros`)
  }
})

test('a frame of another segment is none', () => {
  assert.equal(decodeFrame(frameOf('x'), 0, 1).kind, 'none')
})

test('sectors and names', () => {
  assert.deepEqual([0, 1, 511, 512, 513].map(nextSector), [0, 512, 512, 512, 1024])
  assert.equal(segmentName(12), 'seg-00000012.wal')
  assert.equal(segmentNumber('seg-00000012.wal'), 12)
  for (const name of ['seg-12.wal', 'seg-00000012.wal.tmp', 'control', 'xseg-00000012.wal'])
    assert.equal(segmentNumber(name), undefined)
})
