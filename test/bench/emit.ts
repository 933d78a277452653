/** What one `emit` costs the application: time of the call, and CPU of its thread with everything that follows. */

import { type Bench, type BenchOptions, commandOf } from './bench.ts'
import { runEmission } from './emission.ts'
import { type Figures, medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import type { Turn } from './turns.ts'

const contenders = {
  audit: 'otel-audit, `otlp` destination',
  'batch-json': 'batch processor, `OTLPLogExporter` (JSON)',
  'batch-protobuf': 'batch processor, protobuf exporter',
  noop: 'logger with a no-op processor',
  floor: 'the floor: record, hash, frame, write',
}

const columns: readonly Column[] = [
  { figure: 'callP50Us', title: 'call p50, µs', digits: 1 },
  { figure: 'callP99Us', title: 'call p99, µs', digits: 1 },
  { figure: 'callMeanUs', title: 'call in bursts, mean, µs', digits: 1 },
  { figure: 'threadCpuUs', title: 'thread CPU per event, µs', digits: 1 },
  { figure: 'burstThreadCpuUs', title: 'thread CPU per event in bursts, µs', digits: 1 },
  { figure: 'processCpuUs', title: 'CPU of all threads per event, µs', digits: 1 },
]

/** Figures from which the cost of the loop itself is taken. */
const netFigures = ['threadCpuUs', 'burstThreadCpuUs', 'processCpuUs']

const rate = { burstEvents: 25, everyMs: 5 }

export const emit: Bench = {
  name: 'emit',
  summary: 'call time and application-thread CPU of one emit',
  secondsDefault: 50,
  async run(options) {
    const machine = readMachine()
    const { rounds, roundsPlayed, sink } = await runEmission(
      {
        contenders: ['idle', ...Object.keys(contenders)],
        warmUp: (turn) => turn.order({ kind: 'measure', load: bursts(options, 20) }),
        measure: (turn) => measureTurn(turn, options),
      },
      options,
    )
    const net = subtractIdle(rounds)
    return {
      bench: 'emit',
      title: '`emit`: what one event costs the application',
      command: commandOf('emit', options),
      machine,
      rounds: roundsPlayed,
      compared: [...whatIsCompared, sink],
      columns,
      figures: medians(net, contenders, columns),
      aims: readAims(net),
    }
  },
}

const whatIsCompared = [
  `An event of twelve members and some details (about 950 bytes as a record), within a trace.`,
  `Call times and CPU are taken at a steady ${((rate.burstEvents / rate.everyMs) * 1_000).toLocaleString('en-US')} events/s, in bursts of ${rate.burstEvents} with a return to the event loop after each, which the batch processor's queue of 2,048 never overflows;`,
  'the columns "in bursts" at 1,000 events without a pause, after which everything is sent before the next burst begins.',
  'Thread CPU is `process.threadCpuUsage()` of the application thread until the sink has confirmed everything, less what the same loop costs without emitting: for the batch processor it holds encoding and sending, for otel-audit the call and the words of its worker threads, whose own work stands in the last column only.',
  'The batch processor keeps up to 2,048 records in memory and loses them with the process; otel-audit has each record hashed, chained and with the kernel when the call returns.',
]

async function measureTurn(turn: Turn, options: BenchOptions): Promise<Figures> {
  const events = options.smoke ? 50 : 6_000
  const paced = await turn.order({ kind: 'measure', load: { kind: 'paced', events, ...rate } })
  const burst = await turn.order({ kind: 'measure', load: bursts(options, 8) })
  return {
    ...paced,
    callMeanUs: burst.callMeanUs ?? Number.NaN,
    burstThreadCpuUs: burst.threadCpuUs ?? Number.NaN,
  }
}

function bursts({ smoke }: BenchOptions, count: number) {
  return { kind: 'bursts', bursts: smoke ? 1 : count, burstEvents: smoke ? 50 : 1_000 } as const
}

function subtractIdle(rounds: Rounds): Rounds {
  const idle = rounds.get('idle') ?? []
  const subtract = (figures: Figures, round: number): Figures => {
    const net = netFigures.map((name) => [name, (figures[name] ?? Number.NaN) - (idle[round]?.[name] ?? Number.NaN)])
    return { ...figures, ...Object.fromEntries(net) }
  }
  return new Map([...rounds].map(([name, measured]) => [name, measured.map(subtract)]))
}

function readAims(rounds: Rounds): Aim[] {
  return [
    {
      what: 'application-thread CPU per event against the batch processor with `OTLPLogExporter`',
      found: medianRatio(rounds, 'threadCpuUs', ['audit', 'batch-json']),
      unit: '×',
      limit: 1,
      side: 'atMost',
    },
    {
      what: 'call time p50',
      found: medianOf(rounds, 'audit', 'callP50Us'),
      unit: 'µs',
      limit: 15,
      side: 'atMost',
    },
    {
      what: 'call time p50 against the floor',
      found: medianRatio(rounds, 'callP50Us', ['audit', 'floor']),
      unit: '×',
      limit: 1.8,
      side: 'atMost',
    },
  ]
}
