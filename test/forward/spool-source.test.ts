import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { StoredRecord } from '../../src/event/record.ts'
import { SpoolSource } from '../../src/forward/spool-source.ts'
import { readCursor } from '../../src/spool/cursor.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { Handover } from '../../src/spool/handover.ts'
import { freshDirectory, openDriven } from '../spool/harness.ts'

/** A spool of durable records and a source of it whose clock stands still until the test moves it. */
function open(t: TestContext, records: number) {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append(...Array.from({ length: records }, (_, index) => `r${index + 1}`))
  driven.syncer.cycle()
  const clock = { ms: 1_000 }
  const durable = () => driven.positions.durable()
  const options = { files: diskFiles, directory, name: 'test', durable, monotonicMs: () => clock.ms }
  const reopen = () => {
    const source = new SpoolSource(options)
    t.after(() => source.close())
    return source
  }
  /** What a crash now would leave. */
  const saved = () => readCursor(diskFiles, directory, 'test').confirmed?.sequence
  return { source: reopen(), reopen, clock, saved, driven }
}

function read(source: SpoolSource, records: number): StoredRecord {
  const last = source.next({ records, bytes: 2 ** 20 }).at(-1)
  assert.ok(last !== undefined)
  return last
}

test('while records flow the cursor is saved every 100 ms, and never ahead of what is confirmed', (t) => {
  const { source, clock, saved } = open(t, 20)
  const seen: (number | undefined)[] = []
  for (let step = 0; step < 6; step++) {
    source.confirm(read(source, 2))
    seen.push(saved())
    clock.ms += 40
  }
  assert.deepEqual(seen, [2, 2, 2, 8, 8, 8])
})

test('the backlog counts what is confirmed, durable or not', (t) => {
  const { source, saved } = open(t, 9)
  source.confirm(read(source, 2))
  const before = source.backlog() ?? Number.NaN
  source.confirm(read(source, 4))
  assert.deepEqual([saved(), source.backlog()], [2, before - 4])
})

test('a destination that has never confirmed anything has a backlog as soon as it is read for', (t) => {
  const { source, driven } = open(t, 9)
  const all = driven.positions.durable().nextSequence - 1
  assert.equal(source.backlog(), undefined)
  read(source, 2)
  assert.equal(source.backlog(), all)
  read(source, 2)
  source.rewind(undefined)
  const first = read(source, 3)
  assert.equal(source.backlog(), all)
  source.confirm(first)
  assert.equal(source.backlog(), all - 3)
})

test('when another stream has begun the backlog is unknown until one of its records is confirmed, never less than it is', (t) => {
  const { source, driven } = open(t, 9)
  source.confirm(read(source, 9))
  assert.equal(source.backlog(), 0)
  new Handover(driven.positions.memory).wantStream('clock')
  driven.syncer.cycle()
  assert.ok(driven.writer.enterStream())
  assert.equal(source.backlog(), 0, 'nothing is durable there yet')
  driven.append('s1', 's2', 's3')
  driven.syncer.cycle()
  assert.equal(source.backlog(), undefined, 'three records, and not three less nine')
  source.confirm(read(source, 1))
  assert.equal(source.backlog(), 2)
})

test('settle saves what is confirmed', (t) => {
  const { source, saved } = open(t, 9)
  source.confirm(read(source, 2))
  source.confirm(read(source, 4))
  source.settle()
  assert.equal(saved(), 6)
})

test('a source that waits for more saves what is confirmed when its time has come', async (t) => {
  const { source, clock, saved } = open(t, 9)
  source.confirm(read(source, 2))
  source.confirm(read(source, 4))
  await source.waitForMore(AbortSignal.abort())
  assert.equal(saved(), 2)
  clock.ms += 100
  await source.waitForMore(AbortSignal.abort())
  assert.equal(saved(), 6)
})

test('what was confirmed and not saved comes again after a crash, and nothing else does', (t) => {
  const { source, reopen } = open(t, 9)
  source.confirm(read(source, 2))
  const unsaved = read(source, 4)
  read(source, 1) // read ahead, not confirmed
  source.confirm(unsaved)
  assert.equal(reopen().next({ records: 1, bytes: 1 })[0]?.sequence, 3)
  source.settle()
  assert.equal(reopen().next({ records: 1, bytes: 1 })[0]?.sequence, 7)
})

test('what is on its way is known after a crash, until it is confirmed', (t) => {
  const { source, reopen } = open(t, 9)
  source.confirm(read(source, 2))
  const batch = source.next({ records: 3, bytes: Number.MAX_SAFE_INTEGER })
  source.begin(batch)
  const last = batch.at(-1)
  assert.ok(last)
  const again = reopen()
  assert.deepEqual(again.inFlightTo, { stream: last.stream, sequence: 5 })
  assert.equal(again.next({ records: 1, bytes: 1 })[0]?.sequence, 3, 'and counts as not delivered')
  source.confirm(last)
  source.settle()
  assert.equal(reopen().inFlightTo, undefined)
})
