/**
 * Recovery, as a table: each row of `left-behind.ts` leaves a spool in a state and says what the next opening makes of
 * it. What is refused must be left as it is, to the byte; what is opened must go on, and must open again.
 */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { AuditError } from '../../src/errors.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { inspectSpool } from '../../src/spool/recover.ts'
import { SpoolDamaged } from '../../src/spool/refusals.ts'
import { openDirectory, readPath, readSegmentHeader, unlinkSegments } from '../../src/spool/segment.ts'
import { decodeSegmentFrontier } from '../../src/spool/segment-header.ts'
import { contentsOf, overwrite, segmentFile, stateOf } from './damage.ts'
import { freshDirectory, names, openDriven, recordText } from './harness.ts'
import { control, type Opens, type Refuses, type Row, rows } from './left-behind.ts'

for (const row of rows) {
  test(`step ${row.step}: ${row.name}`, (t) => {
    const directory = freshDirectory(t)
    row.leave(directory)
    if ('damage' in row.outcome) assertRefuses(directory, row.outcome)
    else assertOpens(directory, row.next ?? {}, row.outcome)
  })
}

function assertRefuses(directory: string, expected: Refuses): void {
  const before = contentsOf(directory)
  assert.throws(
    () => openDriven(directory),
    (error) => {
      assert.ok(error instanceof SpoolDamaged, String(error))
      assert.equal(error.code, 'SPOOL_CORRUPT')
      assert.match(error.message, expected.says)
      assert.equal(error.damage.kind, expected.damage)
      assert.equal(error.damage.segment, expected.segment)
      assert.match(error.hint, /otel-audit spool repair .* --accept-loss/)
      return true
    },
  )
  assert.ok(isDeepStrictEqual(contentsOf(directory), before), 'nothing was changed')
}

function assertOpens(directory: string, next: NonNullable<Row['next']>, expected: Opens): void {
  const before = existsSync(control(directory)) ? lastStreamOf(directory) : undefined
  const driven = openDriven(directory, next)
  const { recovered } = driven
  if (expected.end !== undefined) assert.equal(recovered.previousEnd, expected.end)
  assert.equal(recovered.tornBytes > 0, expected.torn ?? false)
  assert.equal(recovered.predecessor?.reason, expected.reason)
  assert.equal(recovered.predecessor?.sequence, expected.after)
  if (before !== undefined) {
    assert.equal(recovered.state.stream === before, expected.reason === undefined, 'a new stream exactly with a reason')
    if (expected.reason !== undefined) assert.equal(recovered.predecessor?.stream, before)
  }
  driven.append('next')
  driven.syncer.cycle()
  assert.deepEqual(driven.durableNames(), [...expected.names, 'next'])
  unlinkSegments(diskFiles, openDirectory(diskFiles, directory), recovered.superseded)
  const left = readdirSync(directory)
  assert.ok(!left.some((name) => name.endsWith('.tmp')))
  for (const segment of expected.gone ?? []) assert.ok(!existsSync(segmentFile(directory, segment)), `${segment}`)
  const again = openDriven(directory, next)
  assert.equal(again.recovered.predecessor, undefined, 'the opening after it goes on')
  assert.deepEqual(again.durableNames(), [...expected.names, 'next'])
}

/** The stream with which the spool ends, as it lies there. */
function lastStreamOf(directory: string): string {
  const found = inspectSpool(diskFiles, { directory, deployment: 'test', bootId: 'boot-1' })
  return found?.tail.streams.findLast(({ records }) => records.length > 0)?.stream ?? stateOf(directory).stream
}

test('step 5: every flipped bit of a small spool is found or changes nothing that was read', (t) => {
  const directory = freshDirectory(t)
  const driven = openDriven(directory)
  driven.append('a', 'b', 'c')
  driven.syncer.cycle()
  const path = segmentFile(directory, 1)
  const whole = readFileSync(path)
  const end = driven.writer.end.offset + 512 // behind that the zeros are all alike
  for (let at = 0; at < end; at += 1) {
    for (const bit of [0x01, 0x80]) {
      overwrite(path, at, Buffer.from([(whole[at] ?? 0) ^ bit]))
      let found: string[] | undefined
      try {
        found = inspectSpool(diskFiles, { directory, deployment: 'test', bootId: 'boot-1' })?.tail.records.map(
          ({ record }) => record.toString(),
        )
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

test('step 6: a clock more than 60 s behind the last record starts a new stream, one less far behind does not', (t) => {
  for (const [aheadMs, reason] of [
    [50_000, undefined],
    [90_000, 'clock'],
  ] as const) {
    const directory = freshDirectory(t)
    const first = openDriven(directory)
    const recorded = new Date(Date.now() + aheadMs).toISOString().replace('Z', '000000Z')
    first.writer.append(JSON.stringify({ name: 'a', recorded }), { flags: 0 })
    first.syncer.cycle()
    assert.equal(openDriven(directory).recovered.predecessor?.reason, reason)
  }
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
