/**
 * Rows 14b and 15: destinations that come and go, and one that is away for hours. A segment is given back when every
 * destination that was ever named has its records; a backlog costs disk, not memory; when the destination is back
 * everything reaches it, in order.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { type SwitchedBackend, startBackend } from './backend.ts'
import type { FaultTest } from './fault.ts'
import type { Lab } from './lab.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'

type Destinations = NonNullable<ConstructorParameters<typeof Subject>[1]['audit']['destinations']>

/** One opening with these destinations; how much of the spool is left from its beginning. */
async function openWith(
  lab: Lab,
  run: string,
  destinations: Destinations,
  closeTimeoutMs = 500,
): Promise<trail.TrailRecord[]> {
  const spool = { directory: lab.path('spool'), bytesMax: 2 ** 21, reserveBytes: 2 ** 14, keepMinutes: 0 }
  const audit = { spool, destinations, closeTimeoutMs }
  const subject = new Subject(lab, { run, count: 250, burst: 10, paceMs: 2, padBytes: 400, audit })
  assert.equal((await subject.ended).code, 0, subject.complaints)
  assert.equal(subject.emergencies.length, 0, `${run}: ${subject.emergencies[0]}`)
  const records = trail.readSpool(lab.path('spool'))
  trail.checkChain(records)
  return records
}

const destinationSet: FaultTest = {
  name: 'destination-set',
  row: '14b',
  promise:
    'Destinations reordered, renamed, removed and added again: nothing is given back that one of the names lacks.',
  needs: [],
  limitSeconds: { short: 180, long: 300 },
  async run(lab) {
    const file = { type: 'file' as const, name: 'a', path: lab.path('a.ndjson'), flushIntervalMs: 5 }
    const backend = await startBackend(lab, 'off')
    const other = (name: string) => ({ type: 'otlp' as const, name, endpoint: backend.url, flushIntervalMs: 5 })
    const runs: readonly (readonly [string, Destinations])[] = [
      ['first', [file, other('b')]],
      ['reordered', [other('b'), file]],
      ['renamed', [other('c'), file]],
      ['removed', [file]],
    ]
    let held = 0
    // One after the other: they are restarts.
    for (const [run, destinations] of runs) {
      const records = await openWith(lab, run, destinations)
      assert.equal(records[0]?.sequence, 1, `${run}: b and c have nothing yet, so everything is kept`)
      held = records.length
    }
    backend.turn('on')
    const back = await openWith(lab, 'added-again', [file, other('b')], 20_000)
    assert.equal(back[0]?.sequence, 1, 'c still lacks everything')
    const toB = new Set(backend.accepted.map(({ sequence }) => sequence))
    assert.deepEqual(
      range(1, held)
        .filter((sequence) => !toB.has(sequence))
        .slice(0, 5),
      [],
      'b has received everything from the first record on',
    )
    const both = await openWith(lab, 'both', [file, other('b'), other('c')], 20_000)
    const last = await openWith(lab, 'after', [file, other('b'), other('c')], 20_000)
    assert.ok(
      (last[0]?.sequence ?? 0) > 1,
      `what every name has is given back, from ${both[0]?.sequence} to ${last[0]?.sequence}`,
    )
    return {
      injected: { 'changed sets of destinations': runs.length + 3 },
      survived: {
        'records held for absent names': held,
        'records given back at the end': (last[0]?.sequence ?? 1) - 1,
      },
    }
  },
}

const restartMsMax = 1_000
/** Three heaps at full speed take 0.4 GiB soon; what counts is that a backlog adds nothing to it. */
const rssBytesMax = 512 * 2 ** 20
const rssGrowthBytesMax = 96 * 2 ** 20
const descriptorsMax = 60

interface Usage {
  readonly descriptors: number
  readonly rssBytes: number
}

function usageOf(subject: Subject): Usage {
  const pid = subject.opened?.pid
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const rssBytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1_024
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, rssBytes }
}

function checkUsage(subject: Subject, when: string): Usage {
  const usage = usageOf(subject)
  assert.ok(usage.rssBytes < rssBytesMax, `${when}: ${usage.rssBytes} bytes resident`)
  assert.ok(usage.descriptors < descriptorsMax, `${when}: ${usage.descriptors} open files`)
  return usage
}

/** Requests are accepted in order, but for two that are on their way at once. */
function checkOrder({ accepted }: SwitchedBackend, batchRecords: number): void {
  let highest = 0
  for (const { sequence } of accepted) {
    assert.ok(sequence > highest - 2 * batchRecords, `record ${sequence} came after ${highest}`)
    highest = Math.max(highest, sequence)
  }
}

const outageHours: FaultTest = {
  name: 'outage-hours',
  row: '15',
  promise:
    'A destination that is away for hours: memory and open files bounded, the next start in less than a second, then everything is delivered in order.',
  needs: ['linux'],
  limitSeconds: { short: 120, long: 1_800 },
  async run(lab, size) {
    const count = size === 'short' ? 20_000 : 800_000 // 50 MB, 2 GB
    const backend = await startBackend(lab, 'off')
    const batchRecordsMax = 500
    const destinations = [{ type: 'otlp' as const, endpoint: backend.url, batchRecordsMax }]
    const audit = { spool: { directory: lab.path('spool'), keepMinutes: 0 }, destinations, closeTimeoutMs: 500 }
    const first = new Subject(lab, {
      run: 'outage',
      count,
      burst: 100,
      padBytes: 2_000,
      observeEvery: 1_000,
      finish: 'stay',
      audit,
    })
    await first.until(({ written }) => written.length > count / 5)
    const early = checkUsage(first, 'with a fifth of the backlog')
    await first.until(({ alive }) => alive > 0)
    assert.equal(first.written.length, count, first.complaints)
    const during = checkUsage(first, 'with the backlog')
    const growth = during.rssBytes - early.rssBytes
    if (size === 'long') assert.ok(growth < rssGrowthBytesMax, `${growth} bytes more than with a fifth of the backlog`)
    const bytes = readdirSync(lab.path('spool')).reduce(
      (sum, name) => sum + statSync(lab.path(`spool/${name}`)).size,
      0,
    )
    await first.kill()
    const second = new Subject(lab, { run: 'back', count: 10, finish: 'stay', audit })
    await second.until(({ durable }) => durable.length > 0)
    const { openMs = Number.NaN } = second.opened ?? {}
    assert.ok(openMs < restartMsMax, `opening took ${openMs} ms`)
    const startedAt = performance.now()
    backend.turn('on')
    const total = second.written.at(-1)?.sequence ?? 0
    await backend.untilAccepted(total)
    const seconds = (performance.now() - startedAt) / 1_000
    const after = checkUsage(second, 'after draining')
    await second.kill()
    checkOrder(backend, batchRecordsMax)
    const delivered = new Set(backend.accepted.map(({ sequence }) => sequence))
    assert.deepEqual(
      range(1, total)
        .filter((sequence) => !delivered.has(sequence))
        .slice(0, 5),
      [],
      'everything is delivered',
    )
    return {
      injected: { 'refused requests': backend.refused(), 'megabytes of backlog': Math.round(bytes / 1e6), kills: 1 },
      survived: {
        'records delivered': delivered.size,
        'records delivered twice': backend.accepted.length - delivered.size,
      },
      detail: `Memory grew by ${Math.round(growth / 2 ** 20)} MiB from a fifth of the backlog to all of it. At most ${Math.round(Math.max(during.rssBytes, after.rssBytes) / 2 ** 20)} MiB resident and ${Math.max(during.descriptors, after.descriptors)} open files; opened again in ${openMs} ms; drained in ${seconds.toFixed(0)} s.`,
    }
  },
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at)
}

export const destinationTests: readonly FaultTest[] = [destinationSet, outageHours]
