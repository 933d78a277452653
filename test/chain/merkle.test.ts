import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyRoot, leafHash, nodeHash } from '../../src/chain/hash.ts'
import { checkConsistency, checkInclusion, Frontier, proveConsistency, proveInclusion } from '../../src/chain/merkle.ts'
import consistency from '../vectors/rfc6962-consistency.json' with { type: 'json' }
import inclusion from '../vectors/rfc6962-inclusion.json' with { type: 'json' }
import roots from '../vectors/rfc6962-roots.json' with { type: 'json' }
import { flippedBytes } from './flip.ts'

const base64 = (text: string): Buffer => Buffer.from(text, 'base64')
const leafOf = (record: string | Uint8Array): Buffer => Buffer.from(leafHash(record), 'hex')
const leavesOf = (count: number): Buffer[] => Array.from({ length: count }, (_, index) => leafOf(`record ${index}`))
const frontierOf = (leaves: readonly Uint8Array[]): Frontier => {
  const frontier = new Frontier()
  for (const leaf of leaves) frontier.append(leaf)
  return frontier
}

/** RFC 9162 section 2.1.1, written as it stands there: the independent truth the frontier is held against. */
function treeHash(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves
  if (first === undefined) return emptyRoot()
  if (leaves.length === 1) return first
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return nodeHash(treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split)))
}

test('the frontier gives the published root at every size', () => {
  const frontier = new Frontier()
  for (const [size, root] of roots.rootsHexBySize.entries()) {
    assert.equal(frontier.size, size)
    assert.equal(frontier.root().toString('hex'), root)
    const leaf = roots.leavesHex[size]
    if (leaf !== undefined) frontier.append(leafOf(Buffer.from(leaf, 'hex')))
  }
})

for (const { name, leafIdx, treeSize, root, leafHash: leaf, proof, wantErr } of inclusion.cases) {
  test(`inclusion vector ${name} is ${wantErr ? 'refused' : 'accepted'}`, () => {
    const claim = { index: leafIdx, size: treeSize, leaf: base64(leaf), root: base64(root) }
    assert.equal(checkInclusion({ ...claim, proof: (proof ?? []).map(base64) }), !wantErr)
  })
}

for (const { name, size1, size2, root1, root2, proof, wantErr } of consistency.cases) {
  test(`consistency vector ${name} is ${wantErr ? 'refused' : 'accepted'}`, () => {
    const claim = { size1, size2, root1: base64(root1), root2: base64(root2) }
    assert.equal(checkConsistency({ ...claim, proof: (proof ?? []).map(base64) }), !wantErr)
  })
}

test('the frontier agrees with the recursive definition at every size up to 130', () => {
  const leaves = leavesOf(130)
  const frontier = new Frontier()
  for (const [index, leaf] of leaves.entries()) {
    frontier.append(leaf)
    assert.deepEqual(frontier.root(), treeHash(leaves.slice(0, index + 1)), `size ${index + 1}`)
  }
})

test('a leaf may be appended as the hex that leafHash gives', () => {
  const frontier = new Frontier()
  for (const record of ['a', 'b', 'c']) frontier.append(leafHash(record))
  assert.deepEqual(frontier.root(), treeHash(['a', 'b', 'c'].map(leafOf)))
})

test('what is not a leaf hash is refused and leaves the frontier as it was', () => {
  const frontier = frontierOf(leavesOf(3))
  const before = frontier.root()
  const wrong = [
    Buffer.alloc(31),
    Buffer.alloc(33),
    Buffer.alloc(64),
    '',
    'ab',
    'zz'.repeat(32),
    `${'ab'.repeat(31)}zz`,
  ]
  for (const leaf of wrong) assert.throws(() => frontier.append(leaf), RangeError)
  assert.equal(frontier.size, 3)
  assert.deepEqual(frontier.root(), before)
})

test('a frontier rebuilt from its hashes grows to the same roots', () => {
  const leaves = leavesOf(64)
  for (let size = 0; size <= 33; size++) {
    const original = frontierOf(leaves.slice(0, size))
    const rebuilt = Frontier.from(size, original.hashes())
    assert.ok(rebuilt)
    for (const leaf of leaves.slice(size)) rebuilt.append(leaf)
    assert.deepEqual(rebuilt.root(), treeHash(leaves))
  }
})

test('hashes that cannot be the frontier of a size give no frontier', () => {
  const hash = Buffer.alloc(32)
  assert.equal(Frontier.from(0, [hash]), undefined)
  assert.equal(Frontier.from(3, [hash]), undefined)
  assert.equal(Frontier.from(3, [hash, hash, hash]), undefined)
  assert.equal(Frontier.from(3, [hash, Buffer.alloc(31)]), undefined)
  for (const size of [-1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])
    assert.equal(Frontier.from(size, [hash]), undefined)
})

test('sizes beyond 32 bits keep their exact frontier', () => {
  const size = 2 ** 52 + 2 ** 33 + 1
  const frontier = Frontier.from(size, leavesOf(3))
  assert.ok(frontier)
  frontier.append(leafOf('next'))
  assert.equal(frontier.size, size + 1)
  assert.equal(frontier.hashes().length, 3)
  assert.equal(Frontier.from(Number.MAX_SAFE_INTEGER, leavesOf(53))?.hashes().length, 53)
})

test('a clone grows on its own, and hashes handed out are copies', () => {
  const frontier = frontierOf(leavesOf(5))
  const root = frontier.root()
  const clone = frontier.clone()
  clone.append(leafOf('more'))
  for (const hash of frontier.hashes()) hash.fill(0)
  frontier.root().fill(0)
  assert.deepEqual(frontier.root(), root)
  assert.notDeepEqual(clone.root(), root)
  assert.equal(clone.size, 6)
})

test('the frontier keeps a copy of the leaf it was given', () => {
  const leaf = leafOf('reused')
  const frontier = frontierOf([leaf])
  leaf.fill(0)
  assert.deepEqual(frontier.root(), leafOf('reused'))
})

test('every leaf of every small tree proves its inclusion, and at no other index', () => {
  for (let size = 1; size <= 20; size++) {
    const leaves = leavesOf(size)
    const root = treeHash(leaves)
    for (const [index, leaf] of leaves.entries()) {
      const proof = proveInclusion(leaves, index)
      for (let at = 0; at <= size; at++)
        assert.equal(
          checkInclusion({ index: at, size, leaf, root, proof }),
          at === index,
          `${index} of ${size} at ${at}`,
        )
    }
  }
})

test('every pair of small trees proves its consistency', () => {
  const leaves = leavesOf(20)
  for (let size2 = 1; size2 <= leaves.length; size2++) {
    const grown = leaves.slice(0, size2)
    for (let size1 = 1; size1 <= size2; size1++) {
      const proof = proveConsistency(grown, size1)
      const [root1, root2] = [treeHash(leaves.slice(0, size1)), treeHash(grown)]
      assert.ok(checkConsistency({ size1, size2, root1, root2, proof }), `${size1} to ${size2}`)
    }
  }
})

const treeAndIndex = fc.integer({ min: 1, max: 400 }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)))

test('an inclusion proof holds, and no byte of it, of the leaf or of the root can change', () => {
  fc.assert(
    fc.property(treeAndIndex, ([size, index]) => {
      const leaves = leavesOf(size)
      const [leaf, root, proof] = [leafOf(`record ${index}`), treeHash(leaves), proveInclusion(leaves, index)]
      const claim = { index, size, leaf, root, proof }
      assert.ok(checkInclusion(claim))
      for (const flipped of flippedBytes(leaf)) assert.ok(!checkInclusion({ ...claim, leaf: flipped }))
      for (const flipped of flippedBytes(root)) assert.ok(!checkInclusion({ ...claim, root: flipped }))
      for (const flipped of damagedProofs(proof)) assert.ok(!checkInclusion({ ...claim, proof: flipped }))
    }),
    { numRuns: 20 },
  )
})

test('a consistency proof holds, and no byte of it or of the roots can change', () => {
  fc.assert(
    fc.property(treeAndIndex, ([size2, index]) => {
      const size1 = index + 1
      const leaves = leavesOf(size2)
      const [root1, root2] = [treeHash(leaves.slice(0, size1)), treeHash(leaves)]
      const claim = { size1, size2, root1, root2, proof: proveConsistency(leaves, size1) }
      assert.ok(checkConsistency(claim))
      for (const flipped of flippedBytes(root1)) assert.ok(!checkConsistency({ ...claim, root1: flipped }))
      for (const flipped of flippedBytes(root2)) assert.ok(!checkConsistency({ ...claim, root2: flipped }))
      for (const proof of damagedProofs(claim.proof)) assert.ok(!checkConsistency({ ...claim, proof }))
    }),
    { numRuns: 20 },
  )
})

test('a proof longer than its tree is refused, also where it folds to the root that is claimed', () => {
  const [leaf, extra] = [leafOf('a'), leafOf('b')]
  const root = nodeHash(extra, leaf)
  assert.ok(!checkInclusion({ index: 0, size: 1, leaf, root, proof: [extra] }))
  const above = (hash: Buffer): Buffer => nodeHash(extra, nodeHash(extra, hash))
  const sizes = { size1: 3, size2: 4, proof: [leaf, extra, extra, extra] }
  assert.ok(!checkConsistency({ ...sizes, root1: above(leaf), root2: above(nodeHash(leaf, extra)) }))
})

test('consistency from size 0 is refused: it would hold for every tree', () => {
  const root2 = treeHash(leavesOf(3))
  assert.ok(!checkConsistency({ size1: 0, size2: 3, root1: emptyRoot(), root2, proof: [] }))
  assert.ok(!checkConsistency({ size1: 0, size2: 0, root1: emptyRoot(), root2: emptyRoot(), proof: [] }))
})

test('hostile claims are refused and never throw', () => {
  const number = fc.oneof(fc.nat(40), fc.double(), fc.maxSafeInteger())
  const bytes = fc.oneof(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ maxLength: 70 }))
  fc.assert(
    fc.property(number, number, bytes, bytes, fc.array(bytes, { maxLength: 60 }), (a, b, first, second, proof) => {
      const inclusionHolds = checkInclusion({ index: a, size: b, leaf: first, root: second, proof })
      const consistencyHolds = checkConsistency({ size1: a, size2: b, root1: first, root2: second, proof })
      if (Buffer.compare(first, second) !== 0) assert.ok(!inclusionHolds && !consistencyHolds)
    }),
  )
})

test('proofs of what is not in the tree are not made', () => {
  const leaves = leavesOf(3)
  for (const index of [-1, 3, 0.5, Number.NaN]) assert.throws(() => proveInclusion(leaves, index), RangeError)
  for (const size1 of [0, -1, 4, 1.5]) assert.throws(() => proveConsistency(leaves, size1), RangeError)
})

/** Every one-byte change of every hash, and the proof with a hash lost, repeated or added. */
function* damagedProofs(proof: readonly Buffer[]): Generator<Buffer[]> {
  for (const [index, hash] of proof.entries())
    for (const flipped of flippedBytes(hash)) yield proof.with(index, flipped)
  for (const index of proof.keys()) {
    yield proof.toSpliced(index, 1)
    yield proof.toSpliced(index, 0, Buffer.alloc(32))
  }
  yield [...proof, Buffer.alloc(32)]
  yield [...proof, Buffer.alloc(0)]
}
