/**
 * How long the calls took that make records durable: a histogram in shared memory. The sync thread alone counts, any
 * thread reads. Counts each fdatasync of that thread, whatever the file, and the ones that failed too.
 */

import { monotonicMs } from '../clock.ts'
import type { Files } from './files.ts'

/** Upper bounds, in seconds; what took longer is only in the total. */
const bounds = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const overBounds = bounds.length
const sumNanos = bounds.length + 1

export interface SyncHistogram {
  /** Cumulative, as Prometheus has it. */
  readonly buckets: readonly { readonly upToSeconds: number; readonly count: number }[]
  readonly count: number
  readonly sumSeconds: number
}

export class SyncTimes {
  readonly memory: SharedArrayBuffer
  readonly #words: BigInt64Array

  /** Without memory: new, all zero. With another thread's memory: the same histogram. */
  constructor(memory = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT * (bounds.length + 2))) {
    this.memory = memory
    this.#words = new BigInt64Array(memory)
  }

  observe(ms: number): void {
    const at = bounds.findIndex((bound) => ms <= bound * 1_000)
    Atomics.add(this.#words, at === -1 ? overBounds : at, 1n)
    Atomics.add(this.#words, sumNanos, BigInt(Math.round(ms * 1_000_000)))
  }

  read(): SyncHistogram {
    let count = 0
    const buckets = bounds.map((upToSeconds, at) => {
      count += Number(Atomics.load(this.#words, at))
      return { upToSeconds, count }
    })
    count += Number(Atomics.load(this.#words, overBounds))
    return { buckets, count, sumSeconds: Number(Atomics.load(this.#words, sumNanos)) / 1e9 }
  }
}

/** The same files, with every sync timed. */
export function timeSyncs(files: Files, times: SyncTimes): Files {
  return {
    ...files,
    sync(file) {
      const start = monotonicMs()
      try {
        files.sync(file)
      } finally {
        times.observe(monotonicMs() - start)
      }
    },
  }
}
