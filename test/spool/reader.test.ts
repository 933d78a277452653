import assert from 'node:assert/strict'
import { openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { CursorFile, readCursor } from '../../src/spool/cursor.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { segmentName } from '../../src/spool/format.ts'
import { Handover } from '../../src/spool/handover.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { slotBytes } from '../../src/spool/slots.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { CraftedSpool, rot } from './crafted.ts'
import { closeDriven, freshDirectory, names, openDriven, readNames } from './harness.ts'

const most = { records: 1_000, bytes: 1_000_000 }

test('no reader passes the durable position', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a')
  assert.deepEqual(driven.durableNames(), [])
  driven.syncer.cycle()
  driven.append('b')
  assert.deepEqual(driven.durableNames(), ['a'])
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'b'])
})

test('a reader that ran dry goes on when more is durable, across rolls', (t) => {
  const driven = openDriven(freshDirectory(t), { segmentBytesMax: 12_288 })
  const reader = new SpoolReader(diskFiles, driven.directory, () => driven.positions.durable())
  const read: number[] = []
  for (let round = 0; round < 60; round += 1) {
    driven.append(...names(0, 5))
    driven.syncer.cycle()
    read.push(...reader.next(most).map((record) => record.sequence))
  }
  assert.deepEqual(
    read,
    Array.from({ length: 300 }, (_, index) => index + 1),
  )
  assert.ok(driven.writer.end.segment > 3, 'the test rolls')
  reader.close()
})

test('a batch is bounded by records and by bytes, but never empty', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append(...names(0, 10))
  driven.syncer.cycle()
  const reader = new SpoolReader(diskFiles, driven.directory, () => driven.positions.durable())
  assert.equal(reader.next({ records: 3, bytes: 1_000_000 }).length, 3)
  assert.equal(reader.next({ records: 10, bytes: 1 }).length, 1)
  reader.close()
})

test('a cursor is found by its hint, and without one by reading', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory, { segmentBytesMax: 12_288 })
  for (let round = 0; round < 40; round += 1) {
    driven.append(...names(round * 5, round * 5 + 5))
    driven.syncer.cycle()
  }
  const limit = () => driven.positions.durable()
  const stream = driven.recovered.state.stream
  for (let sequence = 1; sequence <= 200; sequence += 1) {
    const first = new SpoolReader(diskFiles, directory, limit)
    const read = first.next({ records: sequence, bytes: 1_000_000 })
    assert.equal(read.at(-1)?.sequence, sequence)
    const confirmed = { stream, sequence }
    for (const hint of [first.place, undefined]) {
      const again = new SpoolReader(diskFiles, directory, limit)
      again.seek({ confirmed, hint })
      assert.equal(again.next(most)[0]?.sequence, sequence === 200 ? undefined : sequence + 1)
      again.close()
    }
    first.close()
  }
})

test('a damaged first record of the oldest segment is named, not taken for the end', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a', 'b')
  driven.syncer.cycle()
  const file = openSync(join(driven.directory, segmentName(1)), 'r+')
  writeSync(file, Buffer.of(0), 0, 1, 4_096)
  assert.throws(() => driven.durableNames(), { code: 'SPOOL_CORRUPT' })
})

test('a reader in another process goes on when a recovery moves what it has read', (t) => {
  const directory = freshDirectory(t)
  const killed = openDriven(directory)
  killed.append(...names(0, 5))
  killed.syncer.cycle()
  let limit = killed.positions.durable()
  const reader = new SpoolReader(diskFiles, directory, () => limit)
  assert.equal(reader.next({ records: 3, bytes: 1_000_000 }).length, 3)
  const next = openDriven(directory)
  next.append('r5')
  next.syncer.cycle()
  assert.ok(next.recovered.recovered > 0, 'the test moves records')
  limit = next.positions.durable()
  assert.deepEqual(readNames(reader), names(3, 6))
})

test('a reader whose segment goes again and again, before anything new was read, is not told of damage', (t) => {
  const spool = new CraftedSpool(freshDirectory(t)).add({ records: 5 })
  let end = spool.settle().watermark
  const reader = new SpoolReader(diskFiles, spool.directory, () => end)
  const sequences = () => reader.next(most).map(({ sequence }) => sequence)
  assert.deepEqual(sequences(), [1, 2, 3, 4, 5])
  end = spool.add({ records: 0 }).reclaim(2).settle().watermark
  assert.deepEqual(sequences(), [], 'the first segment went when all of it was confirmed')
  end = spool.add({ records: 3, kind: 'explicit' }).reclaim(3).settle().watermark
  assert.deepEqual(sequences(), [6, 7, 8], 'the second was empty, and went with what replaced it')
  reader.close()
})

test('a reader that has read nothing goes on when the segment in which it waits goes', (t) => {
  const spool = new CraftedSpool(freshDirectory(t)).add({ records: 0 })
  let end = spool.settle().watermark
  const reader = new SpoolReader(diskFiles, spool.directory, () => end)
  assert.deepEqual(reader.next(most), [])
  end = spool.add({ records: 2, kind: 'explicit' }).reclaim(2).settle().watermark
  assert.deepEqual(
    reader.next(most).map(({ sequence }) => sequence),
    [1, 2],
  )
  reader.close()
})

test('a limit that falls back, as when the published slot was read half-written, is waited for', (t) => {
  const driven = openDriven(freshDirectory(t))
  const start = driven.positions.durable()
  driven.append('a', 'b')
  driven.syncer.cycle()
  let limit = driven.positions.durable()
  const reader = new SpoolReader(diskFiles, driven.directory, () => limit)
  assert.equal(reader.next(most).length, 2)
  limit = start
  assert.deepEqual(reader.next(most), [])
  reader.close()
})

test('where another stream is about to begin, a reader of the one before only waits', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a', 'b')
  driven.syncer.cycle()
  const limit = { ...driven.positions.durable() }
  const reader = new SpoolReader(diskFiles, driven.directory, () => limit)
  assert.equal(reader.next(most).length, 2)
  limit.nextSequence = 1
  assert.deepEqual(reader.next(most), [])
  reader.close()
})

test('a damaged last record of a stream is named, although its successor is still empty', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a', 'b')
  driven.syncer.cycle()
  const { offset } = driven.writer.end
  new Handover(driven.positions.memory).wantStream('clock')
  driven.syncer.cycle()
  assert.ok(driven.writer.enterStream() !== undefined, 'the test changes streams')
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'b'])
  const file = openSync(join(driven.directory, segmentName(1)), 'r+')
  writeSync(file, Buffer.of(0), 0, 1, offset - 1)
  assert.throws(() => driven.durableNames(), { code: 'SPOOL_CORRUPT' })
})

test('a hint into bytes that recovery has moved is not believed', (t) => {
  const directory = freshDirectory(t)
  const killed = openDriven(directory)
  killed.append(...names(0, 6))
  killed.syncer.cycle()
  const reader = new SpoolReader(diskFiles, directory, () => killed.positions.durable())
  reader.next({ records: 4, bytes: 1_000_000 })
  const cursor = { confirmed: { stream: killed.recovered.state.stream, sequence: 4 }, hint: reader.place }
  reader.close()
  const again = openDriven(directory) // the watermark was at 0: all six stand in another segment now
  const next = new SpoolReader(diskFiles, directory, () => again.positions.durable())
  next.seek(cursor)
  assert.deepEqual(
    next.next(most).map((record) => record.sequence),
    [5, 6],
  )
  next.close()
})

test('a cursor of a stream that ended goes on with the stream that follows', (t) => {
  const directory = freshDirectory(t)
  const first = openDriven(directory, { boot: 'boot-1' })
  first.append('a', 'b')
  first.syncer.cycle()
  const confirmed = { stream: first.recovered.state.stream, sequence: 2 }
  const second = openDriven(directory, { boot: 'boot-2' })
  second.append('c')
  second.syncer.cycle()
  const reader = new SpoolReader(diskFiles, directory, () => second.positions.durable())
  reader.seek({ confirmed })
  assert.deepEqual(readNames(reader), ['c'])
})

test('damage below the durable position stops a reader and names the place', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b', 'c')
  driven.syncer.cycle()
  const path = join(directory, segmentName(1))
  const at = readFileSync(path).indexOf('"b"')
  writeSync(openSync(path, 'r+'), 'X', at)
  const reader = new SpoolReader(diskFiles, directory, () => driven.positions.durable())
  assert.throws(
    () => [reader.next({ records: 1, bytes: 1 }), reader.next(most), reader.next(most)],
    (error) => error instanceof AuditError && error.code === 'SPOOL_CORRUPT' && /sequence 2/.test(error.message),
  )
  reader.close()
})

test('a damaged second header block costs no record, in the oldest segment neither', (t) => {
  const spool = new CraftedSpool(freshDirectory(t))
  spool.add({ records: 5 }).add({ records: 5 }).add({ records: 5 })
  const { watermark, stream } = spool.reclaim(2).settle()
  for (const segment of [2, 3]) rot(spool.directory, segment, 512 + 10)
  const reader = new SpoolReader(diskFiles, spool.directory, () => watermark)
  const sequences = () => reader.next(most).map((record) => record.sequence)
  assert.deepEqual(sequences(), [6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
  reader.seek({ confirmed: { stream, sequence: 12 } })
  assert.deepEqual(sequences(), [13, 14, 15])
  rot(spool.directory, 2, 4_096 + 8)
  assert.throws(
    () => reader.seek({}),
    (error) => error instanceof AuditError && error.code === 'SPOOL_CORRUPT',
  )
  reader.close()
})

test('a view steps over damage, names it, and tells what is durable', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b', 'c')
  driven.syncer.cycle()
  driven.append('d')
  const path = join(directory, segmentName(1))
  writeSync(openSync(path, 'r+'), 'X', readFileSync(path).indexOf('"b"'))
  const seen = [...viewSpool(diskFiles, directory).records()].map(({ sequence, damaged, durable }) => ({
    sequence,
    damaged,
    durable,
  }))
  assert.deepEqual(seen, [
    { sequence: 1, damaged: false, durable: true },
    { sequence: 2, damaged: true, durable: true },
    { sequence: 3, damaged: false, durable: true },
    { sequence: 4, damaged: false, durable: false },
  ])
})

test('a view of a large spool reads every record once, whatever the read buffer cuts', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  for (let at = 0; at < 400; at += 1) driven.append(`${'y'.repeat(at * 20)}${at}`)
  driven.syncer.cycle()
  closeDriven(driven)
  const sequences = [...viewSpool(diskFiles, directory).records()].map((record) => record.sequence)
  assert.deepEqual(
    sequences,
    Array.from({ length: 401 }, (_, index) => index + 1),
  )
})

test('cursors alternate between two slots and survive one damaged slot', (t) => {
  const directory = freshDirectory(t)
  const cursor = new CursorFile(diskFiles, directory, 'otlp/a b*')
  const confirmed = (sequence: number) => ({ confirmed: { stream: 's', sequence } })
  cursor.save(confirmed(1))
  cursor.save(confirmed(2))
  cursor.close()
  assert.deepEqual(readCursor(diskFiles, directory, 'otlp/a b*'), confirmed(2))
  const path = join(directory, 'cursor-otlp%2Fa%20b%2A')
  writeSync(openSync(path, 'r+'), 'X', 0 * slotBytes + 40) // generation 2 stands in slot 0
  assert.deepEqual(readCursor(diskFiles, directory, 'otlp/a b*'), confirmed(1))
})
