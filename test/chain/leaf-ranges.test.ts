import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeafRanges } from '../../src/chain/leaf-ranges.ts'
import { Frontier, proveConsistency } from '../../src/chain/merkle.ts'

const leaves = Array.from({ length: 70 }, (_, index) => Buffer.alloc(32, index + 1))

function treeOf(size: number): Frontier {
  const tree = new Frontier()
  for (const leaf of leaves.slice(0, size)) tree.append(leaf)
  return tree
}

test('ranges and the frontier before them give the proof that all leaves give, for every pair of sizes', () => {
  for (let from = 1; from < leaves.length; from += 1) {
    const ranges = new LeafRanges(from)
    const old = treeOf(from)
    for (let to = from; to <= leaves.length; to += 1) {
      assert.deepEqual(ranges.prove(old), proveConsistency(leaves.slice(0, to), from), `${from} to ${to}`)
      const again = LeafRanges.from(from, to, ranges.roots)
      assert.deepEqual(again?.prove(old), ranges.prove(old))
      const next = leaves[to]
      if (next !== undefined) ranges.append(next)
    }
    assert.ok(ranges.roots.length <= 12)
  }
})

test('ranges are read back only where they fit', () => {
  const ranges = new LeafRanges(3)
  for (const leaf of leaves.slice(3, 9)) ranges.append(leaf)
  assert.equal(ranges.roots.length, 3)
  assert.equal(LeafRanges.from(3, 11, ranges.roots), undefined)
  assert.equal(LeafRanges.from(4, 9, ranges.roots), undefined)
  assert.equal(LeafRanges.from(3, 9, ranges.roots.slice(1)), undefined)
  assert.equal(LeafRanges.from(3, 9, [Buffer.alloc(31), ...ranges.roots.slice(1)]), undefined)
  assert.throws(() => ranges.prove(treeOf(4)), RangeError)
})
