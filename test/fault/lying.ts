/**
 * Rows 11, 14b and 21: what a correct writer cannot see by itself. A disk that only says that it has synced, a spool
 * that was restored from an older copy or cloned, a clock that jumps, destinations that come and go. Numbers are never
 * given twice: a new stream begins and names the one it follows, and no destination holds two records of one number.
 */

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FaultTest } from './fault.ts'
import { orderFor } from './kill.ts'
import { command, Lab, unmount } from './lab.ts'
import { preloadLibrary } from './needs.ts'
import { makeCloneable } from './power-cut.ts'
import { recordRun } from './strace-log.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'
import type { WriterOrder } from './writer.ts'

/** Runs the writer to its end. */
async function runToEnd(lab: Lab, order: WriterOrder, env?: Readonly<Record<string, string>>): Promise<Subject> {
  const subject = new Subject(lab, order, env === undefined ? {} : { env })
  const { code } = await subject.ended
  assert.equal(code, 0, `${order.run}: ${subject.complaints}`)
  return subject
}

/** How the last stream of a trail began: its reason, and the stream it names. */
function lastOpening(records: readonly trail.TrailRecord[]): {
  reason: string
  predecessor: string | undefined
  stream: string
} {
  const opened = records.findLast(({ eventType }) => eventType === 'audit.stream.opened')
  const predecessor = opened?.details.predecessor as { stream: string } | undefined
  return { reason: String(opened?.details.reason), predecessor: predecessor?.stream, stream: opened?.stream ?? '' }
}

const lyingDisk: FaultTest = {
  name: 'lying-disk',
  row: '11',
  promise:
    'A disk that lies about its syncs, then loses power: the rest goes on in a new stream, and no destination holds two records of one number.',
  needs: ['linux', 'strace', 'loop', 'xfs'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab, size) {
    const counts = { cuts: 0, lost: 0, received: 0, streams: 0 }
    for (let round = 0; round < (size === 'short' ? 1 : 8); round += 1) {
      await using inner = new Lab('lying-disk-round') // its mounts go before the next round's come
      lab.onDispose(() => inner[Symbol.asyncDispose]())
      const { outer, inner: at, image } = makeCloneable(inner)
      const received = inner.path('received.ndjson')
      const order = {
        burst: 5,
        paceMs: 5,
        audit: {
          spool: { directory: join(at, 'spool') },
          destinations: [{ type: 'file' as const, path: received, flushIntervalMs: 5 }],
        },
      }
      const recorded = recordRun(
        inner,
        { ...order, run: `lying-${round}` },
        { inject: ['fdatasync:retval=0', 'fsync:retval=0'], only: ['fdatasync', 'fsync'] },
      )
      const { subject } = recorded
      await subject.until(({ durable }) => durable.length >= 10 + round * 3)
      command('sync', '-f', at) // the disk has it by chance
      const honest = subject.durable.length
      await subject.until(({ durable }) => durable.length >= honest + 20)
      command('cp', '--reflink=always', image, join(outer, 'cut.img'))
      await subject.kill()
      unmount(at)
      const device = inner.loop(join(outer, 'cut.img'))
      command('mount', device, at)
      const after = await runToEnd(inner, { ...order, run: `after-${round}`, count: 30 })
      const records = trail.readSpool(join(at, 'spool'))
      const copies = trail.readLines(received)
      trail.checkChain(records)
      trail.checkNoContradiction(records, copies)
      trail.checkAcknowledged(after.written, records)
      const found = new Set(records.map(({ id }) => id))
      counts.cuts += 1
      counts.lost += subject.durable.filter(({ id }) => !found.has(id)).length
      counts.received += copies.length
      counts.streams += new Set(copies.map(({ stream }) => stream)).size
      const { predecessor, stream } = lastOpening(records)
      assert.notEqual(stream, subject.opened?.stream, 'a new stream goes on')
      assert.equal(predecessor, subject.opened?.stream, 'and names the one before')
    }
    assert.ok(counts.lost > 0, 'the disk has lost something that was acknowledged')
    return {
      injected: { 'power cuts of a lying disk': counts.cuts, 'acknowledged records that it lost': counts.lost },
      survived: { 'received records without contradiction': counts.received, streams: counts.streams },
    }
  },
}

/** Puts an older copy where the spool is: into the same directory, or as another one under its name. */
function restore(lab: Lab, how: 'in place' | 'replaced'): void {
  const spool = lab.path('spool')
  if (how === 'replaced') {
    renameSync(spool, lab.path('away'))
    mkdirSync(spool)
  } else for (const name of readdirSync(spool)) if (/^(seg-|cursor-|ballast)/.test(name)) rmSync(join(spool, name))
  cpSync(lab.path('backup'), spool, { recursive: true })
}

const rolledBackSpool: FaultTest = {
  name: 'rolled-back-spool',
  row: '11',
  promise:
    'A spool restored from an older copy, or cloned, goes on in a new stream; destinations hold no two records of one number.',
  needs: ['linux'],
  limitSeconds: { short: 180, long: 300 },
  async run(lab) {
    const reasons: string[] = []
    let received = 0
    for (const how of ['replaced', 'in place', 'cloned'] as const) {
      for (const name of readdirSync(lab.folder)) rmSync(join(lab.folder, name), { recursive: true })
      const run = (name: string, directory = 'spool') => {
        const order = { ...orderFor(lab, 'spool', `${how} ${name}`.replaceAll(' ', '-')), count: 20 }
        return runToEnd(lab, { ...order, audit: { ...order.audit, spool: { directory: lab.path(directory) } } })
      }
      const before = await run('before')
      cpSync(lab.path('spool'), lab.path('backup'), { recursive: true })
      await run('forgotten')
      if (how === 'cloned') renameSync(lab.path('backup'), lab.path('clone'))
      else restore(lab, how)
      const place = how === 'cloned' ? 'clone' : 'spool'
      const after = await run('after', place)
      const records = trail.readSpool(lab.path(place))
      const copies = trail.readLines(lab.path('spool.ndjson'))
      trail.checkChain(records)
      trail.checkAcknowledged(after.written, records)
      trail.checkNoContradiction(records, copies)
      assert.equal(new Set(copies.map(({ id }) => id)).size, copies.length, `${how}: nothing stands twice in the file`)
      const { reason, stream } = lastOpening(records)
      assert.notEqual(stream, before.opened?.stream, `${how}: a new stream begins (${reason})`)
      trail.checkPredecessors(records, copies)
      reasons.push(`${how}: ${reason}`)
      received += copies.length
    }
    return {
      injected: { 'restored copies': 2, clones: 1 },
      survived: { 'received records without contradiction': received },
      detail: `Why the new stream began, as it says itself: ${reasons.join('; ')}.`,
    }
  },
}

interface ClockStep {
  readonly name: string
  /** Where the clock stands for this opening, relative to the first, in libfaketime's words. */
  readonly at: string
  readonly timeZone?: string
  readonly isNewStream: boolean
}

/** Each opening against the one before it. On 2026-10-25 at 01:00 UTC summer time ends in Berlin. */
const clockSteps: readonly ClockStep[] = [
  { name: 'before the end of summer time', at: '@2026-10-25 01:59:58', timeZone: 'Europe/Berlin', isNewStream: false },
  { name: 'behind the end of summer time', at: '@2026-10-25 03:00:10', timeZone: 'Europe/Berlin', isNewStream: false },
  { name: 'a leap second, a second again', at: '@2026-10-25 02:00:10', isNewStream: false },
  { name: 'half a minute back', at: '@2026-10-25 01:59:45', isNewStream: false },
  { name: 'a day forward', at: '@2026-10-26 02:00:00', isNewStream: false },
  { name: 'two hours back', at: '@2026-10-26 00:00:00', isNewStream: true },
]

const clock: FaultTest = {
  name: 'clock',
  row: '21',
  promise:
    'Whatever the clock does, records keep the order in which they were sealed; more than a minute back begins a new stream that says so.',
  needs: ['linux', 'faketime'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab) {
    const preload = preloadLibrary('faketime/libfaketimeMT.so*') ?? ''
    const streams: string[] = []
    const written: Subject['written'] = []
    for (const { name, at, timeZone, isNewStream } of clockSteps) {
      const env = {
        LD_PRELOAD: preload,
        FAKETIME: at,
        TZ: timeZone ?? 'UTC',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      }
      const order = { ...keepingOrder(lab, name.replaceAll(' ', '-')), count: 20 }
      const subject = await runToEnd(lab, order, env)
      const stream = subject.opened?.stream ?? ''
      if (streams.length > 0) assert.equal(stream !== streams.at(-1), isNewStream, `${name}: a new stream`)
      streams.push(stream)
      written.push(...subject.written)
    }
    written.push(...(await stepWhileRunning(lab, preload)))
    const records = trail.readSpool(lab.path('spool'))
    trail.checkChain(records)
    trail.checkAcknowledged(written, records)
    trail.checkPredecessors(records)
    const emitted = new Set(written.map(({ id }) => id))
    const kept = records.filter(({ id }) => emitted.has(id)).map(({ id }) => id)
    assert.deepEqual(
      kept,
      written.map(({ id }) => id),
      'in the order of emission',
    )
    const back = records.filter((one, at) => one.recorded < (records[at - 1]?.recorded ?? '')).length
    const reasons = records
      .filter(({ eventType }) => eventType === 'audit.stream.opened')
      .map(({ details }) => details.reason)
    assert.equal(reasons.filter((reason) => reason === 'clock').length, 2, `${reasons}`)
    return {
      injected: { 'clock steps': clockSteps.length },
      survived: { 'records in order': records.length, streams: new Set(records.map(({ stream }) => stream)).size },
      detail: `${back} records bear a time before that of the record in front of them.`,
    }
  },
}

/** A jump of a day is no reason to give anything back here. */
function keepingOrder(lab: Lab, run: string): WriterOrder {
  const order = orderFor(lab, 'spool', run)
  return { ...order, audit: { ...order.audit, spool: { directory: lab.path('spool'), keepMinutes: 1_000_000 } } }
}

/** The clock goes two hours back under a running writer. */
async function stepWhileRunning(lab: Lab, preload: string): Promise<Subject['written']> {
  const file = lab.path('clock')
  writeFileSync(file, '+0')
  const unfaked = { FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' }
  const env = { ...unfaked, LD_PRELOAD: preload, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', TZ: 'UTC' }
  const subject = new Subject(lab, { ...keepingOrder(lab, 'running'), count: 300, burst: 5, paceMs: 10 }, { env })
  await subject.until(({ written }) => written.length >= 50)
  writeFileSync(file, '-2h')
  assert.equal((await subject.ended).code, 0, subject.complaints)
  assert.equal(subject.emergencies.length, 0)
  return subject.written
}

export const lyingTests: readonly FaultTest[] = [lyingDisk, rolledBackSpool, clock]
