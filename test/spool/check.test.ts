import assert from 'node:assert/strict'
import { readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { crc32 } from 'node:zlib'
import { AuditError } from '../../src/errors.ts'
import { type CheckedSpool, checkSpool } from '../../src/spool/check.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { inspectSpool } from '../../src/spool/recover.ts'
import { contentsOf, flip, lastFrameCrc, makeSegment, randomFrom, segmentFile, spoil } from './damage.ts'
import { copyOf, freshDirectory, openDriven } from './harness.ts'
import { closed, control, killed, longSpool, reclaim, rows, threeSegments } from './left-behind.ts'

const check = (directory: string): CheckedSpool => checkSpool(diskFiles, directory, { isLive: false })

for (const row of rows) {
  test(`check says of a spool what the next start says; step ${row.step}: ${row.name}`, (t) => {
    const directory = freshDirectory(t)
    row.leave(directory)
    if (readdirSync(directory).length === 0) return
    const before = contentsOf(directory)
    const checked = check(directory)
    assert.ok(isDeepStrictEqual(contentsOf(directory), before), 'nothing was written')
    const { outcome } = row
    if ('damage' in outcome) {
      const found = checked.damage.find(({ kind, segment }) => kind === outcome.damage && segment === outcome.segment)
      assert.ok(found !== undefined, JSON.stringify(checked.damage))
      assert.equal(checked.next, undefined)
    } else {
      assert.deepEqual(checked.damage, [])
      assert.equal(checked.examined.records, outcome.names.length)
      assert.equal(checked.next?.tornBytes !== 0, outcome.torn ?? false)
      assert.equal(checked.examined.torn !== undefined, outcome.torn ?? false)
    }
  })
}

test('damage far below the watermark, which recovery does not look at, is found with its place and its sequences', (t) => {
  const directory = freshDirectory(t)
  longSpool(directory)
  const whole = check(directory)
  assert.equal(whole.examined.records, 270)
  flip(segmentFile(directory, 3), 6_000)
  assert.doesNotThrow(() => inspectSpool(diskFiles, { directory, deployment: 'test', bootId: 'boot-1' }))
  const { damage, examined } = check(directory)
  assert.equal(damage.length, 1)
  assert.equal(damage[0]?.segment, 3)
  assert.match(damage[0]?.what ?? '', /^sequence \d+ is damaged or missing; control says that all was durable/)
  const [range] = examined.behind.ranges
  assert.equal(examined.end?.sequence, examined.records)
  assert.equal(range?.from, examined.records + 2, 'one record is lost')
  assert.equal(range?.to, 270)
  assert.equal(examined.records + examined.behind.records, 269)
})

test('every place of damage is a finding of its own', (t) => {
  const directory = freshDirectory(t)
  longSpool(directory)
  const { path } = check(directory).segments
  const segments = path.map(({ header }) => header.segment)
  for (const segment of segments.slice(1, 4)) flip(segmentFile(directory, segment), 5_000)
  const found = check(directory).damage.map((one) => one.segment)
  assert.deepEqual(found, segments.slice(1, 4))
})

test('a spool whose control is gone as well as a segment is still read as far as it goes', (t) => {
  const directory = freshDirectory(t)
  threeSegments(directory)
  unlinkSync(control(directory))
  unlinkSync(segmentFile(directory, 2))
  const { damage, examined } = check(directory)
  assert.deepEqual(
    damage.map(({ kind }) => kind),
    ['control', 'missing'],
  )
  assert.equal(examined.records, 2, 'the last segment, to which nothing leads any more')
})

/** Each without control, so that the segments alone must tell damage from what a crash cut off. */
const withoutControl: readonly { name: string; leave(directory: string): void; found: readonly string[] }[] = [
  {
    name: 'a frame that a later frame knows to be durable',
    leave(directory) {
      const driven = killed(directory, ['a', 'b'])
      const { offset } = driven.writer.end
      driven.append('c')
      flip(segmentFile(directory, 1), offset - 20)
    },
    found: ['control', 'corrupt'],
  },
  {
    name: 'a frame below the length with which its segment was published',
    leave(directory) {
      killed(directory, ['a', 'b'])
      const { segment } = openDriven(directory).recovered
      flip(segmentFile(directory, segment.segment), segment.offset - 20)
    },
    found: ['control', 'corrupt'],
  },
  {
    name: 'a frame that ends before its successor says so',
    leave(directory) {
      const { writer } = closed(directory, ['a', 'b'])
      openDriven(directory)
      flip(segmentFile(directory, 1), writer.end.offset - 20)
    },
    found: ['control', 'corrupt'],
  },
  {
    name: 'a whole frame whose sequence does not follow',
    leave(directory) {
      killed(directory, ['a', 'b'])
      const frameCrc = lastFrameCrc(directory, 1)
      makeSegment(directory, { header: { segment: 2, previous: 1 }, names: ['c'], firstSequence: 9, frameCrc })
    },
    found: ['control', 'corrupt'],
  },
  {
    name: 'an append that was cut off, which is no damage',
    leave(directory) {
      const { offset } = killed(directory, ['a', 'b'], ['c']).writer.end
      flip(segmentFile(directory, 1), offset - 20)
    },
    found: ['control'],
  },
]

for (const { name, leave, found } of withoutControl) {
  test(`without control, check looks at ${name}`, (t) => {
    const directory = freshDirectory(t)
    leave(directory)
    unlinkSync(control(directory))
    assert.deepEqual(
      check(directory).damage.map(({ kind }) => kind),
      found,
    )
  })
}

test('beside a live writer nothing above the durable position is looked at', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a')
  driven.syncer.cycle()
  driven.append('b')
  flip(segmentFile(directory, 1), driven.writer.end.offset - 20)
  makeSegment(directory, { header: { segment: 2, previous: 1 } })
  const { damage, examined } = checkSpool(diskFiles, directory, { isLive: true })
  assert.deepEqual(damage, [])
  assert.equal(examined.records, 1)
})

test('beside a live writer that reclaims meanwhile, check looks again', (t) => {
  const directory = freshDirectory(t)
  closed(directory, ['a'])
  const driven = killed(directory, ['b'])
  let isReclaimed = false
  const files: Files = {
    ...diskFiles,
    open: (path, how) => {
      if (path === segmentFile(directory, 1) && !isReclaimed) {
        isReclaimed = true
        reclaim(directory, 2)
      }
      return diskFiles.open(path, how)
    },
  }
  const { damage, examined } = checkSpool(files, directory, { isLive: true })
  assert.deepEqual([damage, examined.records, isReclaimed], [[], 1, true])
  driven.syncer.cycle()
})

test('a spool of a later format is refused by name, one whose version number is damaged is not', (t) => {
  const directory = freshDirectory(t)
  closed(directory, ['a'])
  const later = copyOf(t, directory)
  flip(segmentFile(directory, 1), 9) // the version's upper byte, under a checksum that no longer matches
  assert.equal(check(directory).damage[0]?.kind, 'corrupt')
  makeSegment(later, { header: { segment: 2, previous: 1 } })
  const bytes = readFileSync(segmentFile(later, 2))
  bytes.writeUInt16LE(2, 8)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 508)), 508)
  writeFileSync(segmentFile(later, 2), bytes)
  assert.throws(
    () => check(later),
    (error) => error instanceof AuditError && error.code === 'SPOOL_VERSION',
  )
})

test('whatever is done to the files, check ends, and finds damage wherever recovery refuses', (t) => {
  const seed = Number(process.env.AUDIT_TEST_SEED ?? Date.now() % 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const random = randomFrom(seed)
  const source = freshDirectory(t)
  longSpool(source)
  for (let round = 0; round < 60; round += 1) {
    const directory = copyOf(t, source)
    for (let times = 1 + random(3); times > 0; times -= 1) spoil(directory, random)
    const before = contentsOf(directory)
    const checked = readdirSync(directory).some((name) => /^(control|seg-)/.test(name)) ? check(directory) : undefined
    assert.ok(isDeepStrictEqual(contentsOf(directory), before))
    try {
      inspectSpool(diskFiles, { directory, deployment: 'test', bootId: 'boot-1' })
    } catch (error) {
      assert.ok(error instanceof AuditError, `seed ${seed} round ${round}: ${String(error)}`)
      assert.ok((checked?.damage.length ?? 1) > 0, `seed ${seed} round ${round}: ${error.message}`)
    }
  }
})
