/**
 * What the benchmark of draining drives: something that brings a whole backlog to where it belongs, again and again.
 * Every contender is one of these, each in a process of its own.
 */

import type { DestinationOptions } from '../../src/destination/destination.ts'
import type { Backlog } from './backlog.ts'
import type { Figures } from './figures.ts'

export interface Drainer {
  /** Makes the peer empty and forgets what was delivered; not measured. */
  prepare?(): Promise<void>
  /** Brings everything there, confirmed; `records` says how many those were. */
  drain(): Promise<Figures & { readonly records: number }>
  close?(): Promise<void>
}

export interface DrainerSetup {
  /** By what: see `drainers.ts`. */
  readonly way: string
  readonly destination: DestinationOptions
  readonly backlog: Backlog
  /** An empty directory of its own. */
  readonly directory: string
}

/** Drains once: records a second, and the CPU that a record costs the thread that does it, and all threads. */
export async function measureDrain(drainer: Drainer): Promise<Figures> {
  await drainer.prepare?.()
  const [thread, whole, startMs] = [process.threadCpuUsage(), process.cpuUsage(), performance.now()]
  const drained = await drainer.drain()
  const elapsedMs = performance.now() - startMs
  const threadUsage = process.threadCpuUsage(thread)
  const wholeUsage = process.cpuUsage(whole)
  return {
    perSecond: (drained.records / elapsedMs) * 1_000,
    threadCpuUs: (threadUsage.user + threadUsage.system) / drained.records,
    processCpuUs: (wholeUsage.user + wholeUsage.system) / drained.records,
    ...drained,
  }
}
