/** The common part of `emit` and `deliver`: emitters against one sink, and the proof that nothing was lost. */

import { type BenchOptions, inFolder } from './bench.ts'
import type { Figures, Rounds } from './figures.ts'
import { startSink } from './sink.ts'
import { type Turn, takeTurns } from './turns.ts'

export interface Emission {
  /** Names of emitters. */
  readonly contenders: readonly string[]
  readonly warmUp: (turn: Turn) => Promise<unknown>
  readonly measure: (turn: Turn) => Promise<Figures>
}

export interface EmissionRun {
  readonly rounds: Rounds
  readonly roundsPlayed: number
  /** What the contenders sent to, and that all of it arrived. */
  readonly sink: string
}

/** Lets the emitters take turns; throws if the sink has received less than they emitted. */
export async function runEmission(
  { contenders, warmUp, measure }: Emission,
  options: BenchOptions,
): Promise<EmissionRun> {
  return inFolder(async (makeFolder) => {
    const sink = await startSink(makeFolder('sink'), options)
    try {
      const { rounds, closed } = await takeTurns({
        ...options,
        setups: contenders.map((name) => ({ role: 'emitter', name, sink: sink.url, directory: makeFolder(name) })),
        roundsMin: options.smoke ? 1 : 3,
        warmUp,
        measure,
      })
      const emitted = [...closed.values()].reduce((sum, { records }) => sum + (records ?? 0), 0)
      const arrived = await sink.count()
      if (arrived < emitted)
        throw new Error(`${emitted - arrived} of ${emitted} records did not arrive: compare nothing`)
      const roundsPlayed = rounds.values().next().value?.length ?? 0
      const repeated = arrived === emitted ? '' : `, ${arrived - emitted} of them again`
      const proof = `It received all ${emitted.toLocaleString('en-US')} records that were emitted in this run${repeated}.`
      return { rounds, roundsPlayed, sink: `${sink.description} ${proof}` }
    } finally {
      await sink.stop()
    }
  })
}
