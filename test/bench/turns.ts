/**
 * Runs contenders in processes of their own, which take turns: while one is measured the others are idle. Rounds go on
 * until the time is used up; the order within a round rotates, so that nobody always follows the same one.
 */

import type { ChildProcess, StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { hasEnded, startOwned, stopOwned } from '../parts/process.ts'
import type { Answer, Order, Setup } from './contender.ts'
import type { Figures, Rounds } from './figures.ts'

const contenderFile = join(import.meta.dirname, 'contender.ts')

/** One contender, seen from the benchmark. */
export interface Turn {
  readonly name: string
  /** Sends an order and waits for its figures. Throws what went wrong over there. */
  order(order: Order): Promise<Figures>
}

export interface TurnsOptions {
  readonly setups: readonly Setup[]
  /** How long all rounds may take together, in seconds. There are at least `roundsMin`. */
  readonly seconds: number
  readonly roundsMin: number
  /** Before the first round: what makes the contender warm. */
  readonly warmUp: (turn: Turn) => Promise<unknown>
  readonly measure: (turn: Turn) => Promise<Figures>
  readonly onProgress: (line: string) => void
  /** A folder for CPU profiles of the contenders. */
  readonly profile?: string | undefined
}

export interface TurnsTaken {
  readonly rounds: Rounds
  /** The figures with which each contender closed. */
  readonly closed: ReadonlyMap<string, Figures>
}

/** Starts the contenders, lets them take turns, closes them. Whatever happens, none is left running. */
export async function takeTurns(options: TurnsOptions): Promise<TurnsTaken> {
  const children: ChildProcess[] = []
  try {
    const turns: Turn[] = []
    // One after the other, as everything here: each has the machine to itself.
    for (const setup of options.setups) {
      const child = startContender(options.profile)
      children.push(child)
      const turn = { name: setup.name, order: (order: Order) => ask(child, setup.name, order) }
      await turn.order({ kind: 'setup', setup })
      await options.warmUp(turn)
      turns.push(turn)
    }
    const rounds = await playRounds(turns, options)
    const closed = new Map<string, Figures>()
    for (const turn of turns) closed.set(turn.name, await turn.order({ kind: 'close' }))
    for (const child of children) if (!hasEnded(child)) await once(child, 'exit') // a profile is written on the way
    return { rounds, closed }
  } finally {
    for (const child of children) await stopOwned(child)
  }
}

async function playRounds(turns: readonly Turn[], options: TurnsOptions): Promise<Rounds> {
  const rounds = new Map(turns.map(({ name }) => [name, [] as Figures[]]))
  const startMs = performance.now()
  let [round, elapsedMs] = [0, 0]
  // A round is begun only if it is likely to end in time.
  while (round < options.roundsMin || elapsedMs * (1 + 1 / round) < options.seconds * 1_000) {
    for (let place = 0; place < turns.length; place += 1) {
      const turn = turns[(place + round) % turns.length]
      if (turn !== undefined) rounds.get(turn.name)?.push(await options.measure(turn))
    }
    round += 1
    elapsedMs = performance.now() - startMs
    options.onProgress(`round ${round}, ${Math.round(elapsedMs / 1_000)} s`)
  }
  return rounds
}

function startContender(profile: string | undefined): ChildProcess {
  const options = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  // What the `stdout` destination prints is read, as a container's runtime reads it, and dropped.
  const stdio: StdioOptions = ['ignore', 'pipe', 'inherit', 'ipc']
  const child = startOwned(process.execPath, [...options, contenderFile], { stdio })
  child.stdout?.resume()
  process.setMaxListeners(process.getMaxListeners() + 1) // one ends this child with us
  return child
}

async function ask(child: ChildProcess, name: string, order: Order): Promise<Figures> {
  const ended = new AbortController()
  const onExit = () => ended.abort()
  child.once('exit', onExit)
  try {
    child.send(order)
    const [answer]: Answer[] = await once(child, 'message', { signal: ended.signal })
    if (answer === undefined || 'error' in answer) throw new Error(`${name}: ${answer?.error}`)
    return answer.figures
  } catch (thrown) {
    if (ended.signal.aborted) throw new Error(`${name} ended in the middle`, { cause: thrown })
    throw thrown
  } finally {
    child.off('exit', onExit)
  }
}
