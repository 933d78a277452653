/** Arithmetic on measurements. */

/** What one contender measured in one round, by name; times in microseconds. */
export type Figures = Readonly<Record<string, number>>

/** The value below which `part` (0 to 1) of the samples lie; NaN without samples. */
export function quantile(samples: ArrayLike<number>, part: number): number {
  const sorted = Float64Array.from(samples).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

/** The middle of the samples, or the mean of the two in the middle; NaN without samples. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  return (lower + upper) / 2
}

/** The rounds of every contender, by contender. */
export type Rounds = ReadonlyMap<string, readonly Figures[]>

/** The median over all rounds of one figure of one contender. */
export function medianOf(rounds: Rounds, contender: string, figure: string): number {
  return median((rounds.get(contender) ?? []).map((round) => round[figure] ?? Number.NaN))
}

/**
 * The median over all rounds of the ratio of one figure between two contenders: each ratio is taken within a round,
 * so that what slows the machine for a while slows both.
 */
export function medianRatio(rounds: Rounds, figure: string, [contender, peer]: readonly [string, string]): number {
  const peerRounds = rounds.get(peer) ?? []
  const ratios = (rounds.get(contender) ?? []).map((round, index) => {
    return (round[figure] ?? Number.NaN) / (peerRounds[index]?.[figure] ?? Number.NaN)
  })
  return median(ratios)
}
