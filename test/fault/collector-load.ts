/**
 * A program under load in front of a collector: its destinations, how it ends, and how what a backend received is held
 * against its spool.
 */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { AuditOptions } from '../../src/index.ts'
import type { Lab } from './lab.ts'
import type { SickBackend } from './sick-backend.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'

/** Shorter than any collector's own limit here, so that a sender gives up first: the worse case. */
const timeoutMs = 1_500
const pollMs = 20

/** A destination that sends small batches at once to a collector, `127.0.0.1:port`. */
export function otlpTo(address: string, name?: string) {
  const batches = { timeoutMs, batchRecordsMax: 50, flushIntervalMs: 5 }
  return { type: 'otlp' as const, endpoint: `http://${address}`, ...batches, ...(name === undefined ? {} : { name }) }
}

/** The destination beside it. */
export function beside(lab: Lab) {
  return { type: 'file' as const, path: lab.path('beside.ndjson'), flushIntervalMs: 5 }
}

/** Resolves when the file beside has what is written now, whatever happens to the collector meanwhile. */
export async function checkBeside(lab: Lab, subject: Subject): Promise<void> {
  const written = subject.written.length
  await subject.until(() => subject.written.length > written + 40)
  const wanted = subject.written.at(-1)?.id ?? ''
  while (!trail.readLines(beside(lab).path).some(({ id }) => id === wanted)) await delay(pollMs)
}

/** Kills the program, lets a second one send what is left, and gives the records of its spool, all acknowledged ones. */
export async function finish(lab: Lab, subject: Subject, audit: AuditOptions): Promise<trail.TrailRecord[]> {
  await subject.kill()
  const last = new Subject(lab, { run: 'last', count: 1, audit: { ...audit, closeTimeoutMs: 60_000 } })
  assert.equal((await last.ended).code, 0, last.complaints)
  const records = trail.readSpool(audit.spool?.directory ?? '')
  trail.checkChain(records)
  trail.checkAcknowledged([...subject.written, ...last.written], records)
  return records
}

/** Every record of the trail is there, byte for byte, and the order can be put back; how many came again. */
export function checkTrail(copy: readonly trail.TrailRecord[], records: readonly trail.TrailRecord[]): number {
  const repeated = trail.checkReceived(copy, records)
  const lacking = lackingIn(copy, records).map(({ sequence }) => sequence)
  assert.deepEqual(lacking.slice(0, 10), [], `${lacking.length} of ${records.length} records are missing there`)
  trail.checkChain(inOrder(copy, records))
  return repeated
}

/** The records that a copy has not. */
export function lackingIn(
  copy: readonly trail.TrailRecord[],
  records: readonly trail.TrailRecord[],
): trail.TrailRecord[] {
  const there = new Set(copy.map(({ id }) => id))
  return records.filter(({ id }) => !there.has(id))
}

/** A copy as a reader puts it in order: each record once, by stream and sequence. */
export function inOrder(
  copy: readonly trail.TrailRecord[],
  records: readonly trail.TrailRecord[],
): trail.TrailRecord[] {
  const once = [...new Map(copy.map((record) => [record.id, record])).values()]
  const streams = [...new Set(records.map(({ stream }) => stream))]
  const place = ({ stream }: trail.TrailRecord) => streams.indexOf(stream)
  return once.toSorted((one, other) => place(one) - place(other) || one.sequence - other.sequence)
}

/** Waits for what a backend still gets from a collector that passes on later than it acknowledges; not for ever. */
export async function settleAt(backend: SickBackend, records: readonly trail.TrailRecord[]): Promise<void> {
  const limit = AbortSignal.timeout(60_000)
  while (!limit.aborted && lackingIn(backend.kept, records).length > 0) await delay(pollMs)
}
