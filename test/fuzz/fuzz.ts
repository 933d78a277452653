/** Feeds damaged input to every target. Always holds: the same seed gives the same inputs. */

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

/** Whatever takes longer, twice, is a failure: somebody could stop a verification with it. */
const slowMs = 1_000

/** `inputs` are tried with each parser, less with what verifies whole copies. `onTarget` hears of each target when it is done. */
export async function fuzz(
  { inputs, seed }: { inputs: number; seed: number },
  onTarget: (result: FuzzResult) => void = () => {},
): Promise<FuzzResult[]> {
  const targets = await makeTargets()
  const results: FuzzResult[] = []
  for (const [at, target] of targets.entries()) {
    const count = Math.max(1, Math.round(inputs * target.share))
    const result = await fuzzTarget(target, count, new Random(seed + at))
    results.push(result)
    onTarget(result)
  }
  return results
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
  const startMs = performance.now()
  const isBelieved = await check(
    input,
    samples.some((one) => one.equals(kept)),
  )
  return { isBelieved, ms: performance.now() - startMs }
}
