import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyRoot, foldPair, leafHash, nodeHash, writeLeafHash } from '../../src/chain/hash.ts'
import { recordBytesMax } from '../../src/limits.ts'

const sha256 = (...parts: readonly (string | Uint8Array)[]): string => {
  const digest = createHash('sha256')
  for (const part of parts) digest.update(part)
  return digest.digest('hex')
}

test('the leaf of an empty record is the published RFC 6962 value', () => {
  const expected = '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'
  assert.equal(leafHash(''), expected)
  assert.equal(leafHash(new Uint8Array()), expected)
})

test('a record hashes the same as text and as bytes, whatever was hashed before it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
      const expected = sha256('\0', text)
      assert.equal(leafHash(text), expected)
      assert.equal(leafHash(Buffer.from(text)), expected)
    }),
  )
})

test('a hash is written beside others, and nothing else of the memory that a record lies in', () => {
  // Another thread may be filling it: here what is written into it is the hash itself, just before the record.
  for (const length of [1, 885, recordBytesMax + 1]) {
    const memory = Buffer.alloc(2 ** 17, 'x')
    const record = memory.subarray(96, 96 + length)
    writeLeafHash(record, memory, 64)
    assert.equal(memory.toString('hex', 64, 96), sha256('\0', Buffer.alloc(length, 'x')))
    assert.ok(memory.subarray(0, 64).every((byte) => byte === 0x78))
    assert.ok(memory.subarray(96).every((byte) => byte === 0x78))
  }
})

test('records at and beyond the size limit hash in full', () => {
  for (const length of [recordBytesMax - 1, recordBytesMax, recordBytesMax + 1, 3 * recordBytesMax]) {
    const record = Buffer.alloc(length, 0x61)
    assert.equal(leafHash(record), sha256('\0', record))
    assert.equal(leafHash(record.toString()), sha256('\0', record))
  }
})

test('a node is hashed with its own prefix, and in place the same', () => {
  const left = Buffer.alloc(32, 1)
  const right = Buffer.alloc(32, 2)
  const expected = sha256(Buffer.of(1), left, right)
  assert.equal(nodeHash(left, right).toString('hex'), expected)
  const stack = Buffer.concat([Buffer.alloc(32, 9), left, right])
  foldPair(stack, 32)
  assert.equal(stack.toString('hex', 32, 64), expected)
  assert.equal(stack.toString('hex', 0, 32), '09'.repeat(32))
})

test('a node hash never outlives the next one', () => {
  const first = nodeHash(Buffer.alloc(32, 1), Buffer.alloc(32, 2))
  const kept = first.toString('hex')
  nodeHash(Buffer.alloc(32, 3), Buffer.alloc(32, 4))
  assert.equal(first.toString('hex'), kept)
})

test('children that are not 32 bytes are refused, so that no stale byte is ever hashed', () => {
  for (const length of [0, 31, 33, 64]) {
    assert.throws(() => nodeHash(Buffer.alloc(length), Buffer.alloc(32)), RangeError)
    assert.throws(() => nodeHash(Buffer.alloc(32), Buffer.alloc(length)), RangeError)
  }
})

test('the empty tree has the hash of nothing as its root', () => {
  assert.equal(emptyRoot().toString('hex'), sha256(''))
})
