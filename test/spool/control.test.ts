import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { amendControl, damagedSlots, readPresentControl, replaceControl } from '../../src/spool/control.ts'
import { diskFiles, machineId } from '../../src/spool/files.ts'
import { CountsSlot, readWindows } from '../../src/spool/running-counts.ts'
import { openDirectory } from '../../src/spool/segment.ts'
import { slotBytes } from '../../src/spool/slots.ts'
import { contentsOf, flip, overwrite, stateOf } from './damage.ts'
import { freshDirectory, openDriven } from './harness.ts'
import { closed, control, killed } from './left-behind.ts'

const machine = machineId()

test('an amendment keeps the durable position that was published, which proves more than the watermark', (t) => {
  const directory = freshDirectory(t)
  const driven = killed(directory, ['a', 'b'])
  const before = readPresentControl(diskFiles, directory)
  assert.notDeepEqual(before.published?.offset, before.state.watermark.offset)
  const change = (state: typeof before.state) => ({ ...state, destinations: ['file'] })
  amendControl(diskFiles, openDirectory(diskFiles, directory), { machine, change })
  const after = readPresentControl(diskFiles, directory)
  assert.deepEqual(after.published, before.published)
  assert.deepEqual(after.state.destinations, ['file'])
  flip(join(directory, 'seg-00000001.wal'), driven.writer.end.offset - 20)
  assert.throws(() => openDriven(directory), /synced frames are damaged or missing/)
})

test('counts of suppressed events survive recovery and amendments until a record seals them; damaged ones are none', (t) => {
  const directory = freshDirectory(t)
  closed(directory, ['a'])
  const rules = [{ id: 'level:writes_only', operation: 'read', outcome: 'success', count: 3 } as const]
  const window = { epoch: 1, from: '2026-11-22T00:00:00Z', to: '2026-11-22T00:01:00Z', policy: 'p', rules }
  const slot = new CountsSlot(diskFiles, directory)
  slot.save([window])
  slot.close()
  assert.deepEqual(openDriven(directory).recovered.suppressed, [window])
  amendControl(diskFiles, openDirectory(diskFiles, directory), { machine, change: (state) => state })
  assert.deepEqual(readWindows(diskFiles, directory), [window])
  assert.deepEqual(openDriven(directory).recovered.suppressed, [window])
  flip(control(directory), 3 * slotBytes + 40)
  assert.deepEqual(openDriven(directory).recovered.suppressed, [])
})

test('a state that control has no room for is refused before anything is written', (t) => {
  const directory = freshDirectory(t)
  killed(directory, ['a'])
  const before = contentsOf(directory)
  const destinations = Array.from(
    { length: 90 },
    (_, index) => `a destination with a rather long name, number ${index}`,
  )
  const own = openDirectory(diskFiles, directory)
  assert.throws(
    () => replaceControl(diskFiles, own, { state: { ...stateOf(directory), destinations }, machine }),
    (error) =>
      error instanceof AuditError &&
      error.code === 'INVALID_OPTION' &&
      /no room for 90 destination/.test(error.message),
  )
  assert.deepEqual(contentsOf(directory), before)
})

test('a slot that was never written is not damaged', (t) => {
  const directory = freshDirectory(t)
  killed(directory, ['a'])
  assert.deepEqual(damagedSlots(diskFiles, directory), [])
  overwrite(control(directory), slotBytes, Buffer.alloc(100, 1))
  assert.deepEqual(damagedSlots(diskFiles, directory), [1])
  flip(control(directory), 50)
  assert.deepEqual(damagedSlots(diskFiles, directory), [0, 1])
})
