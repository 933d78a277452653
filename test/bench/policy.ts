/** What policy costs: an event that is not recorded, from the call to the receipt, and a recorded one with many rules. */

import { type Bench, type BenchOptions, commandOf, inFolder } from './bench.ts'
import { type Figures, medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import { takeTurns } from './turns.ts'

const contenders = {
  'emit-suppressed': 'suppressed read: the whole `audit.emit`',
  'look-suppressed': 'suppressed read: look at the event and decide',
  'convert-suppressed': 'suppressed read: convert the event and decide',
  'kept-none': 'kept update: look and decide, no rules',
  'kept-100': 'kept update: look and decide, 100 rules',
  'kept-10000': 'kept update: look and decide, 10,000 rules',
  sampled: 'update, drawn by its trace: look and decide',
}

const columns: readonly Column[] = [
  { figure: 'eventUs', title: 'an event, µs', digits: 2 },
  { figure: 'heapBytes', title: 'heap for an event, bytes', digits: 0 },
]

const events = { full: 400_000, smoke: 500 }

export const policy: Bench = {
  name: 'policy',
  summary: 'what policy costs for an event, recorded or not',
  secondsDefault: 25,
  async run(options) {
    const machine = readMachine()
    const rounds = subtractIdle(await playRounds(options))
    return {
      bench: 'policy',
      title: '`policy`: what it costs to decide',
      command: commandOf('policy', options),
      machine,
      rounds: rounds.get('kept-100')?.length ?? 0,
      compared: whatIsCompared,
      columns,
      figures: medians(rounds, contenders, columns),
      aims: readAims(rounds),
    }
  },
}

function playRounds(options: BenchOptions): Promise<Rounds> {
  const order = { kind: 'measure', events: options.smoke ? events.smoke : events.full } as const
  return inFolder(async (makeFolder) => {
    const { rounds } = await takeTurns({
      ...options,
      setups: ['idle', ...Object.keys(contenders)].map((name) => ({
        role: 'judge',
        name,
        directory: makeFolder(name),
      })),
      roundsMin: options.smoke ? 1 : 3,
      warmUp: (turn) => turn.order(order),
      measure: (turn) => turn.order(order),
    })
    return rounds
  })
}

/** The loop around the contenders is nobody's cost. */
function subtractIdle(rounds: Rounds): Rounds {
  const idle = rounds.get('idle') ?? []
  const net = (figures: Figures, round: number): Figures => ({
    ...figures,
    eventUs: Math.max(0, (figures.eventUs ?? Number.NaN) - (idle[round]?.eventUs ?? 0)),
  })
  return new Map([...rounds].map(([name, all]) => [name, all.map(net)]))
}

function readAims(rounds: Rounds): Aim[] {
  const costOf = (name: string): number => medianOf(rounds, name, 'eventUs')
  return [
    {
      what: 'a suppressed event, the whole `audit.emit`',
      ...{ found: costOf('emit-suppressed'), unit: 'µs', limit: 1, side: 'atMost' },
    },
    {
      what: 'policy for a kept event, 100 rules',
      ...{ found: costOf('kept-100'), unit: 'µs', limit: 2, side: 'atMost' },
    },
    {
      what: '10,000 rules that cannot match, against 100',
      ...{ found: medianRatio(rounds, 'eventUs', ['kept-10000', 'kept-100']), unit: '×', limit: 2, side: 'atMost' },
    },
  ]
}

const whatIsCompared = [
  'Each contender is given the same events, made beforehand, one after the other; the loop alone is subtracted.',
  'The whole `audit.emit` goes through our logger provider and processor, counts the event and returns a receipt; the spool is open and has nothing to do.',
  'A look reads the members that policy asks for, without converting the event; converting it is what every event cost before there was one, and what an unusual one still costs.',
  'The rules are of every kind (exact, beginnings, several conditions), and none matches.',
  'Drawn by its trace: every event has another one, so that each pays an HMAC-SHA-256; further events of the same trace do not.',
]
