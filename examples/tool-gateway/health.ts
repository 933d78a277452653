/**
 * Whether the database is well, as seen from elsewhere: from a thread of its own, which the load does not slow down. Asks
 * it something small ten times a second, each time on a new connection.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { queryOnce } from '../../test/support/postgres.ts'

export interface Health {
  readonly answers: number
  readonly failures: number
  /** Connecting included. */
  readonly slowestMs: number
}

/** Watches until the returned function is called, which gives what was seen. */
export function watchHealth(url: string): () => Promise<Health> {
  const worker = new Worker(new URL(import.meta.url), { workerData: url })
  const seen = new Promise<Health>((resolve, reject) => worker.once('message', resolve).once('error', reject))
  seen.catch(() => {}) // whoever stops the watch hears of it
  return () => {
    worker.postMessage('stop')
    return seen
  }
}

async function watch(url: string): Promise<Health> {
  const stop = new AbortController()
  parentPort?.once('message', () => stop.abort())
  const health = { answers: 0, failures: 0, slowestMs: 0 }
  do {
    const started = performance.now()
    await queryOnce(url, 'select 1').then(
      () => (health.answers += 1),
      () => (health.failures += 1),
    )
    health.slowestMs = Math.max(health.slowestMs, Math.round(performance.now() - started))
    await delay(100, undefined, { signal: stop.signal }).catch(() => {})
  } while (!stop.signal.aborted)
  return health
}

if (!isMainThread) parentPort?.postMessage(await watch(workerData))
