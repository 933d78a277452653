/**
 * Rows 5 and 6: SIGKILL at random moments, and at every single system call that changes the disk. What `emit` had
 * returned by then is in the spool; what a destination had received is there too, and comes at most a little twice.
 */

import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultTest, Size } from './fault.ts'
import type { Lab } from './lab.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'
import type { WriterOrder } from './writer.ts'

/** A spool that rolls often, with a file that receives everything. */
export function orderFor(lab: Lab, name: string, run: string): WriterOrder {
  return {
    run,
    audit: {
      spool: { directory: lab.path(name) },
      destinations: [{ type: 'file', path: lab.path(`${name}.ndjson`), flushIntervalMs: 5 }],
      closeTimeoutMs: 2_000,
    },
  }
}

export const killWritten: FaultTest = {
  name: 'kill-written',
  row: '5',
  promise: 'Every record whose `emit` returned is in the spool after SIGKILL.',
  needs: [],
  limitSeconds: { short: 180, long: 900 },
  async run(lab, size) {
    const kills = size === 'short' ? 20 : 200
    const written: Subject['written'] = []
    const durable: Subject['durable'] = []
    for (let run = 0; run < kills; run += 1) {
      const subject = new Subject(lab, orderFor(lab, 'spool', String(run)))
      // Even runs from the first record on, while the threads start; odd ones from the first durable one.
      await subject.until(({ written, durable }) => (run % 2 === 0 ? written : durable).length > 0)
      await sleep(Math.random() * 120) // the moment of the kill, not a wait for something
      assert.equal((await subject.kill()).signal, 'SIGKILL', subject.complaints)
      written.push(...subject.written)
      durable.push(...subject.durable)
    }
    assert.ok(written.length > kills * 20, 'the writer was under load when it was killed')
    assert.ok(durable.length > 0)
    const records = trail.readSpool(lab.path('spool'))
    const streams = trail.checkChain(records)
    trail.checkAcknowledged([...written, ...durable], records)
    const opened = records.filter(({ eventType }) => eventType === 'audit.stream.opened')
    const ends = opened.map(({ details }) => details.previous_end)
    assert.deepEqual(
      ends,
      ['none', ...Array.from({ length: kills - 1 }, () => 'crash')],
      'each opening says how the one before ended',
    )
    const received = trail.readLines(lab.path('spool.ndjson'))
    const repetitions = trail.checkReceived(received, records)
    assert.equal(repetitions, 0, 'the file destination knows what it has')
    trail.checkPredecessors(records)
    return {
      injected: { kills },
      survived: {
        'records written': written.length,
        'records acknowledged as durable': durable.length,
        'records received by a destination': received.length,
        streams,
      },
    }
  },
}

/** One kind of system call, on files whose path has this end or on any. */
interface Sweep {
  readonly call: string
  readonly path?: string
  /** In the short form every so many of its calls; without it, none. */
  readonly stride?: number
}

const sweeps: readonly Sweep[] = [
  { call: 'pwrite64', stride: 9 },
  { call: 'pwrite64', path: 'control' },
  { call: 'pwrite64', path: 'cursor-file' },
  { call: 'write' },
  { call: 'fdatasync', stride: 5 },
  { call: 'fsync', stride: 3 },
  { call: 'rename', stride: 1 },
  { call: 'unlink' },
  { call: 'ftruncate' },
]

interface Swept {
  kills: number
  written: number
  durable: number
  repetitions: number
}

const killSweep: FaultTest = {
  name: 'kill-sweep',
  row: '6',
  promise: 'SIGKILL at any system call that changes the disk loses nothing acknowledged.',
  needs: ['linux', 'strace'],
  limitSeconds: { short: 120, long: 1_800 },
  async run(lab, size) {
    const swept: Swept = { kills: 0, written: 0, durable: 0, repetitions: 0 }
    await leaveKilled(lab, 'killed')
    for (const start of size === 'short' ? (['killed'] as const) : (['fresh', 'killed'] as const)) {
      for (const sweep of sweeps) await sweepCall(lab, { size, start, sweep }, swept)
    }
    assert.ok(swept.kills > (size === 'short' ? 4 : 100), `only ${swept.kills} runs were killed`)
    const { kills, written, durable, repetitions } = swept
    return {
      injected: { kills },
      survived: {
        'records written': written,
        'records acknowledged as durable': durable,
        'records received twice': repetitions,
      },
      detail: `At ${size === 'short' ? 'some' : 'every one'} of the calls ${[...new Set(sweeps.map(({ call }) => call))].join(', ')}, in a new spool and in one that was killed before.`,
    }
  },
}

/** A spool with a tail that its next opening has to carry over; a small one, because each record is a call more. */
async function leaveKilled(lab: Lab, name: string): Promise<void> {
  const subject = new Subject(lab, { ...orderFor(lab, name, 'before'), count: 12, finish: 'stay' })
  await subject.until(({ durable, alive }) => durable.length > 0 && alive > 0)
  await subject.kill()
}

/** Kills at the k-th call for k = 1, 2, … until the workload ends unkilled. */
async function sweepCall(
  lab: Lab,
  one: { size: Size; start: 'fresh' | 'killed'; sweep: Sweep },
  swept: Swept,
): Promise<void> {
  const { size, start, sweep } = one
  const stride = size === 'short' ? sweep.stride : 1
  if (stride === undefined) return
  for (let when = 1; ; when += stride) {
    const before = trail.readLines(lab.path(`${start}.ndjson`)).length
    for (const part of ['', '.ndjson']) {
      rmSync(lab.path(`run${part}`), { recursive: true, force: true })
      if (start === 'killed') cpSync(lab.path(`killed${part}`), lab.path(`run${part}`), { recursive: true })
    }
    const wasKilled = await runUntilCall(lab, { sweep, when, before }, swept)
    if (!wasKilled) return
    swept.kills += 1
  }
}

async function runUntilCall(
  lab: Lab,
  one: { sweep: Sweep; when: number; before: number },
  swept: Swept,
): Promise<boolean> {
  const { call, path } = one.sweep
  const only = path === undefined ? [] : ['-P', `${lab.path('run')}/${path}`]
  const inject = `inject=${call}:signal=SIGKILL:when=${one.when}`
  // Not with --seccomp-bpf: strace 6.1 then injects no signals.
  const below = ['strace', '-f', '-qq', '-o', '/dev/null', ...only, '-e', `trace=${call}`, '-e', inject]
  const order = { ...orderFor(lab, 'run', 'swept'), count: 24, burst: 4, awaitDurable: true }
  const subject = new Subject(lab, order, { below })
  const ended = await subject.ended
  assert.ok(
    ended.signal === 'SIGKILL' || ended.code === 0,
    `${call} ${one.when}: code ${ended.code}: ${subject.complaints}`,
  )
  const records = trail.readSpool(lab.path('run'))
  trail.checkChain(records)
  trail.checkAcknowledged([...subject.written, ...subject.durable], records)
  const received = trail.readLines(lab.path('run.ndjson'))
  assert.ok(received.length >= one.before)
  swept.repetitions += trail.checkReceived(received, records)
  swept.written += subject.written.length
  swept.durable += subject.durable.length
  return ended.signal === 'SIGKILL'
}

export const killTests: readonly FaultTest[] = [killWritten, killSweep]
