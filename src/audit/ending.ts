/**
 * The two ends of a trail. `close` is the good one: everything durable, covered by a checkpoint and, as far as time
 * allows, delivered; every wait in it is bounded, because a dead destination or a dead disk must not keep a process from
 * ending. The other one is the process ending by itself: then one listener has everything written synced, and the next
 * start finds an end that was not closed. SIGKILL and an unhandled signal reach neither; what was written is kept.
 */

import { monotonicMs } from '../clock.ts'
import { errorText } from '../errors.ts'
import { lastSyncMsMax, stopMsMax } from '../limits.ts'
import { announce } from './notice.ts'

/** What the end asks of a spool. */
export interface EndingSpool {
  readonly directory: string
  finish(): Promise<void>
  stop(): Promise<void>
}

/** What the end asks of the delivery thread. */
export interface EndingDelivery {
  flush(): Promise<void>
  stop(): Promise<void>
  /** Ends the thread in the middle of whatever it does. */
  abandon(): void
}

export interface Ending {
  readonly spool: EndingSpool
  readonly delivery: EndingDelivery | undefined
  /** For the destinations, and for the disk too where it is more than the disk is given anyway. */
  readonly timeoutMs: number
  /** Called when the disk did not answer: its thread must not keep the process. */
  readonly releaseSync: () => void
}

/** Ends a trail whose last record is written. Never rejects: what was not reached in time is said, and nothing is lost. */
export async function endTrail({ spool, delivery, timeoutMs, releaseSync }: Ending): Promise<void> {
  const deadline = monotonicMs() + timeoutMs
  const diskMs = Math.max(timeoutMs, stopMsMax)
  const answers = await inTime(diskMs, spool.finish())
  // Without a word when it is late: that is the case `closeTimeoutMs` is for.
  await within(Math.max(0, deadline - monotonicMs()), delivery?.flush())
  if (!(await within(stopMsMax, delivery?.stop()))) delivery?.abandon()
  // A disk that has not answered is not waited for twice; its lock goes when it does, or with the process.
  const stopped = spool.stop()
  stopped.catch(() => {}) // said below, or said before
  if (!answers || !(await inTime(stopMsMax, stopped))) releaseSync()
}

/** What the end of the process asks of a spool. */
export interface ExitingSpool {
  readonly directory: string
  /** Waits, blocking, until everything written is durable, at most so long; whether it is. */
  syncNow(timeoutMs: number): boolean
}

const open = new Map<ExitingSpool, () => void>()

/** Seals what is left to be said and has the spool synced when the process ends; returns how to take that back. */
export function syncAtExit(spool: ExitingSpool, sealLast: () => void): () => void {
  if (open.size === 0) process.on('exit', syncAll)
  open.set(spool, sealLast)
  return () => {
    open.delete(spool)
    if (open.size === 0) process.off('exit', syncAll)
  }
}

function syncAll(): void {
  const deadline = monotonicMs() + lastSyncMsMax
  for (const [spool, sealLast] of open) {
    sealLast()
    if (spool.syncNow(Math.max(1, deadline - monotonicMs()))) continue
    announce(`spool ${spool.directory}: the last records are written, but were not synced before the process ended`)
  }
}

const closers = new Set<() => void>()

/**
 * Ends a trail by `close` at SIGTERM; then the signal does what it does without us, unless somebody else listens to it
 * and so decides. Returns how to take that back, which `close` does. Signals reach the main thread only.
 */
export function closeAtSignal(close: () => Promise<void>): () => void {
  const onSignal = () => {
    const isOursAlone = process.listenerCount('SIGTERM') === closers.size
    const end = async () => {
      await close()
      if (isOursAlone && closers.size === 0) process.kill(process.pid, 'SIGTERM')
    }
    setImmediate(() => void end()) // whoever else listens may still record why the program ends
  }
  closers.add(onSignal)
  process.prependListener('SIGTERM', onSignal) // ahead of those that listen once, which go before they are called
  return () => {
    closers.delete(onSignal)
    process.off('SIGTERM', onSignal)
  }
}

/** Whether the disk did its work in time; says so when it was not, and why when it failed. */
async function inTime(limitMs: number, work: Promise<void>): Promise<boolean> {
  try {
    if (await within(limitMs, work)) return true
    announce(`closing: the disk has not answered within ${limitMs} ms; what was written is kept for the next start`)
  } catch (error) {
    announce(`closing: ${errorText(error)}`)
  }
  return false
}

/** Whether the work was done within the limit. It goes on behind it, and its failure then is nobody's. */
async function within(limitMs: number, work: Promise<void> | undefined): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, limitMs, false)
  })
  work?.catch(() => {}) // awaited below, but perhaps not to its end
  try {
    return await Promise.race([Promise.resolve(work).then(() => true), deadline])
  } finally {
    clearTimeout(timer)
  }
}
