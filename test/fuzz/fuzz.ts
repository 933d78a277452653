/** Feeds damaged input to every target. Always holds: the same seed gives the same inputs. */

import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Random } from '../fault/random.ts'
import { mutate } from './mutate.ts'
import { type FuzzTarget, makeTargets } from './targets.ts'

export interface FuzzResult {
  readonly name: string
  readonly inputs: number
  /** How many were believed in spite of what was done to them. */
  readonly believed: number
  /** The longest that one of them took. */
  readonly slowestMs: number
  /** The first input that broke a promise, base64, and how. */
  readonly failure?: { readonly input: string; readonly reason: string }
}

export interface FuzzOptions {
  /** With each parser; fewer with what verifies whole copies. */
  readonly inputs: number
  readonly seed: number
}

/** Whatever takes longer, twice, is a failure: somebody could stop a verification with it. */
const slowMs = 1_000

export async function fuzz(options: FuzzOptions): Promise<FuzzResult[]> {
  const results: FuzzResult[] = []
  // One after the other: all work is on this thread.
  for (const at of (await makeTargets()).keys()) results.push(await fuzzOne(at, options))
  return results
}

/** The same in several threads. `onTarget` hears of each target when it is done. */
export async function fuzzInThreads(
  options: FuzzOptions & { readonly threads: number },
  onTarget: (result: FuzzResult) => void,
): Promise<FuzzResult[]> {
  const count = (await makeTargets()).length
  const next = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const results = new Map<number, FuzzResult>()
  const threads = Array.from({ length: Math.min(options.threads, count) }, async () => {
    const worker = new Worker(join(import.meta.dirname, 'worker.ts'), { workerData: { ...options, next, count } })
    worker.on('message', ({ at, result }: { readonly at: number; readonly result: FuzzResult }) => {
      results.set(at, result)
      onTarget(result)
    })
    await once(worker, 'exit') // rejects with what the thread has thrown
  })
  await Promise.all(threads)
  if (results.size !== count) throw new Error(`${results.size} of ${count} targets were tried`)
  return [...results].sort(([one], [other]) => one - other).map(([, result]) => result)
}

/** Tries one target, by its place among all. */
export async function fuzzOne(at: number, { inputs, seed }: FuzzOptions): Promise<FuzzResult> {
  const target = (await makeTargets())[at]
  if (target === undefined) throw new RangeError(`there is no target ${at}`)
  return fuzzTarget(target, Math.max(1, Math.round(inputs * target.share)), new Random(seed + at))
}

async function fuzzTarget(target: FuzzTarget, inputs: number, random: Random): Promise<FuzzResult> {
  const { name, samples } = target
  let [believed, slowestMs] = [0, 0]
  for (let done = 0; done < inputs; done += 1) {
    const sample = samples[random.below(samples.length)] ?? Buffer.alloc(0)
    const kept = mutate(sample, samples, random)
    try {
      let tried = await tryInput(target, kept)
      // The machine may have been busy with something else.
      if (tried.ms > slowMs) tried = await tryInput(target, kept)
      if (tried.ms > slowMs) throw new Error(`it takes ${Math.round(tried.ms)} ms`)
      if (tried.isBelieved) believed += 1
      slowestMs = Math.max(slowestMs, tried.ms)
    } catch (thrown) {
      const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
      return { name, inputs: done + 1, believed, slowestMs, failure: { input: kept.toString('base64'), reason } }
    }
  }
  return { name, inputs, believed, slowestMs }
}

async function tryInput({ check, samples }: FuzzTarget, kept: Buffer): Promise<{ isBelieved: boolean; ms: number }> {
  const input = Buffer.from(kept) // a target may mend checksums in place
  const isSound = samples.some((one) => one.equals(kept))
  const startMs = performance.now()
  const isBelieved = await check(input, isSound)
  return { isBelieved, ms: performance.now() - startMs }
}
