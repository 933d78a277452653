import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reasonsAgainst, SpoolWatch } from '../../src/audit/state.ts'
import type { SpoolState } from '../../src/spool/state.ts'

const reading = (state: SpoolState, percent = 10) => ({
  state,
  directory: 'd',
  reason: 'EIO: the disk says no',
  bytes: percent * 10,
  bytesMax: 1_000,
})

/** What a watch says when it looks at these, one after the other. */
function saidAt(...readings: readonly ReturnType<typeof reading>[]): string[] {
  const said: string[] = []
  const watch = new SpoolWatch((text) => said.push(text))
  for (const one of readings) watch.look(one)
  return said
}

test('each change of state is one line that names the cause and what to do, and is said again when it happens again', () => {
  const states: SpoolState[] = ['ok', 'failing', 'failing', 'ok', 'full', 'ok', 'failing', 'failed', 'ok', 'full']
  const said = saidAt(...states.map((state) => reading(state)))
  const expected = [
    /^spool d: its disk refused a write or a sync \(EIO: .*\); .*written anew; look at the disk$/,
    /^spool d: its disk works again$/,
    /^spool d is full \(EIO: .*\): 100 bytes of spool\.bytesMax 1000; .*goes to standard error; .*raise spool\.bytesMax/,
    /^spool d takes records again$/,
    /^spool d: its disk refused/,
    /^spool d has failed \(EIO: .*\): .*until its disk heals; .*otel-audit spool check$/,
    /^spool d takes records again$/,
    /^spool d is full/,
  ]
  assert.equal(said.length, expected.length, said.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(said[index] ?? '', pattern)
})

test('at 70 % of the budget it warns once, and again only after it was below 60 %', () => {
  const levels = [10, 69, 70, 71, 95, 65, 72, 59, 69, 80]
  const said = saidAt(...levels.map((percent) => reading('ok', percent)))
  assert.deepEqual(
    said.map((text) => /is filling: \d+ bytes, (\d+) % of spool\.bytesMax; .*raise spool\.bytesMax/.exec(text)?.[1]),
    ['70', '80'],
  )
})

test('rot is said with its place and what to do, and stays the last error', () => {
  const said: string[] = []
  const watch = new SpoolWatch((text) => said.push(text))
  assert.equal(watch.rot, undefined)
  watch.hearRot('d', { segment: 3, offset: 4_096, sequence: 77, what: 'a frame is damaged or missing' })
  assert.match(said.join(), /^d\/seg-00000003\.wal has changed on disk: .*offset 4096, sequence 77.*spool check/)
  assert.equal(watch.rot, said[0])
  watch.hearRot('d', { segment: 3, offset: 512, what: 'the second header block is damaged' })
  assert.match(said[1] ?? '', /damaged \(offset 512\);/)
})

test('a spool that is full at once says that and not that it fills', () => {
  assert.equal(saidAt(reading('full', 100)).length, 1)
})

test('not ready: full, failed and closed, each with its reason; a spool that fails and goes on is ready', () => {
  const reasons = (['ok', 'failing', 'full', 'failed', 'closed'] as const).map((state) =>
    reasonsAgainst({ ...reading('ok'), state }),
  )
  assert.deepEqual(reasons, [
    [],
    [],
    ['spool d is full: 100 bytes of spool.bytesMax 1000'],
    ['spool d has failed: EIO: the disk says no'],
    ['audit is closed'],
  ])
})
