import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { readSegmentHeader } from '../../src/spool/segment.ts'
import { decodeSegmentFrontier } from '../../src/spool/segment-header.ts'
import { SpoolRefusal } from '../../src/spool/state.ts'
import { type Driven, freshDirectory, names, openDriven, recordText } from './harness.ts'

/** A disk whose calls of one kind fail while `failing` says so; counts those that reached it. */
function failingFiles(code = 'EIO') {
  const failing = new Set<keyof Files>()
  const fail = (name: keyof Files) => {
    if (failing.has(name)) throw Object.assign(new Error(`${code}: injected`), { code })
  }
  const synced: number[] = []
  const files: Files = {
    ...diskFiles,
    sync: (file) => {
      synced.push(file)
      fail('sync')
      diskFiles.sync(file)
    },
    syncDirectory: (file) => {
      fail('syncDirectory')
      diskFiles.syncDirectory(file)
    },
    open: (path, how) => {
      if (how === 'create') fail('open')
      return diskFiles.open(path, how)
    },
    write: (file, from, position) => {
      fail('write')
      diskFiles.write(file, from, position)
    },
  }
  return { files, failing, synced }
}

let atMs = 0
useClocks({ monotonicMs: () => atMs })

/** Rounds of the sync thread with the application thread's part between, and a second passing before each. */
function rescue(driven: Driven, rounds = 4): void {
  for (let round = 0; round < rounds; round += 1) {
    atMs += 1_000
    driven.syncer.cycle()
    driven.writer.takeRescue()
  }
  driven.syncer.cycle()
}

function reopenedNames(t: TestContext, driven: Driven): string[] {
  t.diagnostic(driven.directory)
  return openDriven(driven.directory).durableNames()
}

test('after a failed sync everything not durable is written into a new segment, and the old file is never synced again', (t) => {
  const disk = failingFiles()
  const driven = openDriven(freshDirectory(t), { files: disk.files })
  driven.append('a', 'b')
  driven.syncer.cycle()
  driven.append('c', 'd')
  disk.failing.add('sync')
  driven.syncer.cycle()
  assert.equal(driven.positions.durable().nextSequence, 3)
  const condemned = disk.synced.at(-2)
  disk.failing.clear()
  disk.synced.length = 0
  driven.append('e')
  rescue(driven)
  assert.equal(driven.positions.durable().nextSequence, 6)
  assert.ok(!disk.synced.includes(condemned ?? -1))
  assert.deepEqual(driven.durableNames(), ['a', 'b', 'c', 'd', 'e'])
  assert.deepEqual(reopenedNames(t, driven), ['a', 'b', 'c', 'd', 'e'])
})

test('a directory that cannot be synced condemns the rescue, and the next one has another name', (t) => {
  const disk = failingFiles()
  const driven = openDriven(freshDirectory(t), { files: disk.files })
  driven.append('a')
  disk.failing.add('sync')
  driven.syncer.cycle()
  disk.failing.clear()
  disk.failing.add('syncDirectory')
  driven.writer.takeRescue()
  driven.syncer.cycle()
  assert.equal(driven.positions.durable().nextSequence, 1, 'a name that may vanish is no place for a credit')
  const first = driven.writer.end.segment
  disk.failing.clear()
  rescue(driven)
  assert.ok(driven.writer.end.segment > first)
  assert.deepEqual(driven.durableNames(), ['a'])
})

test('a disk that fails again and again is called failed, takes nothing, and heals', async (t) => {
  const disk = failingFiles()
  const driven = openDriven(freshDirectory(t), { files: disk.files })
  driven.append('a')
  disk.failing.add('sync')
  const states = () => driven.messages.filter((message) => message.kind === 'state').map((message) => message.state)
  rescue(driven)
  assert.deepEqual(states(), ['failing', 'failed'])
  assert.throws(
    () => driven.append('b'),
    (error) => error instanceof SpoolRefusal && error.reason === 'failed',
  )
  assert.equal(driven.positions.durable().nextSequence, 1)
  disk.failing.clear()
  rescue(driven)
  assert.equal(states().at(-1), 'ok')
  driven.append('b')
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'b'])
})

test('a write that is refused gives its number to the next record, in a new segment', (t) => {
  const application = failingFiles('ENOSPC')
  const driven = openDriven(freshDirectory(t), { writerFiles: application.files })
  driven.append('a')
  driven.syncer.cycle()
  driven.append('b')
  application.failing.add('write')
  assert.throws(
    () => driven.append('refused'),
    (error) => error instanceof SpoolRefusal && error.reason === 'full',
  )
  application.failing.clear()
  assert.throws(() => driven.append('refused too'), SpoolRefusal, 'where a write was refused nothing is written again')
  rescue(driven)
  driven.append('c')
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'b', 'c'])
})

test('a failure after the roll gives up both segments and keeps every record', (t) => {
  const disk = failingFiles()
  const driven = openDriven(freshDirectory(t), { files: disk.files, segmentBytesMax: 8_192 })
  driven.append(...names(0, 30))
  driven.syncer.cycle()
  driven.append(...names(30, 60)) // in the spare
  assert.equal(driven.writer.end.segment, 2)
  disk.failing.add('sync')
  driven.syncer.cycle()
  disk.failing.clear()
  rescue(driven)
  driven.append(...names(60, 70))
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), names(0, 70))
  assert.deepEqual(reopenedNames(t, driven), names(0, 70))
})

test('a record survives SIGKILL at every point of a failover', (t) => {
  for (let until = 0; until < 4; until += 1) {
    const disk = failingFiles()
    const driven = openDriven(freshDirectory(t), { files: disk.files })
    driven.append('a', 'b')
    disk.failing.add('sync')
    const steps = [
      () => driven.syncer.cycle(),
      () => disk.failing.clear(),
      () => driven.syncer.cycle(),
      () => driven.writer.takeRescue(),
    ]
    for (const step of steps.slice(0, until + 1)) step()
    assert.deepEqual(reopenedNames(t, driven), ['a', 'b'], `killed after step ${until}`)
  }
})

test('what waits in memory for a slow disk is bounded', (t) => {
  const driven = openDriven(freshDirectory(t), { unsyncedBytesMax: 1_000 })
  const record = recordText('x', 300)
  for (let count = 0; count < 2; count += 1) driven.writer.append(record, { flags: 0 })
  assert.throws(
    () => driven.writer.append(record, { flags: 0 }),
    (error) => error instanceof SpoolRefusal && error.reason === 'unsynced',
  )
  driven.syncer.cycle()
  driven.writer.append(record, { flags: 0 })
})

test('a refused write leaves the end behind the last frame, not where the next one would have begun', (t) => {
  const application = failingFiles('ENOSPC')
  const driven = openDriven(freshDirectory(t), { writerFiles: application.files })
  driven.append('a')
  const { end } = driven.writer
  driven.syncer.cycle() // its barrier sends the next frame to the next sector
  application.failing.add('write')
  assert.throws(() => driven.append('refused'), SpoolRefusal)
  assert.deepEqual(driven.writer.end, end)
  driven.syncer.cycle()
  assert.deepEqual(driven.positions.durable(), end)
})

test('what a new segment has accepted before the disk was full again counts, though no further one can be made', (t) => {
  const application = failingFiles('ENOSPC')
  const disk = failingFiles('ENOSPC')
  const driven = openDriven(freshDirectory(t), { files: disk.files, writerFiles: application.files })
  driven.append('a')
  application.failing.add('write')
  assert.throws(() => driven.append('refused'), SpoolRefusal)
  driven.syncer.cycle()
  application.failing.clear()
  driven.append('b') // in the new segment, which it fills and names
  disk.failing.add('open')
  application.failing.add('write')
  assert.throws(() => driven.append('refused again'), SpoolRefusal)
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'b'])
})

test('a rescue states the tree behind all that is durable, also what became so in the same round', (t) => {
  const application = failingFiles('ENOSPC')
  const driven = openDriven(freshDirectory(t), { writerFiles: application.files })
  driven.append('a', 'b')
  application.failing.add('write')
  assert.throws(() => driven.append('refused'), SpoolRefusal)
  application.failing.clear()
  driven.syncer.cycle()
  driven.writer.takeRescue()
  const { segment } = driven.writer.end
  const decoded = readSegmentHeader(diskFiles, driven.directory, segment)
  assert.ok(decoded.ok)
  assert.deepEqual([decoded.header.base, decodeSegmentFrontier(decoded.bytes)?.base], [3, 3])
})
