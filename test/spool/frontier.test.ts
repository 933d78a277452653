import assert from 'node:assert/strict'
import { describe, it, type TestContext, test } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import type { ControlState } from '../../src/spool/control.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { rebuildFrontier } from '../../src/spool/frontier.ts'
import { statesTree } from '../../src/spool/segment-start.ts'
import { CraftedSpool, rot } from './crafted.ts'
import { freshDirectory } from './harness.ts'

/** A byte of the second header block: of its base. */
const blockByte = 512 + 8

/** Segments 2 to 5 of a spool whose first is reclaimed; the last is explicit, as the next opening makes it. */
function craft(t: TestContext, checkpointEvery?: number): { spool: CraftedSpool; state: ControlState } {
  const spool = new CraftedSpool(freshDirectory(t))
  const checkpoints = checkpointEvery === undefined ? {} : { checkpointEvery }
  for (let segment = 1; segment <= 4; segment += 1) spool.add({ records: 37, ...checkpoints })
  spool.add({ kind: 'explicit', records: 26, ...checkpoints })
  return { spool, state: spool.reclaim(2).settle() }
}

function assertRebuilt({ spool, state }: { spool: CraftedSpool; state: ControlState }, what: string): void {
  const rebuilt = rebuildFrontier(diskFiles, spool.directory, state)
  assert.deepEqual(rebuilt.frontier.hashes(), spool.frontier.hashes(), what)
  assert.equal(rebuilt.frontier.size, spool.frontier.size, what)
}

const refusesFor = (pattern: RegExp) => (error: unknown) =>
  error instanceof AuditError && error.code === 'SPOOL_CORRUPT' && pattern.test(error.message)

describe('the tree at the watermark', () => {
  for (let damage = 0; damage < 16; damage += 1) {
    const segments = [2, 3, 4, 5].filter((_, bit) => (damage & (1 << bit)) !== 0)
    const blocks = segments.length === 0 ? 'no block is' : `the blocks of ${segments.join(', ')} are`

    it(`is the same when ${blocks} damaged`, (t) => {
      const crafted = craft(t, 10)
      const whole = rebuildFrontier(diskFiles, crafted.spool.directory, crafted.state)
      for (const segment of segments) rot(crafted.spool.directory, segment, blockByte)
      assertRebuilt(crafted, blocks)
      const again = rebuildFrontier(diskFiles, crafted.spool.directory, crafted.state)
      assert.deepEqual(again.atSegmentStart, whole.atSegmentStart, 'to be written into the last segment')
    })
  }

  it('cannot be known when no block is left and no checkpoint was sealed', (t) => {
    const { spool, state } = craft(t)
    for (const segment of [3, 4, 5]) rot(spool.directory, segment, blockByte)
    assertRebuilt({ spool, state }, 'one block serves')
    rot(spool.directory, 2, blockByte)
    assert.throws(() => rebuildFrontier(diskFiles, spool.directory, state), refusesFor(/no checkpoint record/))
  })

  it('is found behind a checkpoint of the last segment, whose own start stays unknown', (t) => {
    const spool = new CraftedSpool(freshDirectory(t))
    spool.add({ records: 5 }).add({ records: 20, checkpointEvery: 8 })
    const state = spool.reclaim(2).settle()
    rot(spool.directory, 2, blockByte)
    assertRebuilt({ spool, state }, 'one segment')
    assert.equal(rebuildFrontier(diskFiles, spool.directory, state).atSegmentStart, undefined)
  })

  it('is found when a checkpoint covers exactly what is before the last segment', (t) => {
    const spool = new CraftedSpool(freshDirectory(t))
    spool.add({ records: 5 }).add({ kind: 'explicit', records: 9, checkpointEvery: 1 })
    const state = spool.reclaim(2).settle()
    const whole = rebuildFrontier(diskFiles, spool.directory, state).atSegmentStart
    rot(spool.directory, 2, blockByte)
    assertRebuilt({ spool, state }, 'one segment')
    assert.deepEqual(rebuildFrontier(diskFiles, spool.directory, state).atSegmentStart, whole)
    assert.ok(whole !== undefined)
  })

  it('is not taken from a checkpoint whose next record is no longer there', (t) => {
    const spool = new CraftedSpool(freshDirectory(t), 'lagging')
    spool.add({ records: 5 }).add({ records: 1 }).add({ records: 20, checkpointEvery: 8 })
    const state = spool.reclaim(3).settle()
    rot(spool.directory, 3, blockByte)
    assert.throws(() => rebuildFrontier(diskFiles, spool.directory, state), refusesFor(/no checkpoint record/))
  })

  it('is not taken from a checkpoint whose frontier does not fold to its root', (t) => {
    const spool = new CraftedSpool(freshDirectory(t), 'unfolding')
    spool.add({ records: 5 }).add({ records: 20, checkpointEvery: 8 })
    const state = spool.reclaim(2).settle()
    rot(spool.directory, 2, blockByte)
    assert.throws(() => rebuildFrontier(diskFiles, spool.directory, state), refusesFor(/no checkpoint record/))
  })

  it('of a stream that begins behind another needs neither block nor checkpoint', (t) => {
    const spool = new CraftedSpool(freshDirectory(t))
    spool.add({ records: 7 }).add({ records: 9, newStream: true }).add({ records: 9 })
    const state = spool.settle()
    for (const segment of [2, 3]) rot(spool.directory, segment, blockByte)
    assertRebuilt({ spool, state }, 'planned, from 1 on')
  })

  it('is refused when a segment on the way is damaged, not guessed', (t) => {
    const crafted = craft(t, 10)
    const { directory } = crafted.spool
    rot(directory, 5, blockByte)
    rot(directory, 4, 4_096 + 3_000)
    assert.throws(() => rebuildFrontier(diskFiles, directory, crafted.state), refusesFor(/stands where|lead to/))
  })
})

test('a segment says whether a spool may begin with it', (t) => {
  const { spool } = craft(t)
  rot(spool.directory, 3, blockByte)
  rot(spool.directory, 5, 60)
  assert.deepEqual(
    [2, 3, 4, 5].map((segment) => statesTree(diskFiles, spool.directory, segment)),
    [true, false, true, false],
  )
})
