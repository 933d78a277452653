/**
 * Row 10: no room. A full disk, a limit on the size of files, writes that are cut short or that only claim to have
 * happened: half a frame is never taken for a record, the state is `full`, the process lives, and with its
 * destinations up the spool drains and takes events again without a byte of new space.
 */

import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AuditError } from '../../src/errors.ts'
import { startBackend } from './backend.ts'
import type { FaultTest } from './fault.ts'
import { orderFor } from './kill.ts'
import { recordRun } from './strace-log.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'

const saysFull = (line: string): boolean => / is full[ (:]/.test(line)

/** Reads a copy: the disk that is full must not be needed. */
function checkCopy(directory: string, copy: string, subject: Subject): number {
  cpSync(directory, copy, { recursive: true, filter: (path) => !path.endsWith('/ballast') })
  const records = trail.readSpool(copy)
  trail.checkChain(records)
  trail.checkAcknowledged([...subject.written, ...subject.durable], records)
  return records.length
}

const enospcWrite: FaultTest = {
  name: 'enospc-write',
  row: '10',
  promise:
    'A disk without room: the partial frame is fenced, the state is `full`, events are refused, the process lives.',
  needs: ['linux', 'root'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab, size) {
    const counts = { written: 0, refused: 0, disks: 0, reopened: 0 }
    const kilobytes = size === 'short' ? [64] : [64, 68, 72, 80, 96, 112, 128, 160, 192, 256]
    for (const kb of kilobytes) {
      const disk = lab.tmpfs(`disk-${kb}`, kb * 1_024)
      const directory = join(disk, 'spool')
      const audit = {
        spool: { directory, bytesMax: 2 ** 20, reserveBytes: 1, onFull: 'refuse' as const },
        keys: { signingKeyFile: lab.path('audit.key') },
      }
      const order = { run: String(kb), burst: 5, paceMs: 2, audit }
      const subject = new Subject(lab, order)
      await subject.until(({ notices }) => notices.some(saysFull))
      assert.ok(subject.notices.some(saysFull), `${kb} KiB: ${subject.complaints}`)
      const { length } = subject.emergencies
      await subject.until(({ emergencies }) => emergencies.length > length + 100)
      await subject.kill()
      checkCopy(directory, lab.path(`copy-${kb}`), subject)
      const again = new Subject(lab, { ...order, run: `${kb}-again`, count: 10, finish: 'stay' })
      await again.until(({ alive }) => alive > 0)
      if (again.opened !== undefined) counts.reopened += 1
      else assert.match(again.notices.join('\n'), /SPOOL_NOT_WRITABLE/)
      await again.kill()
      checkCopy(directory, lab.path(`second-${kb}`), subject)
      counts.disks += 1
      counts.written += subject.written.length
      counts.refused += subject.emergencies.length
    }
    return {
      injected: { 'full disks': counts.disks },
      survived: {
        'records written': counts.written,
        'events refused': counts.refused,
      },
      detail: `The next start found room on ${counts.reopened} of the full disks, and said SPOOL_NOT_WRITABLE on the others.`,
    }
  },
}

const enospcDrain: FaultTest = {
  name: 'enospc-drain',
  row: '10',
  promise: 'With its destination up again, a spool on a full disk drains and takes events again, without new space.',
  needs: ['linux', 'root'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab) {
    const backend = await startBackend(lab, 'off')
    const disk = lab.tmpfs('disk', 512 * 1_024)
    const directory = join(disk, 'spool')
    const order = {
      run: 'drain',
      burst: 3,
      paceMs: 10,
      padBytes: 600,
      audit: {
        spool: { directory, bytesMax: 2 ** 20, reserveBytes: 1, keepMinutes: 0, onFull: 'refuse' as const },
        keys: { signingKeyFile: lab.path('audit.key') },
        destinations: [{ type: 'otlp' as const, endpoint: backend.url, flushIntervalMs: 10 }],
      },
    }
    const subject = new Subject(lab, order)
    await subject.until(({ notices, emergencies }) => notices.some(saysFull) && emergencies.length > 20)
    while (backend.refused() === 0) await sleep(20)
    const writtenFull = subject.written.length
    backend.turn('on')
    await subject.until(({ written }) => written.length >= writtenFull + 200)
    assert.ok(subject.written.length >= writtenFull + 200, `it takes events again: ${subject.complaints}`)
    const { length } = subject.durable
    await subject.until(({ durable }) => durable.length >= length + 10)
    const last = subject.durable.at(-1)
    await backend.untilAccepted(last?.sequence ?? 0)
    await subject.kill()
    cpSync(directory, lab.path('copy'), { recursive: true })
    const left = trail.readSpool(lab.path('copy'))
    const seen = new Set([...backend.accepted, ...left].map(({ stream, sequence }) => `${stream} ${sequence}`))
    const stream = subject.opened?.stream
    const lost = [...subject.written, ...subject.durable].filter(({ sequence }) => !seen.has(`${stream} ${sequence}`))
    assert.deepEqual(lost.slice(0, 5), [], 'what was written is delivered or still there')
    return {
      injected: { 'full disks': 1, 'refused requests': backend.refused() },
      survived: {
        'records written': subject.written.length,
        'records delivered': backend.accepted.length,
        'events refused meanwhile': subject.emergencies.length,
      },
    }
  },
}

const shortWrite: FaultTest = {
  name: 'short-write',
  row: '10',
  promise:
    'A write that is cut short by a limit, or that only claims to have happened, leaves no half record and loses nothing acknowledged.',
  needs: ['linux', 'strace'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab, size) {
    const counts = { limits: 0, claims: 0, written: 0, durable: 0, refused: 0, refusedByName: 0 }
    for (const kb of size === 'short' ? [65] : [17, 33, 65, 66, 67, 100, 129]) {
      const below = ['bash', '-c', `trap '' XFSZ; ulimit -f ${kb}; exec "$@"`, 'bash']
      const order = {
        ...orderFor(lab, `limit-${kb}`, String(kb)),
        count: 400,
        burst: 5,
        paceMs: 1,
        finish: 'stay' as const,
      }
      const subject = new Subject(
        lab,
        { ...order, audit: { spool: { directory: lab.path(`limit-${kb}`), onFull: 'refuse' } } },
        { below },
      )
      await subject.until(({ alive }) => alive > 0)
      assert.ok(subject.alive > 0, `${kb} KiB: ${subject.complaints}`)
      await subject.kill()
      checkCopy(lab.path(`limit-${kb}`), lab.path(`copy-${kb}`), subject)
      counts.limits += 1
      counts.written += subject.written.length
      counts.durable += subject.durable.length
      counts.refused += subject.emergencies.length
    }
    for (const when of size === 'short' ? [20] : [12, 14, 16, 18, 20, 24, 28, 32, 40]) {
      const order = { ...orderFor(lab, `claim-${when}`, String(when)), count: 120, burst: 5, paceMs: 2 }
      const recorded = recordRun(lab, order, { inject: [`pwrite64:retval=100:when=${when}`], only: ['pwrite64'] })
      const { subject } = recorded
      await subject.ended
      counts.claims += 1
      if (isRefusedByName(lab.path(`claim-${when}`))) {
        counts.refusedByName += 1
        continue
      }
      const records = trail.readSpool(lab.path(`claim-${when}`))
      trail.checkChain(records)
      trail.checkAcknowledged(subject.durable, records)
      trail.checkReceived(trail.readLines(lab.path(`claim-${when}.ndjson`)), records)
      counts.durable += subject.durable.length
    }
    return {
      injected: { 'file size limits': counts.limits, 'writes that only claimed': counts.claims },
      survived: {
        'records written': counts.written,
        'records acknowledged as durable': counts.durable,
        'events refused': counts.refused,
      },
    }
  },
}

export const noSpaceTests: readonly FaultTest[] = [enospcWrite, enospcDrain, shortWrite]

/** Whether the next start refuses the spool by name: a record that was acknowledged and never written is not hidden. */
function isRefusedByName(directory: string): boolean {
  try {
    trail.readSpool(directory)
    return false
  } catch (error) {
    if (error instanceof AuditError && error.code === 'SPOOL_CORRUPT') return true
    throw error
  }
}
