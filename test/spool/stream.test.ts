import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import { readPresentControl } from '../../src/spool/control.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { Handover } from '../../src/spool/handover.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { recoverSpool } from '../../src/spool/recover.ts'
import { Spool } from '../../src/spool/spool.ts'
import { Syncer } from '../../src/spool/syncer.ts'
import { copyOf, type Driven, freshDirectory, names, openDriven, recordText, signer } from './harness.ts'

let atMs = 0
useClocks({ monotonicMs: () => atMs })

/** Every durable record as stream index and sequence. */
function places(driven: Driven): string[] {
  const reader = new SpoolReader(diskFiles, driven.directory, () => driven.positions.durable())
  const streams: string[] = []
  const found: string[] = []
  for (;;) {
    const records = reader.next({ records: 100, bytes: 1_000_000 })
    if (records.length === 0) break
    for (const { stream, sequence } of records) {
      if (!streams.includes(stream)) streams.push(stream)
      found.push(`${streams.indexOf(stream)}:${sequence}`)
    }
  }
  reader.close()
  return found
}

function startStream(driven: Driven): string | undefined {
  new Handover(driven.positions.memory).wantStream('clock')
  driven.syncer.cycle()
  return driven.writer.enterStream()
}

test('another stream begins while running: numbered from 1, in order behind the one before, which it names', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a', 'b')
  driven.syncer.cycle()
  const stream = startStream(driven)
  assert.ok(stream !== undefined && stream !== driven.recovered.state.stream)
  driven.append('c', 'd', 'e')
  driven.syncer.cycle()
  assert.deepEqual(places(driven), ['0:1', '0:2', '1:1', '1:2', '1:3'])
  assert.deepEqual(driven.durableNames(), ['a', 'b', 'c', 'd', 'e'])
  atMs += 1_000
  driven.syncer.cycle()
  const again = openDriven(driven.directory)
  assert.equal(again.recovered.state.stream, stream)
  assert.deepEqual(again.durableNames(), ['a', 'b', 'c', 'd', 'e'])
})

test('a record of another stream is durable when it is, and not because the one before had as many', async (t) => {
  const spool = Spool.open({ directory: freshDirectory(t), deployment: 'test' })
  t.after(() => spool.abandon())
  const syncer = new Syncer(diskFiles, spool.syncerStart(), { signer, post: (message) => spool.receive(message) })
  spool.attach({ setReferenced() {} }, { checkpoint() {}, changed() {}, rotten() {} })
  for (const name of ['a', 'b', 'c']) spool.append(recordText(name), {})
  syncer.cycle()
  spool.startStream('ahead')
  syncer.cycle()
  const stream = spool.enterStream() ?? ''
  spool.append(recordText('d'), {})
  assert.equal(spool.durableSequence, 0)
  let isDurable = false
  const durable = spool.durable({ stream, sequence: 1 }).then(() => {
    isDurable = true
  })
  await new Promise(setImmediate)
  assert.equal(isDurable, false)
  syncer.cycle()
  await durable
  assert.equal(spool.durableSequence, 1)
})

test('a stream without a record is not named as the one before', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a')
  driven.syncer.cycle()
  assert.ok(startStream(driven))
  driven.syncer.cycle()
  assert.ok(startStream(driven))
  driven.append('b')
  driven.syncer.cycle()
  atMs += 1_000
  driven.syncer.cycle()
  const { predecessor } = readPresentControl(diskFiles, driven.directory).state
  assert.deepEqual([predecessor?.stream, predecessor?.sequence], [driven.recovered.state.stream, 1])
})

test('no stream begins before everything in the one before is durable', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a')
  new Handover(driven.positions.memory).wantStream('ahead')
  driven.syncer.cycle()
  driven.append('b')
  assert.equal(driven.writer.enterStream(), undefined)
  driven.syncer.cycle()
  assert.ok(driven.writer.enterStream())
})

test('no stream begins behind a write that failed half-way: what it left would hide the records of the new one', (t) => {
  let isFull = false
  const writerFiles: Files = {
    ...diskFiles,
    write: (file, bytes, position) => {
      if (!isFull) return diskFiles.write(file, bytes, position)
      diskFiles.write(file, bytes.subarray(0, 20), position)
      throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' })
    },
  }
  const driven = openDriven(freshDirectory(t), { writerFiles })
  driven.append('a')
  driven.syncer.cycle()
  new Handover(driven.positions.memory).wantStream('clock')
  driven.syncer.cycle()
  isFull = true
  assert.throws(() => driven.append('refused'))
  isFull = false
  let stream = driven.writer.enterStream()
  driven.syncer.cycle()
  assert.deepEqual(openDriven(copyOf(t, driven.directory)).durableNames(), ['a'])
  for (let round = 0; stream === undefined && round < 5; round += 1) {
    atMs += 1_000
    driven.writer.takeRescue()
    driven.syncer.cycle()
    stream = driven.writer.enterStream()
  }
  assert.ok(stream !== undefined, 'the stream begins behind the rescue')
  driven.append('b')
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), ['a', 'b'])
  assert.deepEqual(openDriven(driven.directory).durableNames(), ['a', 'b'])
})

test('a kill at any point around the change of streams loses nothing', (t) => {
  for (let until = 0; until < 5; until += 1) {
    const driven = openDriven(freshDirectory(t))
    driven.append('a')
    const written = ['a']
    const append = (name: string) => {
      driven.append(name)
      written.push(name)
    }
    const steps = [
      () => driven.syncer.cycle(),
      () => startStream(driven),
      () => append('b'),
      () => driven.syncer.cycle(),
      () => append('c'),
    ]
    for (const step of steps.slice(0, until + 1)) step()
    assert.deepEqual(openDriven(driven.directory).durableNames(), written, `killed after step ${until}`)
  }
})

test('a disk that fails in the first sync of a new stream loses nothing, and the stream goes on', (t) => {
  let isFailing = false
  const files: Files = {
    ...diskFiles,
    sync: (file) => {
      if (isFailing) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' })
      diskFiles.sync(file)
    },
  }
  const driven = openDriven(freshDirectory(t), { files })
  driven.append(...names(0, 3))
  driven.syncer.cycle()
  assert.ok(startStream(driven))
  driven.append(...names(3, 6))
  isFailing = true
  driven.syncer.cycle()
  isFailing = false
  for (let round = 0; round < 4; round += 1) {
    atMs += 1_000
    driven.syncer.cycle()
    driven.writer.takeRescue()
  }
  driven.syncer.cycle()
  assert.deepEqual(places(driven), ['0:1', '0:2', '0:3', '1:1', '1:2', '1:3'])
  assert.deepEqual(openDriven(driven.directory).durableNames(), names(0, 6))
})

test('a recovery that is killed at any of its calls loses nothing of a tail that spans two streams', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b')
  driven.syncer.cycle()
  assert.ok(startStream(driven))
  driven.append('c', 'd')
  driven.syncer.cycle() // the watermark is still in the first stream
  for (let calls = 1; ; calls += 1) {
    const copy = copyOf(t, directory)
    if (recoverUntil(copy, calls)) break
    assert.deepEqual(openDriven(copy).durableNames(), ['a', 'b', 'c', 'd'], `killed at call ${calls}`)
  }
})

/** Recovers on a disk that is gone from the n-th call on; whether it got to its end before. */
function recoverUntil(directory: string, calls: number): boolean {
  let left = calls
  const files = Object.fromEntries(
    Object.entries(diskFiles).map(([name, call]) => [
      name,
      (...parameters: unknown[]) => {
        left -= 1
        if (left <= 0) throw new Error('killed')
        return (call as (...parameters: unknown[]) => unknown)(...parameters)
      },
    ]),
  ) as unknown as Files
  try {
    recoverSpool(files, { directory, deployment: 'test', bootId: 'boot-1' })
    return true
  } catch (error) {
    assert.equal((error as Error).message, 'killed')
    return false
  }
}
