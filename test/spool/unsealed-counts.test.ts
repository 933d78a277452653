/** Which of the running counts the next writer finds unsealed: rows of what a crash may leave in slot and segments. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { diskFiles } from '../../src/spool/files.ts'
import { CountsSlot, encodeWindows, otherRules, readWindows, type SavedWindow } from '../../src/spool/running-counts.ts'
import { openReader } from '../../src/spool/settle.ts'
import { slotBytes } from '../../src/spool/slots.ts'
import { overwrite } from './damage.ts'
import { copyOf, type Driven, freshDirectory, openDriven } from './harness.ts'
import { control } from './left-behind.ts'

const minute = (number: number) => `2026-11-22T00:0${number}:00.000000000Z`

function windowOf(members: Partial<SavedWindow> = {}): SavedWindow {
  const rules = [{ id: 'level:writes_only', operation: 'read', outcome: 'success', count: 3 } as const]
  return { epoch: 1, from: minute(1), to: minute(2), policy: 'p', rules, ...members }
}

function save(directory: string, ...windows: SavedWindow[]): void {
  const slot = new CountsSlot(diskFiles, directory)
  slot.save(windows)
  slot.close()
}

function seal({ writer }: Driven, type: string, details: Record<string, unknown>, epoch = 1): number {
  const sequence = writer.end.nextSequence
  writer.append(JSON.stringify({ details, epoch, event_type: type, recorded: minute(0) }), { flags: 0 })
  return sequence
}

const found = (directory: string, boot: string) => openDriven(directory, { boot }).recovered.suppressed

/** The same ends are met by a kill, and by a power cut that left the same bytes. */
function check(t: TestContext, directory: string, expected: { killed: SavedWindow[]; cut: SavedWindow[] }): void {
  const copy = copyOf(t, directory)
  assert.deepEqual(found(directory, 'boot-1'), expected.killed, 'killed')
  assert.deepEqual(found(copy, 'boot-2'), expected.cut, 'without power')
}

test('a window that a record was to seal is found exactly when that record is not there', (t) => {
  for (const [sealedAs, isFound] of [
    [1, false],
    [2, false],
    [3, true],
  ] as const) {
    const directory = freshDirectory(t)
    const driven = openDriven(directory)
    driven.append('a')
    const { stream } = driven.recovered.state
    save(directory, windowOf({ sealedAs: { stream, sequence: sealedAs } }))
    seal(driven, 'audit.suppressed', { from: minute(0) })
    driven.syncer.cycle()
    const left = isFound ? [windowOf()] : []
    check(t, directory, { killed: left, cut: left })
  }
})

test('a window that was to be sealed in a stream which has ended since is sealed, unless that ended before', (t) => {
  for (const [sequence, isFound] of [
    [1, false],
    [2, true],
  ] as const) {
    const directory = freshDirectory(t)
    const first = openDriven(directory)
    first.append('a')
    save(directory, windowOf({ sealedAs: { stream: first.recovered.state.stream, sequence } }))
    const second = openDriven(directory, { boot: 'boot-2' }) // a new stream, which names the first as predecessor
    assert.deepEqual(second.recovered.suppressed, isFound ? [windowOf()] : [])
  }
})

test('a window that was to be sealed in a stream older than all that are known is sealed: a later one began since', (t) => {
  const directory = freshDirectory(t)
  openDriven(directory)
  save(directory, windowOf({ sealedAs: { stream: '5bf1c4a6-7d01-4a3e-8d51-0f7f5d0f2f11', sequence: 9 } }))
  assert.deepEqual(found(directory, 'boot-1'), [])
})

test('after a power cut a slot older than the records gives way to them', (t) => {
  const rows = [
    { name: 'sealed by its own record', type: 'audit.suppressed', from: minute(1), epoch: 1, isFound: false },
    { name: 'sealed with an older window only', type: 'audit.suppressed', from: minute(0), epoch: 1, isFound: true },
    { name: 'sealed before a younger window', type: 'audit.suppressed', from: minute(3), epoch: 1, isFound: false },
    { name: 'sealed by the next opening', type: 'audit.stream.opened', from: minute(0), epoch: 2, isFound: false },
    { name: 'found by nobody yet', type: 'audit.stream.opened', from: minute(0), epoch: 1, isFound: true },
    { name: 'no record about counts', type: 'audit.gap', from: minute(9), epoch: 9, isFound: true },
  ]
  for (const { name, type, from, epoch, isFound } of rows) {
    const directory = freshDirectory(t)
    const driven = openDriven(directory)
    save(directory, windowOf())
    seal(driven, type, { from }, epoch)
    driven.syncer.cycle()
    assert.deepEqual(found(directory, 'boot-2'), isFound ? [windowOf()] : [], name)
  }
})

test('what one opening finds is there for the next until it is sealed', (t) => {
  const directory = freshDirectory(t)
  openDriven(directory)
  save(directory, windowOf())
  for (const boot of ['boot-1', 'boot-1', 'boot-2', 'boot-3']) assert.deepEqual(found(directory, boot), [windowOf()])
})

test('a reader that recovers a spool whose writer is gone leaves its counts to the next writer', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a')
  const { stream } = driven.recovered.state
  save(directory, windowOf({ sealedAs: { stream, sequence: 2 } }))
  openReader(diskFiles, directory).close()
  assert.deepEqual(readWindows(diskFiles, directory), [windowOf()])
  assert.deepEqual(found(directory, 'boot-1'), [windowOf()])
})

test('rules that have no room are added up, and everything still fits with the mark of a record and a second window', (t) => {
  const directory = freshDirectory(t)
  openDriven(directory)
  const rules = Array.from({ length: 200 }, (_, index) => {
    return { id: `rule:number-${index}`, operation: 'read', outcome: 'success', count: index } as const
  })
  const total = (199 * 200) / 2
  const sum = ({ rules }: SavedWindow) => rules.reduce((all, { count }) => all + count, 0)
  assert.equal(encodeWindows([windowOf({ rules })]).isWhole, false)
  save(directory, windowOf({ rules }))
  const [cut] = found(directory, 'boot-1')
  assert.ok(cut !== undefined)
  assert.equal(cut.rules.at(-1)?.id, otherRules)
  assert.equal(sum(cut), total)
  const sealedAs = { stream: '5bf1c4a6-7d01-4a3e-8d51-0f7f5d0f2f11', sequence: Number.MAX_SAFE_INTEGER }
  save(directory, { ...cut, sealedAs }, windowOf({ rules }))
  const both = readWindows(diskFiles, directory)
  assert.deepEqual(both.map(sum), [total, total])
  save(directory, { ...cut, sealedAs }, windowOf({ rules }), windowOf({ rules }))
  assert.ok(readWindows(diskFiles, directory).length >= 1, 'a third has no room; that two could not be sealed is rare')
})

test('a damaged slot is none, and a control file from before there was any has none', (t) => {
  const directory = freshDirectory(t)
  openDriven(directory)
  save(directory, windowOf())
  const bytes = readFileSync(join(directory, 'control'))
  for (let at = 3 * slotBytes; at < 4 * slotBytes; at += 97) {
    overwrite(control(directory), 0, bytes)
    overwrite(control(directory), at, Buffer.from([(bytes[at] ?? 0) ^ 0x10]))
    assert.deepEqual(readWindows(diskFiles, directory), [], `byte ${at}`)
  }
  overwrite(control(directory), 3 * slotBytes, Buffer.alloc(slotBytes))
  assert.deepEqual(readWindows(diskFiles, directory), [])
})
