/** Histories on several threads: hands out batches, adds up what comes back, stops at the first failure if told to. */

import { Worker } from 'node:worker_threads'
import type { Batch, BatchResult, Failure } from './worker.ts'

const batchHistories = 100

export interface PoolOptions {
  readonly histories: number
  readonly from: number
  readonly threads: number
  /** Goes on after a failure. */
  readonly keepsGoing?: boolean
  readonly onProgress?: (done: number, failures: number) => void
}

export async function runPool(options: PoolOptions): Promise<BatchResult> {
  const { histories, from, threads, keepsGoing = false, onProgress } = options
  const result = { histories: 0, totals: {} as Record<string, number>, failures: [] as Failure[] }
  let next = from
  const takeBatch = (): Batch | undefined => {
    const count = Math.min(batchHistories, from + histories - next)
    if (count <= 0 || (result.failures.length > 0 && !keepsGoing)) return undefined
    next += count
    return { from: next - count, count }
  }
  const work = async () => {
    const thread = new SimThread()
    for (let batch = takeBatch(); batch !== undefined; batch = takeBatch()) {
      const done = await thread.run(batch) // one batch at a time is what a thread can do
      result.histories += done.histories
      result.failures.push(...done.failures)
      for (const [name, count] of Object.entries(done.totals)) result.totals[name] = (result.totals[name] ?? 0) + count
      onProgress?.(result.histories, result.failures.length)
    }
    await thread.end()
  }
  await Promise.all(Array.from({ length: threads }, work))
  return result
}

/** A thread for histories; `module` is this checkout's worker, or that of a copy with other sources. */
export class SimThread {
  readonly #worker: Worker

  constructor(module: URL = new URL('./worker.ts', import.meta.url)) {
    this.#worker = new Worker(module, { execArgv: [], env: { ...process.env, NODE_OPTIONS: '' } })
  }

  /** Rejects when the thread ends, or after `limitMs`. */
  run(batch: Batch, limitMs = 10 * 60_000): Promise<BatchResult> {
    const settled = Promise.withResolvers<BatchResult>()
    const timer = setTimeout(() => settled.reject(new Error(`no result within ${limitMs} ms`)), limitMs)
    this.#worker.once('message', settled.resolve)
    this.#worker.once('error', settled.reject)
    this.#worker.postMessage(batch)
    return settled.promise.finally(() => {
      clearTimeout(timer)
      this.#worker.off('message', settled.resolve).off('error', settled.reject)
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
