import assert from 'node:assert/strict'
import {
  closeSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { segmentName } from '../../src/spool/format.ts'
import { inspectSpool } from '../../src/spool/recover.ts'
import { readPath, readSegmentHeader } from '../../src/spool/segment.ts'
import { decodeSegmentFrontier } from '../../src/spool/segment-header.ts'
import { slotBytes } from '../../src/spool/slots.ts'
import { closeDriven, copyOf, freshDirectory, names, openDriven, recordText } from './harness.ts'

const context = (directory: string) => ({ directory, deployment: 'test', bootId: 'boot-1' })

function overwrite(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, at)
  closeSync(file)
}

function flip(path: string, at: number): void {
  overwrite(path, at, Buffer.from([(readFileSync(path)[at] ?? 0) ^ 0x01]))
}

// The rows stand in the order of the steps at the head of recover.ts.

test('step 1: temporary files that never got a name are removed', (t) => {
  const directory = freshDirectory(t)
  openDriven(directory)
  writeFileSync(join(directory, 'seg-00000007.wal.tmp'), 'half a segment')
  openDriven(directory)
  assert.ok(!readdirSync(directory).some((name) => name.endsWith('.tmp')))
})

test('step 2: an empty directory becomes a new spool at sequence 1', (t) => {
  const { recovered } = openDriven(freshDirectory(t))
  assert.equal(recovered.previousEnd, 'none')
  assert.equal(recovered.state.watermark.nextSequence, 1)
  assert.equal(recovered.state.epoch, 1)
  assert.equal(recovered.predecessor, undefined)
})

test('step 2: a first opening that was killed before control got its name starts over', (t) => {
  const directory = freshDirectory(t)
  openDriven(directory)
  unlinkSync(join(directory, 'control'))
  const again = openDriven(directory)
  assert.equal(again.recovered.previousEnd, 'none')
  again.append('a')
  again.syncer.cycle()
  assert.deepEqual(again.durableNames(), ['a'])
})

test('step 2: segments without control fail closed', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a')
  driven.syncer.cycle()
  openDriven(directory)
  unlinkSync(join(directory, 'control'))
  assert.throws(
    () => openDriven(directory),
    (error) => error instanceof AuditError && error.code === 'SPOOL_CORRUPT',
  )
})

test('step 2: one damaged control slot leaves the other; both damaged fail closed', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b')
  driven.syncer.cycle()
  closeDriven(driven) // has written the second slot
  const control = join(directory, 'control')
  flip(control, slotBytes + 30)
  assert.deepEqual(openDriven(copyOf(t, directory)).durableNames(), ['a', 'b', 'checkpoint'])
  flip(control, 30)
  assert.throws(() => openDriven(directory), /both slots are damaged/)
})

test('step 3: a missing segment and a damaged segment header are corruption', (t) => {
  const directory = freshDirectory(t)
  const first = openDriven(directory)
  first.append('a')
  first.syncer.cycle()
  openDriven(directory)
  const withoutSegment = copyOf(t, directory)
  unlinkSync(join(withoutSegment, segmentName(1)))
  assert.throws(() => openDriven(withoutSegment), /the file is missing/)
  flip(join(directory, segmentName(2)), 40)
  assert.throws(() => openDriven(directory), /header checksum/)
})

test('step 4: records written but never synced are carried over after a kill, in the same stream', (t) => {
  const directory = freshDirectory(t)
  const killed = openDriven(directory)
  killed.append(...names(0, 5))
  killed.syncer.cycle()
  killed.append(...names(5, 9)) // never synced, and the watermark has not moved at all
  const again = openDriven(directory)
  assert.equal(again.recovered.previousEnd, 'crash')
  assert.equal(again.recovered.recovered, 9)
  assert.equal(again.recovered.state.stream, killed.recovered.state.stream)
  assert.equal(again.recovered.state.epoch, 2)
  again.append('next')
  again.syncer.cycle()
  assert.deepEqual(again.durableNames(), [...names(0, 9), 'next'])
})

test('step 4: frames across a roll are carried over whole', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory, { segmentBytesMax: 16_384 })
  for (let round = 0; round < 40; round += 1) {
    driven.append(...names(round * 5, round * 5 + 5))
    driven.syncer.cycle()
  }
  const path = readPath(diskFiles, directory, { first: 1, last: driven.writer.end.segment })
  assert.ok(path.length > 2, 'the test rolls')
  assert.ok(path.slice(1).every((one) => one.header.kind === 'planned'))
  assert.deepEqual(driven.durableNames(), names(0, 200))
  const again = openDriven(directory, { segmentBytesMax: 16_384 })
  assert.equal(again.recovered.tornBytes, 0)
  assert.deepEqual(again.durableNames(), names(0, 200))
})

test('step 5: a frame cut off above everything proven is torn, and a new stream names its predecessor', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b')
  driven.syncer.cycle()
  driven.append('c')
  const path = join(directory, segmentName(1))
  truncateSync(path, statSync(path).size - 30)
  const { recovered } = openDriven(directory)
  assert.ok(recovered.tornBytes > 0)
  assert.equal(recovered.recovered, 2)
  assert.equal(recovered.predecessor?.reason, 'torn')
  assert.equal(recovered.predecessor?.sequence, 2)
  assert.equal(recovered.predecessor?.stream, driven.recovered.state.stream)
  assert.notEqual(recovered.state.stream, driven.recovered.state.stream)
})

test('step 5: damage in a frame that a later frame knows to be durable is corruption', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  const unpublished = readFileSync(join(directory, 'control'))
  driven.append('a', 'b')
  const middle = driven.writer.end.offset - 40
  driven.syncer.cycle()
  driven.append('c')
  writeFileSync(join(directory, 'control'), unpublished)
  flip(join(directory, segmentName(1)), middle)
  assert.throws(
    () => openDriven(directory),
    /synced frames are damaged or missing from .* but the frame of sequence 3 /,
  )
})

test('step 5: the published position proves what the watermark does not', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a')
  driven.syncer.cycle()
  flip(join(directory, segmentName(1)), driven.writer.end.offset - 20)
  assert.throws(() => openDriven(directory), /synced frames are damaged or missing/)
})

test('step 5: every flipped bit of a small spool is found or changes nothing that was read', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b', 'c')
  driven.syncer.cycle()
  const path = join(directory, segmentName(1))
  const whole = readFileSync(path)
  for (let at = 0; at < whole.length; at += 1) {
    for (const bit of [0x01, 0x80]) {
      overwrite(path, at, Buffer.from([(whole[at] ?? 0) ^ bit]))
      let found: string[] | undefined
      try {
        found = inspectSpool(diskFiles, context(directory))?.tail.records.map(({ record }) => record.toString())
      } catch (error) {
        assert.ok(error instanceof AuditError, String(error))
      }
      if (found !== undefined)
        assert.deepEqual(
          found,
          ['a', 'b', 'c'].map((name) => recordText(name)),
          `byte ${at}`,
        )
    }
    overwrite(path, at, whole.subarray(at, at + 1))
  }
})

test('step 6: an unclean end under another boot starts a new stream, a clean one does not', (t) => {
  const directory = freshDirectory(t)
  const first = openDriven(directory, { boot: 'boot-1' })
  first.append('a')
  first.syncer.cycle()
  const second = openDriven(directory, { boot: 'boot-2' })
  assert.equal(second.recovered.predecessor?.reason, 'boot')
  second.append('b')
  closeDriven(second)
  const third = openDriven(directory, { boot: 'boot-3' })
  assert.equal(third.recovered.previousEnd, 'clean')
  assert.equal(third.recovered.predecessor, undefined)
  assert.equal(third.recovered.state.stream, second.recovered.state.stream)
  assert.deepEqual(third.durableNames(), ['a', 'b', 'checkpoint'])
})

test('step 6: a clock more than 60 s behind the last record starts a new stream, one less far behind does not', (t) => {
  for (const [aheadMs, reason] of [
    [50_000, undefined],
    [90_000, 'clock'],
  ] as const) {
    const directory = freshDirectory(t)
    const first = openDriven(directory)
    const recorded = new Date(Date.now() + aheadMs).toISOString().replace('Z', '000000Z')
    first.writer.append(JSON.stringify({ name: 'a', recorded }), 0)
    first.syncer.cycle()
    assert.equal(openDriven(directory).recovered.predecessor?.reason, reason)
  }
})

test('step 6: another deployment starts a new stream', (t) => {
  const directory = freshDirectory(t)
  const first = openDriven(directory)
  first.append('a')
  closeDriven(first)
  const { recovered } = openDriven(directory, { deployment: 'other' })
  assert.equal(recovered.predecessor?.reason, 'deployment')
  assert.equal(recovered.state.deployment, 'other')
})

test('step 6: a stream that never got a record passes on whom it follows', (t) => {
  const directory = freshDirectory(t)
  const first = openDriven(directory, { boot: 'boot-1' })
  first.append('a')
  const second = openDriven(directory, { boot: 'boot-2' })
  assert.equal(second.recovered.predecessor?.stream, first.recovered.state.stream)
  for (const boot of ['boot-2', 'boot-3']) {
    const next = openDriven(directory, { boot })
    assert.equal(next.recovered.predecessor?.stream, first.recovered.state.stream)
    assert.equal(next.recovered.predecessor?.sequence, 1)
  }
})

test('step 6: a recovery that was itself killed before control starts a new stream and loses nothing', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b')
  driven.syncer.cycle()
  linkSync(join(directory, 'control'), join(directory, 'old'))
  openDriven(directory, { boot: 'boot-2' })
  renameSync(join(directory, 'old'), join(directory, 'control'))
  const again = openDriven(directory, { boot: 'boot-2' })
  assert.equal(again.recovered.predecessor?.reason, 'recovery')
  assert.equal(again.recovered.predecessor?.sequence, 2)
  assert.deepEqual(again.durableNames(), ['a', 'b'])
})

test('step 9: superseded segments are unlinked, and what is left can be read', (t) => {
  const directory = freshDirectory(t)
  let expected: string[] = []
  for (let round = 0; round < 5; round += 1) {
    const driven = openDriven(directory, { segmentBytesMax: 16_384 })
    const fresh = names(0, 60, `round${round}-`)
    for (const name of fresh) {
      driven.append(name)
      if (name.endsWith('7')) driven.syncer.cycle()
    }
    expected = [...expected, ...fresh]
    driven.syncer.cycle()
    assert.deepEqual(driven.durableNames(), expected)
  }
})

test('the tree survives a crash: sequences and frontier go on where they were', (t) => {
  const directory = freshDirectory(t)
  const first = openDriven(directory, { segmentBytesMax: 16_384 })
  for (let at = 0; at < 90; at += 1) {
    first.append(`r${at}`)
    if (at % 3 === 0) first.syncer.cycle()
  }
  const second = openDriven(directory, { segmentBytesMax: 16_384 })
  second.append('last')
  second.positions.requestFinish()
  second.syncer.cycle()
  const checkpoint = second.messages.find((message) => message.kind === 'checkpoint')
  assert.equal(checkpoint?.size, 91)
  const own = readSegmentHeader(diskFiles, directory, second.recovered.segment.segment)
  assert.ok(own.ok)
  assert.equal(decodeSegmentFrontier(own.bytes)?.base, own.header.base, 'the new segment states the tree before it')
})
