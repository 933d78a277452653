/** What verification leaves behind: it reads as it was kept, in memory or not, and leaves no file. */

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { chunkBytes, LeafShelf } from '../../src/verify/leaf-shelf.ts'
import { SeenLeaves } from '../../src/verify/seen-leaves.ts'

const leavesOfChunk = chunkBytes / 32
const leafOf = (sequence: number) => sequence.toString(16).padStart(64, '0')

/** Enough leaves of two streams to fill the memory of a shelf three times. */
function fill(shelf: LeafShelf): { seen: SeenLeaves[]; last: number } {
  const seen = [new SeenLeaves(shelf), new SeenLeaves(shelf)]
  const last = 200 * leavesOfChunk
  const row = 300
  for (let first = 1; first <= last; first += row) {
    const count = Math.min(row, last - first + 1)
    const leaves = Buffer.alloc(count * 32)
    for (let index = 0; index < count; index += 1) leaves.writeUInt32BE(first + index, index * 32 + 28)
    for (const one of seen) one.setRow(first, leaves, count)
  }
  return { seen, last }
}

function assertKept({ seen, last }: ReturnType<typeof fill>): void {
  for (const one of seen)
    for (let sequence = 1; sequence <= last; sequence += 997) assert.equal(one.get(sequence), leafOf(sequence))
}

it('keeps every leaf hash, those in the file and those changed after they went there', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'leaf-shelf-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const shelf = new LeafShelf(diskFiles, directory)
  const { seen, last } = fill(shelf)
  assert.deepEqual(readdirSync(directory), [])
  seen[0]?.set(5, leafOf(4_000_000))
  assertKept({ seen: seen.slice(1), last })
  assert.equal(seen[0]?.get(5), leafOf(4_000_000))
  assert.equal(seen[0]?.get(4), leafOf(4))
  assert.deepEqual([seen[0]?.get(last + 1), seen[0]?.get(9e15)], [undefined, undefined])
  shelf.close()
})

it('stays in memory where no file can be written', () => {
  const refusing: Files = {
    ...diskFiles,
    open: () => {
      throw Object.assign(new Error('read-only'), { code: 'EROFS' })
    },
  }
  assertKept(fill(new LeafShelf(refusing)))
})
