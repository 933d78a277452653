/**
 * Row 12: the power fails. Once replayed: every call of a real run is recorded, and the directory is rebuilt as a cut
 * at any moment may have left it. Once for real: a file system on a loop device over an image whose blocks are frozen
 * by a clone in one instant, while the writer goes on; only what the product had synced is in it for sure. Both are
 * done again without syncs, and must then lose something: a test that cannot fail proves nothing.
 */

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AuditError } from '../../src/errors.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { recoverSpool } from '../../src/spool/recover.ts'
import type { FaultTest } from './fault.ts'
import { orderFor } from './kill.ts'
import { command, type Lab, unmount } from './lab.ts'
import { preloadLibrary } from './needs.ts'
import { Random } from './random.ts'
import { ReplayDisk } from './replay-disk.ts'
import { type DiskCall, recordRun } from './strace-log.ts'
import { type Acknowledged, Subject } from './subject.ts'
import * as trail from './trail.ts'

/** What is found after the machine has come up again, under another boot id. */
export function recoverAfterBoot(directory: string): trail.TrailRecord[] {
  const { state, segment } = recoverSpool(diskFiles, { directory, deployment: 'fault', bootId: 'another boot' })
  diskFiles.close(segment.file)
  return trail.recordsOf(new SpoolReader(diskFiles, directory, () => state.watermark))
}

/** A run that is killed and one that takes over and closes, as one sequence of calls. */
async function recordTwoRuns(lab: Lab, events: number): Promise<DiskCall[]> {
  const common = { ...orderFor(lab, 'spool', 'first'), burst: 3, awaitDurable: true, padBytes: 300 }
  const first = recordRun(lab, { ...common, count: events * 10 })
  await first.subject.until(({ durable }) => durable.length >= events)
  await first.subject.kill()
  const second = recordRun(lab, { ...common, run: 'second', count: events })
  const ended = await second.subject.ended
  assert.equal(ended.code, 0, second.subject.complaints)
  const calls = first.calls()
  const after =
    calls.reduce((most, { began, ended }) => Math.max(most, began, Number.isFinite(ended) ? ended : 0), 0) + 1
  return [
    ...calls,
    ...second.calls().map((call) => ({ ...call, began: call.began + after, ended: call.ended + after })),
  ]
}

interface Cuts {
  cuts: number
  acknowledged: number
  received: number
  recovered: number
}

/** Replays the run once and cuts at random moments; throws at the first that loses anything. */
function replayCuts(
  lab: Lab,
  calls: readonly DiskCall[],
  how: { cuts: number; seed: number; ignoreSyncs: boolean },
): Cuts {
  const random = new Random(how.seed)
  const disk = new ReplayDisk(lab.path('spool'), random, how.ignoreSyncs)
  const counts: Cuts = { cuts: 0, acknowledged: 0, received: 0, recovered: 0 }
  // A sync counts when it has ended, all else from its beginning on.
  const steps = calls.toSorted((one, other) => momentOf(one) - momentOf(other))
  const moments = new Map<number, number>()
  for (let made = 0; made < how.cuts; made += 1) {
    const moment = random.below(steps.length)
    moments.set(moment, (moments.get(moment) ?? 0) + 1)
  }
  const acknowledged: Acknowledged[] = []
  let file = ''
  steps.forEach((call, at) => {
    disk.play(call)
    if (call.isSaid === true) acknowledged.push(...durableIn(call))
    if (call.path === lab.path('spool.ndjson') && call.kind === 'write') file += call.bytes?.toString() ?? ''
    for (let left = moments.get(at) ?? 0; left > 0; left -= 1) {
      disk.cut(lab.path('cut'))
      const received = trail.parseLines(file)
      checkCut(lab.path('cut'), { acknowledged, received }, counts)
    }
  })
  return counts
}

function checkCut(
  directory: string,
  had: { acknowledged: Acknowledged[]; received: trail.TrailRecord[] },
  counts: Cuts,
): void {
  const records = recoverAfterBoot(directory)
  trail.checkChain(records)
  trail.checkAcknowledged(had.acknowledged, records)
  trail.checkReceived(had.received, records)
  counts.cuts += 1
  counts.acknowledged += had.acknowledged.length
  counts.received += had.received.length
  counts.recovered += records.length
}

function momentOf({ kind, began, ended }: DiskCall): number {
  return kind === 'sync' || kind === 'sync-directory' ? ended : began
}

function durableIn(call: DiskCall): Acknowledged[] {
  const lines = (call.bytes?.toString() ?? '').split('\n').map((line) => line.split(' '))
  return lines.flatMap(([kind, id = '', sequence]) => (kind === 'durable' ? [{ id, sequence: Number(sequence) }] : []))
}

const powerCutReplayed: FaultTest = {
  name: 'power-cut',
  row: '12',
  promise:
    'After a power cut at any moment everything acknowledged, and everything that a destination had received, is recovered.',
  needs: ['linux', 'strace'],
  limitSeconds: { short: 180, long: 900 },
  async run(lab, size) {
    const [events, cuts] = size === 'short' ? [12, 120] : [60, 2_000]
    const calls = await recordTwoRuns(lab, events)
    const seed = Math.floor(Math.random() * 2 ** 31)
    const counts = inSeed(seed, () => replayCuts(lab, calls, { cuts, seed, ignoreSyncs: false }))
    assert.ok(counts.acknowledged > 0 && counts.received > 0, 'the cuts came late enough to have something to lose')
    // The moment of a cut that loses nothing exists without syncs too; that of one that loses something must.
    assert.throws(() => replayCuts(lab, calls, { cuts, seed, ignoreSyncs: true }), isLoss, 'without syncs it must lose')
    return {
      injected: { 'power cuts': counts.cuts, 'recorded calls': calls.length },
      survived: { 'acknowledgements held': counts.acknowledged, 'received records held': counts.received },
      detail: `Seed ${seed}. The same cuts of a disk that ignores syncs lose records, as they must.`,
    }
  },
}

function inSeed<T>(seed: number, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

function isLoss(error: unknown): boolean {
  return error instanceof assert.AssertionError || (error instanceof AuditError && error.code === 'SPOOL_CORRUPT')
}

/** An inner file system over an image on XFS, which can be cloned in an instant. */
export function makeCloneable(lab: Lab): { outer: string; inner: string; image: string } {
  const outerImage = lab.image(lab.path('outer.img'), 400 * 2 ** 20, ['mkfs.xfs', '-q', '-f'])
  const outer = lab.mount('outer', [lab.loop(outerImage)])
  const image = lab.image(join(outer, 'inner.img'), 48 * 2 ** 20, ['mkfs.ext4', '-q', '-F'])
  const inner = lab.mount('inner', [lab.loop(image)])
  return { outer, inner, image }
}

/** Clones the image under a running writer, so often, each at a random moment; what was acknowledged before each. */
async function cutForReal(lab: Lab, cuts: number, preload: string | undefined): Promise<Cuts> {
  const { outer, inner, image } = makeCloneable(lab)
  const received = lab.path('received.ndjson') // on another disk, which does not fail
  const order = {
    run: 'real',
    paceMs: 10,
    burst: 5,
    audit: {
      spool: { directory: join(inner, 'spool') },
      destinations: [{ type: 'file' as const, path: received, flushIntervalMs: 5 }],
    },
  }
  const subject = new Subject(lab, order, preload === undefined ? {} : { env: { LD_PRELOAD: preload } })
  await subject.until(({ durable }) => durable.length >= 5)
  const snapshots: { path: string; acknowledged: Acknowledged[]; receivedBytes: number }[] = []
  for (let made = 0; made < cuts; made += 1) {
    await sleep(Math.random() * 250) // the moment of the cut, not a wait for something
    const had = { acknowledged: [...subject.durable], receivedBytes: statSync(received).size }
    const path = join(outer, `cut-${made}.img`)
    command('cp', '--reflink=always', image, path)
    snapshots.push({ path, ...had })
  }
  await subject.kill()
  const counts: Cuts = { cuts: 0, acknowledged: 0, received: 0, recovered: 0 }
  const copy = readFileSync(received)
  for (const { path, acknowledged, receivedBytes } of snapshots) {
    const had = { acknowledged, received: trail.parseLines(copy.toString('utf8', 0, receivedBytes)) }
    const at = lab.path('after')
    mkdirSync(at, { recursive: true })
    const device = command('losetup', '--find', '--show', path)
    try {
      command('mount', device, at)
      checkCut(join(at, 'spool'), had, counts)
    } finally {
      unmount(at)
      command('losetup', '--detach', device)
    }
  }
  return counts
}

const powerCutReal: FaultTest = {
  name: 'power-cut-real',
  row: '12',
  promise: 'The same on a real ext4 whose disk is frozen under the running writer.',
  needs: ['linux', 'loop', 'xfs'],
  limitSeconds: { short: 180, long: 900 },
  async run(lab, size) {
    const counts = await cutForReal(lab, size === 'short' ? 6 : 60, undefined)
    assert.ok(counts.acknowledged > 0)
    return {
      injected: { 'power cuts': counts.cuts },
      survived: { 'acknowledgements held': counts.acknowledged, 'received records held': counts.received },
    }
  },
}

const powerCutControl: FaultTest = {
  name: 'power-cut-control',
  row: '12',
  promise: 'The test above fails when syncs do nothing (eatmydata).',
  needs: ['linux', 'loop', 'xfs', 'eatmydata'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab) {
    const preload = preloadLibrary('libeatmydata.so*')
    await assert.rejects(cutForReal(lab, 4, preload), 'without syncs a power cut must lose what was acknowledged')
    return { injected: { 'power cuts without syncs': 4 }, survived: {}, detail: 'Records were lost, as they must be.' }
  },
}

export const powerCutTests: readonly FaultTest[] = [powerCutReplayed, powerCutReal, powerCutControl]
