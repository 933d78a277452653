import assert from 'node:assert/strict'
import { describe, it, type TestContext, test } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { segmentPath } from '../../src/spool/refusals.ts'
import { Scrubber, type ScrubFinding } from '../../src/spool/scrub.ts'
import { decodeSegmentFrontier, encodeSegmentFrontier } from '../../src/spool/segment-header.ts'
import { CraftedSpool, rot } from './crafted.ts'
import { freshDirectory, names, openDriven } from './harness.ts'

const roundMs = 1_000_000

/** A scrubber on a clock that stands at the time of its next step whenever it is asked. */
class Driven {
  readonly scrubber: Scrubber
  nowMs = 0
  steps = 0

  constructor(directory: string, range: () => { first: number; last: number }, files: Files = diskFiles) {
    const clock = { monotonicMs: () => this.nowMs }
    this.scrubber = new Scrubber(files, directory, { range, segmentBytesMax: 2 ** 20, roundMs, ...clock })
  }

  step(): ScrubFinding | undefined {
    this.nowMs = this.scrubber.dueAtMs
    this.steps += 1
    return this.scrubber.step()
  }

  /** Steps until it rests; everything it found. */
  round(): ScrubFinding[] {
    const found: ScrubFinding[] = []
    this.steps = 0
    const begun = this.scrubber.dueAtMs
    while (this.scrubber.dueAtMs < begun + roundMs) {
      const finding = this.step()
      if (finding !== undefined) found.push(finding)
    }
    return found
  }
}

/** Five segments of three pieces each; the last is not sealed. */
function craft(t: TestContext): CraftedSpool {
  const spool = new CraftedSpool(freshDirectory(t))
  for (let segment = 1; segment <= 5; segment += 1) spool.add({ records: 60, recordBytes: 12_000 })
  spool.settle()
  return spool
}

describe('a scrub', () => {
  it('finds nothing in a whole spool, however often', (t) => {
    const { directory } = craft(t)
    const driven = new Driven(directory, () => ({ first: 1, last: 5 }))
    assert.deepEqual(driven.round(), [])
    assert.ok(driven.steps > 4 * 3, `${driven.steps} steps: a piece at a time`)
    assert.deepEqual(driven.round(), [])
  })

  it('finds nothing in spools with failovers, several streams, and sectors left empty', (t) => {
    const spool = new CraftedSpool(freshDirectory(t))
    spool.add({ records: 33 }).add({ kind: 'explicit', records: 8 }).add({ records: 9 })
    spool.add({ records: 9, newStream: true }).add({ kind: 'explicit', records: 1 })
    spool.add({ kind: 'explicit', records: 3, newStream: true }).add({ records: 2 })
    const driven = new Driven(spool.directory, () => ({ first: 1, last: 7 }))
    assert.deepEqual(driven.round(), [])
  })

  for (const segment of [1, 2, 4]) {
    it(`finds a changed byte in segment ${segment}, and says so once`, (t) => {
      const { directory } = craft(t)
      rot(directory, segment, 4_096 + 300_000)
      const driven = new Driven(directory, () => ({ first: 1, last: 5 }))
      const [finding, ...more] = driven.round()
      assert.deepEqual(more, [])
      assert.equal(finding?.segment, segment)
      assert.ok(finding.offset <= 304_096 && finding.offset > 304_096 - 13_000, String(finding.offset))
      assert.equal(finding.what, 'a frame is damaged or missing')
      const at = (segment - 1) * 60 + 1
      assert.ok(finding.sequence !== undefined && finding.sequence > at + 20 && finding.sequence < at + 30)
      assert.deepEqual(driven.round(), [])
    })
  }

  it('finds what is missing at the end of a segment, before a planned and before an explicit one', (t) => {
    for (const kind of ['planned', 'explicit'] as const) {
      const spool = new CraftedSpool(freshDirectory(t))
      spool.add({ records: 20, recordBytes: 500 }).add({ kind, records: 5 })
      const end = lastFrame(spool.directory, 1)
      rot(spool.directory, 1, end)
      const driven = new Driven(spool.directory, () => ({ first: 1, last: 2 }))
      assert.deepEqual(
        driven.round().map(({ segment, sequence }) => ({ segment, sequence })),
        [{ segment: 1, sequence: 20 }],
      )
    }
  })

  it('finds damaged headers, second blocks and missing files', (t) => {
    const damage: [string, (directory: string) => void, RegExp][] = [
      ['header', (directory) => rot(directory, 3, 60), /header checksum/],
      ['block', (directory) => rot(directory, 3, 512 + 20), /second header block/],
      ['file', (directory) => diskFiles.unlink(segmentPath(directory, 3)), /missing/],
    ]
    for (const [name, act, pattern] of damage) {
      const { directory } = craft(t)
      act(directory)
      const found = new Driven(directory, () => ({ first: 1, last: 5 })).round()
      assert.equal(found.length, 1, name)
      assert.equal(found[0]?.segment, 3, name)
      assert.match(found[0]?.what ?? '', pattern)
    }
  })

  it('finds what the disk refuses to read, and goes on with the next segment', (t) => {
    const { directory } = craft(t)
    const bad = new Set<number>()
    const files: Files = {
      ...diskFiles,
      open: (path, how) => {
        const file = diskFiles.open(path, how)
        if (path === segmentPath(directory, 3)) bad.add(file)
        else bad.delete(file)
        return file
      },
      read: (file, into, position) => {
        if (bad.has(file) && position > 200_000) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
        return diskFiles.read(file, into, position)
      },
    }
    rot(directory, 2, 5_000)
    const found = new Driven(directory, () => ({ first: 1, last: 5 }), files).round()
    assert.deepEqual(
      found.map(({ segment }) => segment),
      [3, 2],
    )
    assert.match(found[0]?.what ?? '', /cannot be read: EIO/)
  })

  it('does not take for rot what is reclaimed while it reads', (t) => {
    const spool = craft(t)
    const range = { first: 1, last: 5 }
    const driven = new Driven(spool.directory, () => range)
    const found: ScrubFinding[] = []
    while (found.length === 0 && driven.nowMs < 3 * roundMs) {
      const finding = driven.step()
      if (finding !== undefined) found.push(finding)
      if (driven.steps === 7) {
        spool.reclaim(4)
        range.first = 4
      }
    }
    assert.deepEqual(found, [])
  })

  it('does not take for rot what is reclaimed at the moment at which it is opened', (t) => {
    const spool = craft(t)
    const range = { first: 1, last: 5 }
    const files: Files = {
      ...diskFiles,
      open: (path, how) => {
        if (path === segmentPath(spool.directory, 2) && range.first === 1) {
          spool.reclaim(4)
          range.first = 4
        }
        return diskFiles.open(path, how)
      },
    }
    assert.deepEqual(new Driven(spool.directory, () => range, files).round(), [])
    assert.equal(range.first, 4, 'the test reclaims')
  })

  it('finds records that are not those which the second block announces', (t) => {
    const { directory } = craft(t)
    const file = diskFiles.open(segmentPath(directory, 2), 'write')
    const header = Buffer.alloc(4_096)
    diskFiles.read(file, header, 0)
    const block = decodeSegmentFrontier(header)
    assert.ok(block?.base === 61)
    const other = encodeSegmentFrontier({ ...block, base: 59 }) // trees of 60 and of 58 have as many subtrees
    diskFiles.write(file, other.bytes, other.offset)
    diskFiles.close(file)
    assert.deepEqual(new Driven(directory, () => ({ first: 1, last: 5 })).round(), [
      { segment: 2, offset: 4_096, sequence: 59, what: 'sequence 61 stands there' },
    ])
  })

  it('runs behind a live writer, and finds the rot of a segment once it is sealed', (t) => {
    const directory = freshDirectory(t)
    const writer = openDriven(directory, { segmentBytesMax: 65_536 })
    const range = () => ({ first: 1, last: writer.positions.durable().segment })
    const driven = new Driven(directory, range)
    for (let round = 0; round < 60; round += 1) {
      writer.append(...names(round * 50, round * 50 + 50))
      writer.syncer.cycle()
      assert.equal(driven.step(), undefined)
    }
    const { last } = range()
    assert.ok(last > 3, 'the test rolls')
    rot(directory, last, 5_000)
    assert.deepEqual(driven.round(), [], 'what is being written is not looked at')
    rot(directory, last - 1, 5_000)
    assert.deepEqual(
      driven.round().map(({ segment }) => segment),
      [last - 1],
    )
  })
})

test('the sync thread scrubs while nothing waits for it, and tells what it finds', (t) => {
  let nowMs = 0
  t.after(useClocks({ monotonicMs: () => nowMs }))
  const driven = openDriven(freshDirectory(t), { segmentBytesMax: 16_384 })
  for (let round = 0; round < 30; round += 1) {
    driven.append(...names(round * 20, round * 20 + 20))
    driven.syncer.cycle()
  }
  const { segment } = driven.positions.durable()
  assert.ok(segment > 2, 'the test rolls')
  rot(driven.directory, segment - 1, 5_000)
  const rotten = () => driven.messages.filter((message) => message.kind === 'rot')
  const pass = (ms: number) => {
    for (const until = nowMs + ms; nowMs < until; nowMs += 600_000) driven.syncer.cycle()
  }
  pass(90_000_000)
  assert.deepEqual(
    rotten().map(({ finding }) => finding.segment),
    [segment - 1],
  )
  pass(90_000_000)
  assert.equal(rotten().length, 1, 'once')
})

test('a round is spread over its time, then the scrub rests until it has passed', (t) => {
  const { directory } = craft(t)
  const driven = new Driven(directory, () => ({ first: 1, last: 5 }))
  const begun = driven.scrubber.dueAtMs
  driven.round()
  const pause = (driven.nowMs - begun) / (driven.steps - 1)
  assert.ok(pause > roundMs / 5 / 8 && pause < roundMs / driven.steps, `${pause} ms between ${driven.steps} steps`)
  assert.equal(driven.scrubber.dueAtMs, begun + roundMs)
  driven.nowMs = begun + roundMs - 1
  assert.equal(driven.scrubber.step(), undefined)
  assert.equal(driven.scrubber.dueAtMs, begun + roundMs, 'a step that is not due reads nothing')
})

test('a slow disk is asked more seldom: a step takes at most a hundredth of the time', (t) => {
  const { directory } = craft(t)
  let nowMs = 0
  const files: Files = {
    ...diskFiles,
    read(...range) {
      nowMs += 400
      return diskFiles.read(...range)
    },
  }
  const scrubber = new Scrubber(files, directory, {
    range: () => ({ first: 1, last: 5 }),
    segmentBytesMax: 2 ** 20,
    roundMs: 1_000,
    monotonicMs: () => nowMs,
  })
  for (let step = 0; step < 10; step += 1) {
    nowMs = scrubber.dueAtMs
    const began = nowMs
    scrubber.step()
    assert.ok(scrubber.dueAtMs - began >= 100 * (nowMs - began))
  }
})

/** Offset of a byte in the last frame of a segment. */
function lastFrame(directory: string, segment: number): number {
  const file = diskFiles.open(segmentPath(directory, segment), 'read')
  const bytes = Buffer.alloc(diskFiles.size(file))
  diskFiles.read(file, bytes, 0)
  diskFiles.close(file)
  return bytes.lastIndexOf('"recorded"')
}
