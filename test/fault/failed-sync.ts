/**
 * Rows 7 and 24, on the log of system calls of a real run. A sync that fails: what is not durable is written again,
 * elsewhere, and the old file is never synced again; syncs that fail for ever: nothing is acknowledged, events are
 * refused, and the process lives. And with a disk that works: every acknowledgement stands behind the syncs it needs.
 */

import assert from 'node:assert/strict'
import { basename, dirname } from 'node:path'
import type { FaultTest } from './fault.ts'
import { orderFor } from './kill.ts'
import type { Lab } from './lab.ts'
import { type DiskCall, type RecordedRun, recordRun } from './strace-log.ts'
import * as trail from './trail.ts'

const isSegment = (path: string): boolean => /^seg-\d+\.wal(\.tmp)?$/.test(basename(path))
const segmentOf = (path: string): string => basename(path).replace(/\.tmp$/, '')

/** After a sync of a segment has failed, that file is never synced again. */
function checkNeverSyncedAgain(calls: readonly DiskCall[]): number {
  const failed = calls.filter(({ kind, path, error }) => kind === 'sync' && isSegment(path) && error !== undefined)
  for (const { path, began } of failed) {
    const again = calls.filter(
      (call) => call.kind === 'sync' && call.began > began && segmentOf(call.path) === segmentOf(path),
    )
    // A segment that never got its name may be made anew under its number.
    const retried = again.filter((call) => !call.path.endsWith('.tmp') && !path.endsWith('.tmp'))
    assert.deepEqual(
      retried.map(({ path }) => basename(path)),
      [],
      'a segment whose sync failed is never synced again',
    )
  }
  return failed.length
}

/** Runs to its end with one failing call and holds what is left against what was said. */
async function runWithFailure(lab: Lab, run: number, inject: string) {
  const order = { ...orderFor(lab, `spool-${run}`, String(run)), count: 60, burst: 6, paceMs: 2, awaitDurable: true }
  const recorded = recordRun(lab, order, { inject: [inject] })
  const ended = await recorded.subject.ended
  const { subject } = recorded
  const calls = recorded.calls()
  const refusedToOpen = subject.opened === undefined && ended.code === 1
  if (!refusedToOpen) assert.equal(ended.code, 0, `${inject}: ${subject.complaints}`)
  const failures = calls.filter(({ error }) => error === 'EIO')
  const records = trail.readSpool(lab.path(`spool-${run}`))
  trail.checkChain(records)
  trail.checkAcknowledged([...subject.durable, ...subject.written], records)
  const received = trail.readLines(lab.path(`spool-${run}.ndjson`))
  trail.checkReceived(received, records)
  if (!refusedToOpen) {
    assert.equal(subject.emergencies.length, 0, `${inject}: one failure refuses nothing: ${subject.emergencies[0]}`)
    assert.ok(subject.durable.length > 0, `${inject}: records become durable after all`)
    assert.equal(subject.rejected.length, 0, `${inject}: one failure rejects no receipt`)
  }
  return { failures: failures.length, syncsFailed: checkNeverSyncedAgain(calls), subject, refusedToOpen }
}

const fsyncEioNth: FaultTest = {
  name: 'fsync-eio-nth',
  row: '7',
  promise:
    'One failed sync, whichever: what is not durable is written into a new segment, the old file is never synced again, nothing is lost.',
  needs: ['linux', 'strace'],
  limitSeconds: { short: 180, long: 600 },
  async run(lab, size) {
    const counts = { failures: 0, segments: 0, written: 0, durable: 0, refused: 0 }
    let run = 0
    for (const [call, numbers] of [
      ['fdatasync', size === 'short' ? [4, 5, 9] : range(1, 30)],
      ['fsync', size === 'short' ? [5] : range(1, 10)],
    ] as const) {
      for (const number of numbers) {
        run += 1
        const found = await runWithFailure(lab, run, `${call}:error=EIO:when=${number}`)
        counts.failures += found.failures
        counts.segments += found.syncsFailed
        counts.written += found.subject.written.length
        counts.durable += found.subject.durable.length
        counts.refused += found.refusedToOpen ? 1 : 0
      }
    }
    assert.ok(counts.failures > 0 && counts.segments > 0, 'some sync of a segment has failed')
    return {
      injected: { 'failed syncs': counts.failures, 'failed syncs of segments': counts.segments },
      survived: { 'records written': counts.written, 'records acknowledged as durable': counts.durable },
      detail:
        counts.refused === 0
          ? ''
          : `In ${counts.refused} runs the failure met the opening, which said so and acknowledged nothing.`,
    }
  },
}

const fsyncEioForever: FaultTest = {
  name: 'fsync-eio-forever',
  row: '7',
  promise:
    'Syncs that fail for ever: state `failed`, events refused, nothing acknowledged, the process lives; what was written before is there.',
  needs: ['linux', 'strace'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab) {
    // Counted for each thread: the opening needs fewer, the sync thread soon has more.
    const order = { ...orderFor(lab, 'spool', 'forever'), count: 4_000, burst: 10, paceMs: 10, finish: 'stay' as const }
    const recorded = recordRun(lab, order, { inject: ['fdatasync:error=EIO:when=12+', 'fsync:error=EIO:when=12+'] })
    const { subject } = recorded
    await subject.until(({ states, emergencies }) => states.includes('failed') && emergencies.length >= 50)
    const before = subject.durable.length
    await subject.until(({ emergencies }) => emergencies.length >= 150)
    assert.deepEqual(subject.states.at(-1), 'failed', subject.complaints)
    assert.equal(subject.durable.length, before, 'nothing is acknowledged while every sync fails')
    assert.equal((await subject.kill()).signal, 'SIGKILL', 'the process lived')
    const calls = recorded.calls()
    const failed = calls.filter(({ error }) => error === 'EIO')
    checkNeverSyncedAgain(calls)
    const firstFailure = failed[0]?.began ?? 0
    const lastGood = calls.findLast(
      ({ kind, path, error, began }) =>
        kind === 'sync' && isSegment(path) && error === undefined && began > firstFailure,
    )
    const records = trail.readSpool(lab.path('spool'))
    trail.checkChain(records)
    trail.checkAcknowledged([...subject.written, ...subject.durable], records)
    trail.checkReceived(trail.readLines(lab.path('spool.ndjson')), records)
    return {
      injected: { 'failed syncs': failed.length },
      survived: {
        'records written': subject.written.length,
        'records acknowledged before': subject.durable.length,
        'events refused': subject.emergencies.length,
      },
      detail:
        lastGood === undefined ? '' : 'Threads count their calls apart: some syncs of another thread still went well.',
    }
  },
}

interface Audited {
  acknowledgements: number
  groups: number
  names: number
}

/** Every acknowledgement came after a sync, begun after its frame was written, of the file and of the file's name. */
function auditSyncs(lab: Lab, calls: readonly DiskCall[]): Audited {
  const counts: Audited = { acknowledgements: 0, groups: 0, names: 0 }
  const spool = lab.path('spool')
  const frames = calls.filter(({ kind, path, error }) => kind === 'write' && error === undefined && isSegment(path))
  const texts = frames.map((call) => ({ call, text: call.bytes?.toString('latin1') ?? '' }))
  const syncs = calls.filter(({ kind, error }) => kind === 'sync' && error === undefined)
  const directorySyncs = calls.filter(
    ({ kind, path, error }) => kind === 'sync-directory' && path === spool && error === undefined,
  )
  const names = calls.filter(
    ({ kind, path, error }) =>
      (kind === 'rename' || kind === 'unlink') && dirname(path) === spool && error === undefined,
  )
  for (const said of calls.filter(({ isSaid }) => isSaid)) {
    for (const id of acknowledgedIn(said)) {
      const frame = texts.find(({ text }) => text.includes(`"id":"${id}"`))?.call
      assert.ok(frame !== undefined, `the frame of record ${id} was written`)
      const isBetween = (call: DiskCall, after: DiskCall): boolean =>
        call.began > after.ended && call.ended < said.began
      const sync = syncs.find((call) => segmentOf(call.path) === segmentOf(frame.path) && isBetween(call, frame))
      assert.ok(sync !== undefined, `the file was synced between writing record ${id} and acknowledging it`)
      const naming = names.find(({ to }) => to !== undefined && basename(to) === segmentOf(frame.path))
      assert.ok(naming === undefined || directorySyncs.some((call) => isBetween(call, naming)), 'and so was its name')
      counts.acknowledgements += 1
    }
  }
  for (const { ended, path } of names) {
    assert.ok(
      directorySyncs.some(({ began }) => began > ended),
      `the directory was synced after ${basename(path)} was renamed or removed`,
    )
    counts.names += 1
  }
  counts.groups = syncs.filter(({ path }) => isSegment(path)).length
  return counts
}

function acknowledgedIn({ bytes }: DiskCall): string[] {
  const lines = (bytes?.toString() ?? '').split('\n').map((line) => line.split(' '))
  return lines.flatMap(([kind, id = '']) => (kind === 'durable' ? [id] : []))
}

const fsyncAudit: FaultTest = {
  name: 'fsync-audit',
  row: '24',
  promise:
    'Before each acknowledgement stands a sync of the segment that began after the frame was written; behind each rename and removal one of the directory.',
  needs: ['linux', 'strace'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab, size) {
    const order = {
      ...orderFor(lab, 'spool', 'audited'),
      count: size === 'short' ? 120 : 1_500,
      burst: 5,
      awaitDurable: true,
      padBytes: 600,
    }
    const rolling = {
      ...order.audit,
      spool: { ...order.audit.spool, bytesMax: 2 ** 19, reserveBytes: 2 ** 16, keepMinutes: 0 },
    }
    const recorded: RecordedRun = recordRun(lab, { ...order, audit: rolling })
    const ended = await recorded.subject.ended
    assert.equal(ended.code, 0, recorded.subject.complaints)
    const { acknowledgements, groups, names } = auditSyncs(lab, recorded.calls())
    assert.ok(acknowledgements > 0 && names > 2)
    return {
      injected: { 'system calls watched': recorded.calls().length },
      survived: {
        'acknowledgements behind their sync': acknowledgements,
        'syncs of segments': groups,
        'renames and removals behind theirs': names,
      },
    }
  },
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

export const failedSyncTests: readonly FaultTest[] = [fsyncEioNth, fsyncEioForever, fsyncAudit]
