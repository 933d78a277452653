import assert from 'node:assert/strict'
import { it } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import {
  checkConsistency,
  checkInclusion,
  consistencyRanges,
  Frontier,
  inclusionRanges,
  proveConsistency,
  proveInclusion,
} from '../../src/chain/merkle.ts'
import { PartialTree } from '../../src/chain/partial-tree.ts'

const leaves = Array.from({ length: 70 }, (_, index) => Buffer.from(leafHash(`record ${index}`), 'hex'))

function treeOf(folded: number, size: number): PartialTree {
  const base = new Frontier()
  for (const leaf of leaves.slice(0, folded)) base.append(leaf)
  return new PartialTree(base, leaves.slice(folded, size))
}

it('proves every leaf behind the folded ones as the whole tree does', () => {
  for (let size = 1; size <= leaves.length; size += 1) {
    for (let folded = 0; folded <= size; folded += 1) {
      const tree = treeOf(folded, size)
      const root = tree.root()
      const index = ((folded * 31 + size) % Math.max(1, size - folded)) + folded
      if (index >= size) continue
      const proof = inclusionRanges(index, size).map((range) => tree.rootOf(range))
      assert.deepEqual(proof, proveInclusion(leaves.slice(0, size), index), `${index} of ${size}, ${folded} folded`)
      assert.ok(checkInclusion({ index, size, root, leaf: leaves[index] ?? root, proof }))
    }
  }
})

it('proves that the folded leaves were only added to', () => {
  for (let size2 = 1; size2 <= leaves.length; size2 += 1) {
    for (let size1 = 1; size1 <= size2; size1 += 1) {
      const tree = treeOf(size1, size2)
      const proof = consistencyRanges(size1, size2).map((range) => tree.rootOf(range))
      assert.deepEqual(proof, proveConsistency(leaves.slice(0, size2), size1), `${size1} within ${size2}`)
      const roots = { root1: treeOf(0, size1).root(), root2: tree.root() }
      assert.ok(checkConsistency({ size1, size2, ...roots, proof }))
    }
  }
})

it('refuses what would need a leaf that it knows only folded', () => {
  const tree = treeOf(40, 50)
  assert.throws(() => tree.rootOf([3, 4]), RangeError)
  assert.throws(() => tree.rootOf([16, 24]), RangeError)
})
