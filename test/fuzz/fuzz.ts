/** Feeds damaged input to every target. Always holds: the same seed gives the same inputs. */

import { Random } from '../fault/random.ts'
import { mutate } from './mutate.ts'
import { type FuzzTarget, makeTargets } from './targets.ts'

export interface FuzzResult {
  readonly name: string
  readonly inputs: number
  /** How many were believed in spite of what was done to them. */
  readonly believed: number
  /** The first input that broke a promise, base64, and how. */
  readonly failure?: { readonly input: string; readonly reason: string }
}

/** `onTarget` hears of each target when it is done. */
export async function fuzz(
  { inputs, seed }: { inputs: number; seed: number },
  onTarget: (result: FuzzResult) => void = () => {},
): Promise<FuzzResult[]> {
  const targets = await makeTargets()
  const shares = targets.reduce((sum, { share }) => sum + share, 0)
  const results: FuzzResult[] = []
  for (const [at, target] of targets.entries()) {
    const count = Math.max(1, Math.round((inputs * target.share) / shares))
    const result = await fuzzTarget(target, count, new Random(seed + at))
    results.push(result)
    onTarget(result)
  }
  return results
}

async function fuzzTarget(target: FuzzTarget, inputs: number, random: Random): Promise<FuzzResult> {
  const { name, samples } = target
  let believed = 0
  for (let done = 0; done < inputs; done += 1) {
    const sample = samples[random.below(samples.length)] ?? Buffer.alloc(0)
    const input = mutate(sample, samples, random)
    const kept = Buffer.from(input) // a target may mend checksums in place
    try {
      if (
        await target.check(
          input,
          samples.some((one) => one.equals(kept)),
        )
      )
        believed += 1
    } catch (thrown) {
      const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
      return { name, inputs: done + 1, believed, failure: { input: kept.toString('base64'), reason } }
    }
  }
  return { name, inputs, believed }
}
