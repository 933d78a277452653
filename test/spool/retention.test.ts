import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import { readPresentControl } from '../../src/spool/control.ts'
import { CursorFile } from '../../src/spool/cursor.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { Positions } from '../../src/spool/positions.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { recoverSpool } from '../../src/spool/recover.ts'
import { SpoolRefusal } from '../../src/spool/state.ts'
import { Syncer } from '../../src/spool/syncer.ts'
import { SpoolWriter } from '../../src/spool/writer.ts'
import { rot } from './crafted.ts'
import {
  closeDriven,
  copyOf,
  type Driven,
  freshDirectory,
  names,
  openDriven,
  readNames,
  recordText,
  signer,
} from './harness.ts'

let atMs = 1_800_000_000_000
useClocks({ wallMs: () => atMs, monotonicMs: () => atMs })

const small = { segmentBytesMax: 8_192, destinations: ['a', 'b'] }

/** Fills several segments, durable one by one. */
function fill(driven: Driven, count: number): void {
  for (const name of names(0, count)) {
    driven.append(name)
    driven.syncer.cycle()
  }
}

/** Durably confirmed by this destination, as a forwarder says it. */
function confirm(driven: Driven, name: string, sequence: number): void {
  const cursor = new CursorFile(diskFiles, driven.directory, name)
  cursor.save({ confirmed: { stream: driven.recovered.state.stream, sequence } })
  cursor.close()
}

function keepHouse(driven: Driven, afterMs = 1_000): void {
  atMs += afterMs
  driven.syncer.cycle()
}

function segments(driven: Driven): string[] {
  return readdirSync(driven.directory).filter((name) => name.endsWith('.wal'))
}

test('a segment goes when every destination of the durable set has confirmed all of it, and no sooner', (t) => {
  const driven = openDriven(freshDirectory(t), small)
  fill(driven, 60)
  const all = segments(driven).length
  assert.ok(all > 4)
  keepHouse(driven)
  assert.equal(segments(driven).length, all, 'nobody has confirmed anything')
  confirm(driven, 'a', 60)
  keepHouse(driven)
  assert.equal(segments(driven).length, all, 'b has confirmed nothing')
  confirm(driven, 'b', 20)
  keepHouse(driven)
  const left = segments(driven).length
  assert.ok(left < all && left > 2)
  const first = readPresentControl(diskFiles, driven.directory).state.firstSegment
  assert.equal(segments(driven)[0], `seg-${String(first).padStart(8, '0')}.wal`)
  const rest = readNames(new SpoolReader(diskFiles, driven.directory, () => driven.positions.durable()))
  assert.ok(rest.length >= 40, `b lacks 40 records, ${rest.length} are there`)
  assert.deepEqual(rest, names(60 - rest.length, 60))
})

test('what older segments hold counts against the budget before the sync thread has counted it, and alike after', (t) => {
  const driven = openDriven(freshDirectory(t), small)
  fill(driven, 60)
  closeDriven(driven)
  const { directory } = driven
  const recovered = recoverSpool(diskFiles, { directory, deployment: 'test', bootId: 'boot-1' })
  const positions = new Positions()
  positions.reset(recovered.state.watermark)
  const { nextSequence } = recovered.state.watermark
  const writer = new SpoolWriter(diskFiles, positions, { directory, ...recovered, nextSequence, bytesMax: 32_768 })
  const atOpening = writer.usedBytes
  assert.throws(() => writer.append(recordText('one more'), { flags: 0 }), SpoolRefusal)
  const start = { ...small, ...recovered, directory, memory: positions.memory }
  const syncer = new Syncer(diskFiles, start, { signer, post: () => {} })
  assert.equal(writer.usedBytes, atOpening)
  positions.requestStop()
  syncer.run()
  writer.close()
})

test('what comes before a segment that does not state the tree before it stays', (t) => {
  const driven = openDriven(freshDirectory(t), { ...small, destinations: ['a'] })
  fill(driven, 60)
  const first = () => readPresentControl(diskFiles, driven.directory).state.firstSegment
  const last = driven.positions.durable().segment
  for (const segment of [last, last - 1]) rot(driven.directory, segment, 512 + 9)
  confirm(driven, 'a', 60)
  keepHouse(driven)
  assert.equal(first(), last - 2)
  const again = openDriven(driven.directory, { ...small, destinations: ['a'] })
  assert.equal(again.recovered.state.watermark.nextSequence, 61, 'it opens, and knows the tree')
})

test('without a destination nothing goes', (t) => {
  const driven = openDriven(freshDirectory(t), { segmentBytesMax: 8_192 })
  fill(driven, 60)
  const all = segments(driven).length
  keepHouse(driven)
  assert.equal(segments(driven).length, all)
})

test('a destination that left the configuration holds its segments', (t) => {
  const first = openDriven(freshDirectory(t), small)
  fill(first, 60)
  closeDriven(first)
  const second = openDriven(first.directory, { ...small, destinations: ['a'] })
  confirm(second, 'a', 61)
  const all = segments(second)
  keepHouse(second)
  assert.deepEqual(segments(second)[0], all[0])
  confirm(second, 'b', 61)
  keepHouse(second)
  assert.notEqual(segments(second)[0], all[0])
})

test('a segment is kept for its time after the writer has left it, unless the room is wanted', (t) => {
  const driven = openDriven(freshDirectory(t), { ...small, keepMs: 60_000 })
  fill(driven, 60)
  confirm(driven, 'a', 60)
  confirm(driven, 'b', 60)
  const all = segments(driven).length
  keepHouse(driven, 59_000)
  assert.equal(segments(driven).length, all)
  keepHouse(driven, 2_000)
  assert.equal(segments(driven).length, 2, 'the one being written, and the spare')
})

test('control no longer needs a segment, durably, before the segment is unlinked', (t) => {
  const calls: string[] = []
  const files: Files = {
    ...diskFiles,
    sync: (file) => {
      calls.push('sync')
      diskFiles.sync(file)
    },
    unlink: (path) => {
      const { firstSegment } = readPresentControl(diskFiles, driven.directory).state
      calls.push(`unlink below ${firstSegment}`)
      diskFiles.unlink(path)
    },
  }
  const driven = openDriven(freshDirectory(t), { ...small, files })
  fill(driven, 60)
  confirm(driven, 'a', 60)
  confirm(driven, 'b', 60)
  calls.length = 0
  keepHouse(driven)
  const first = calls.findIndex((call) => call.startsWith('unlink'))
  assert.equal(calls[first - 1], 'sync')
  assert.match(calls[first] ?? '', /^unlink below ([2-9]|1\d)$/)
})

test('names are removed and made by descriptors of their own: a failed sync is told to each', (t) => {
  const by = { unlink: new Set<number>(), rename: new Set<number>() }
  let last: keyof typeof by | undefined
  const note = (call: keyof typeof by) => {
    last = call
  }
  const files: Files = {
    ...diskFiles,
    rename: (from, to) => {
      note('rename')
      diskFiles.rename(from, to)
    },
    unlink: (path) => {
      note('unlink')
      diskFiles.unlink(path)
    },
    syncDirectory: (file) => {
      if (last !== undefined) by[last].add(file)
      last = undefined
      diskFiles.syncDirectory(file)
    },
  }
  const driven = openDriven(freshDirectory(t), { ...small, files })
  by.rename.clear() // what recovery has opened is closed again
  fill(driven, 60)
  confirm(driven, 'a', 60)
  confirm(driven, 'b', 60)
  keepHouse(driven)
  assert.ok(by.rename.size > 0 && by.unlink.size > 0, 'the test makes names and removes some')
  assert.deepEqual(
    [...by.unlink].filter((descriptor) => by.rename.has(descriptor)),
    [],
  )
})

test('a full spool refuses events, lets important records into the reserve, and takes events again when there is room', (t) => {
  const limits = { segmentBytesMax: 16_384, bytesMax: 60_000, reserveBytes: 8_192, destinations: ['a'] }
  const driven = openDriven(freshDirectory(t), limits)
  const record = recordText('x', 1_000)
  const append = (mayUseReserve = false) => {
    driven.writer.append(record, { flags: 0, mayUseReserve })
    driven.syncer.cycle()
  }
  const isFull = (error: unknown) => error instanceof SpoolRefusal && error.reason === 'full'
  let taken = 0
  assert.throws(() => {
    for (; taken < 1_000; taken += 1) append()
  }, isFull)
  assert.ok(taken > 20)
  keepHouse(driven)
  append(true)
  assert.throws(() => {
    for (let more = 0; more < 1_000; more += 1) append(true)
  }, isFull)
  driven.syncer.cycle()
  assert.ok(driven.messages.some((message) => message.kind === 'filling'))
  confirm(driven, 'a', taken)
  keepHouse(driven)
  append()
  keepHouse(driven)
  const states = driven.messages.filter((message) => message.kind === 'state').map((message) => message.state)
  assert.deepEqual(states, ['full', 'ok'])
})

test('a spool that is full with one segment leaves it, so that it can be given back, and leaves no other for it', (t) => {
  const limits = { segmentBytesMax: 16_384, bytesMax: 60_000, reserveBytes: 8_192, destinations: ['a'] }
  const driven = openDriven(freshDirectory(t), limits)
  const append = () => driven.writer.append(recordText('x', 1_000), { flags: 0 })
  let taken = 0
  assert.throws(() => {
    for (; taken < 1_000; taken += 1) append() // the sync thread has not run: there is no other segment to go on in
  }, SpoolRefusal)
  assert.equal(segments(driven).length, 1)
  for (let round = 0; round < 20; round += 1) {
    keepHouse(driven, 30)
    try {
      append()
      taken += 1
    } catch (refusal) {
      assert.ok(refusal instanceof SpoolRefusal)
    }
    for (const boot of ['boot-1', 'boot-2']) assertRecovers(copyOf(t, driven.directory), boot, taken)
  }
  assert.ok(segments(driven).length <= 3, 'the one that was left, the one being written, and a spare')
  assert.ok(driven.writer.usedBytes < 68_000, 'a record more, and whole blocks; not many')
  confirm(driven, 'a', taken)
  keepHouse(driven)
  append()
  driven.syncer.cycle()
  assert.equal(driven.positions.durable().nextSequence, taken + 2)
})

/** What a kill, or a kill and another boot, leaves now is whole. */
function assertRecovers(directory: string, bootId: string, count: number): void {
  const recovered = recoverSpool(diskFiles, { directory, deployment: 'test', bootId })
  diskFiles.close(recovered.segment.file)
  assert.equal(recovered.predecessor?.sequence, count)
}

test('on a disk that is short, also a segment that is not full is left and given back', (t) => {
  let freeBytes = 1_000_000
  const files = { ...diskFiles, freeBytes: () => freeBytes }
  const driven = openDriven(freshDirectory(t), { files, reserveBytes: 10_000, destinations: ['a'] })
  for (const name of names(0, 50)) driven.append(name)
  driven.syncer.cycle()
  freeBytes = 9_999
  keepHouse(driven)
  assert.throws(() => driven.append('refused'), SpoolRefusal)
  keepHouse(driven)
  driven.append('the one that leaves')
  keepHouse(driven)
  assert.throws(() => driven.append('refused'), SpoolRefusal)
  confirm(driven, 'a', 50)
  keepHouse(driven)
  assert.ok(!segments(driven).includes('seg-00000001.wal'), 'it is what took the room')
})

test('a disk with less than the reserve left counts as full', (t) => {
  let freeBytes = 1_000_000
  const files = { ...diskFiles, freeBytes: () => freeBytes }
  const driven = openDriven(freshDirectory(t), { files, reserveBytes: 10_000 })
  driven.append('a')
  driven.syncer.cycle()
  freeBytes = 9_999
  keepHouse(driven)
  assert.throws(() => driven.append('b'), SpoolRefusal)
  driven.writer.append(recordText('important'), { flags: 0, mayUseReserve: true })
  freeBytes = 1_000_000
  keepHouse(driven)
  driven.append('c')
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'important', 'c'])
})

test('on a disk that is short at the opening nothing is taken before the sync thread has looked', (t) => {
  const shared = { directory: freshDirectory(t), files: { ...diskFiles, freeBytes: () => 9_999 } }
  const { segment } = openDriven(shared.directory).recovered
  const writer = (reserveBytes: number) =>
    new SpoolWriter(shared.files, new Positions(), { ...shared, segment, nextSequence: 1, reserveBytes })
  assert.equal(writer(10_000).refusal(100, false)?.reason, 'full')
  assert.equal(writer(10_000).refusal(100, true), undefined)
  assert.equal(writer(9_999).refusal(100, false), undefined)
})

test('the ballast is given up once when the disk is full, and made again when there is room', (t) => {
  let isFull = false
  const noSpace = () => Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' })
  const directory = freshDirectory(t)
  const ballast = join(directory, 'ballast')
  const files: Files = {
    ...diskFiles,
    freeBytes: () => (isFull ? 0 : 2 ** 30),
    open: (path, how) => {
      if (isFull && how === 'create' && existsSync(ballast)) throw noSpace()
      return diskFiles.open(path, how)
    },
  }
  const writerFiles: Files = {
    ...diskFiles,
    write: (file, from, position) => {
      if (isFull && existsSync(ballast)) throw noSpace()
      diskFiles.write(file, from, position)
    },
  }
  const driven = openDriven(directory, { files, writerFiles, ballastBytes: 16_384 })
  driven.append('a')
  driven.syncer.cycle()
  assert.ok(existsSync(ballast))
  isFull = true
  assert.throws(() => driven.append('refused'), SpoolRefusal)
  for (let round = 0; round < 4; round += 1) {
    keepHouse(driven)
    driven.writer.takeRescue()
  }
  assert.ok(!existsSync(ballast))
  driven.append('the fact')
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'the fact'])
  isFull = false
  keepHouse(driven)
  assert.ok(existsSync(ballast))
})
