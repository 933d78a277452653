/** Rows 14 and 22: a slow disk below a busy machine, and every way in which a program ends. */

import assert from 'node:assert/strict'
import { startBackend } from './backend.ts'
import type { FaultTest } from './fault.ts'
import { recordRun } from './strace-log.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'

const syncDelayMs = 2_000
const rssBytesMax = 400 * 2 ** 20

const slowDisk: FaultTest = {
  name: 'slow-disk',
  row: '14',
  promise:
    'Syncs that take two seconds on a busy machine: the event loop does not wait for them, and memory stays bounded.',
  needs: ['linux', 'strace'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab, size) {
    const count = size === 'short' ? 6_000 : 60_000
    const audit = { spool: { directory: lab.path('spool'), unsyncedBytesMax: 2 ** 20, onFull: 'refuse' as const } }
    const order = { run: 'slow', count, burst: 50, paceMs: 5, padBytes: 600, busyThreads: 2, audit }
    const recorded = recordRun(lab, order, {
      inject: [`fdatasync:delay_exit=${syncDelayMs * 1_000}`],
      only: ['fdatasync'],
    })
    const { subject } = recorded
    assert.equal((await subject.ended).code, 0, subject.complaints)
    const { loopDelayMaxMs = Number.NaN, emitMaxMs = Number.NaN, rssMaxBytes = Number.NaN } = subject.figures ?? {}
    assert.ok(loopDelayMaxMs < syncDelayMs, `the event loop stood for ${loopDelayMaxMs} ms`)
    assert.ok(emitMaxMs < syncDelayMs, `one emit took ${emitMaxMs} ms`)
    assert.ok(rssMaxBytes < rssBytesMax, `${rssMaxBytes} bytes resident`)
    const records = trail.readSpool(lab.path('spool'))
    trail.checkChain(records)
    trail.checkAcknowledged([...subject.written, ...subject.durable], records)
    return {
      injected: {
        'syncs of two seconds': recorded.calls().filter(({ kind }) => kind === 'sync').length,
        'busy threads': 2,
      },
      survived: {
        'records written': subject.written.length,
        'events refused, too much unsynced': subject.emergencies.length,
      },
      detail: `Longest stop of the event loop ${loopDelayMaxMs} ms, of one emit ${Math.round(emitMaxMs)} ms; at most ${Math.round(rssMaxBytes / 2 ** 20)} MiB resident.`,
    }
  },
}

const endings = ['close', 'end', 'exit', 'throw', 'sigterm'] as const
const closeTimeoutMs = 1_000
/** Beyond the deadline: starting and ending of threads on a loaded machine. */
const graceMs = 10_000

const shutdown: FaultTest = {
  name: 'shutdown',
  row: '22',
  promise:
    'However a program ends, with 10,000 records queued for a dead destination, it ends in time and loses nothing.',
  needs: [],
  limitSeconds: { short: 180, long: 300 },
  async run(lab, size) {
    const counts = { endings: 0, written: 0, slowestMs: 0 }
    const silent = await startBackend(lab, 'silent')
    const endpoints = size === 'short' ? [silent.url] : ['http://127.0.0.1:9', silent.url]
    for (const [at, endpoint] of endpoints.entries()) {
      for (const finish of size === 'short' ? (['close', 'exit', 'sigterm'] as const) : endings) {
        const name = `spool-${at}-${finish}`
        const audit = {
          spool: { directory: lab.path(name) },
          destinations: [{ type: 'otlp' as const, endpoint }],
          closeTimeoutMs,
        }
        const subject = new Subject(lab, { run: name, count: 10_000, burst: 500, finish, audit })
        await subject.until(({ figures }) => figures !== undefined)
        const startedAt = performance.now()
        if (finish === 'sigterm') subject.signal('SIGTERM')
        const { code, signal } = await subject.ended
        const ms = performance.now() - startedAt
        assert.equal(signal, null, `${finish}: ${signal}`)
        assert.equal(
          code,
          { close: 0, end: 0, exit: 3, throw: 1, sigterm: 0 }[finish],
          `${finish}: ${subject.complaints}`,
        )
        assert.ok(ms < closeTimeoutMs + graceMs, `${finish} took ${Math.round(ms)} ms`)
        assert.equal(subject.written.length, 10_000, `${finish}: ${subject.emergencies[0]}`)
        const records = trail.readSpool(lab.path(name))
        trail.checkChain(records)
        trail.checkAcknowledged([...subject.written, ...subject.durable], records)
        counts.endings += 1
        counts.written += subject.written.length
        counts.slowestMs = Math.max(counts.slowestMs, ms)
      }
    }
    return {
      injected: { endings: counts.endings },
      survived: { 'records written': counts.written },
      detail: `${endings.join(', ')}; the slowest took ${(counts.slowestMs / 1_000).toFixed(1)} s with a deadline of ${closeTimeoutMs / 1_000} s.`,
    }
  },
}

export const shutdownTests: readonly FaultTest[] = [slowDisk, shutdown]
