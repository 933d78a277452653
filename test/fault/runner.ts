/** Runs one fault test in a lab of its own, within its time, and says what came of it. Never throws. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultResult, FaultTest, Size } from './fault.ts'
import { Lab } from './lab.ts'
import { unmetNeed } from './needs.ts'

export interface RunOptions {
  readonly size: Size
  /** Ends the test early; what it made is undone as always. */
  readonly signal?: AbortSignal
}

export async function runFaultTest(test: FaultTest, options: RunOptions): Promise<FaultResult> {
  const { name, row, promise } = test
  const skip = unmetNeed(test.needs)
  const base = { name, row, promise, injected: {}, survived: {}, detail: '' }
  if (skip !== undefined) return { ...base, outcome: 'skipped', reason: skip, ms: 0 }
  const startedAt = performance.now()
  try {
    const observed = await runWithin(test, options)
    return { ...base, ...observed, outcome: 'passed', ms: Math.round(performance.now() - startedAt) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { ...base, outcome: 'failed', reason, ms: Math.round(performance.now() - startedAt) }
  }
}

async function runWithin(test: FaultTest, { size, signal }: RunOptions) {
  const lab = new Lab(test.name)
  const done = new AbortController()
  const seconds = test.limitSeconds[size]
  const limit = sleep(seconds * 1_000, undefined, { signal: done.signal, ref: false }).then(() => {
    throw new Error(`it took longer than ${seconds} s`)
  })
  limit.catch(() => {}) // aborted once the test is done
  const stopped = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('stopped by the user')), { once: true })
  })
  stopped.catch(() => {})
  try {
    return await Promise.race([test.run(lab, size), limit, stopped])
  } finally {
    done.abort()
    await lab[Symbol.asyncDispose]()
  }
}
