/** How many records a second go from `emit` to the sink, confirmed, for as long as it takes. */

import { type Bench, commandOf } from './bench.ts'
import { runEmission } from './emission.ts'
import { batchRecords } from './emitter.ts'
import { medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'

const contenders = {
  audit: 'otel-audit, `otlp` destination (protobuf)',
  'batch-json': 'batch processor, `OTLPLogExporter` (JSON)',
  'batch-protobuf': 'batch processor, protobuf exporter',
}

const columns: readonly Column[] = [
  { figure: 'perSecond', title: 'records/s', digits: 0 },
  { figure: 'threadCpuUs', title: 'thread CPU per event, µs', digits: 1 },
  { figure: 'processCpuUs', title: 'CPU of all threads per event, µs', digits: 1 },
]

const events = { full: 40_000, warmUp: 10_000, smoke: 600 }

export const deliver: Bench = {
  name: 'deliver',
  summary: 'records a second from emit to the collector',
  secondsDefault: 45,
  async run(options) {
    const machine = readMachine()
    const load = (wanted: number) => ({ kind: 'stream', events: options.smoke ? events.smoke : wanted }) as const
    const { rounds, roundsPlayed, sink } = await runEmission(
      {
        contenders: Object.keys(contenders),
        warmUp: (turn) => turn.order({ kind: 'measure', load: load(events.warmUp) }),
        measure: (turn) => turn.order({ kind: 'measure', load: load(events.full) }),
      },
      options,
    )
    return {
      bench: 'deliver',
      title: '`deliver`: from `emit` to the collector',
      command: commandOf('deliver', options),
      machine,
      rounds: roundsPlayed,
      compared: [...whatIsCompared, sink],
      columns,
      figures: medians(rounds, contenders, columns),
      aims: readAims(rounds),
    }
  },
}

const whatIsCompared = [
  `In each round every contender emits ${events.full.toLocaleString('en-US')} events; the clock runs from the first call until the sink has confirmed the last record.`,
  `All send ${batchRecords} records a request, uncompressed; the batch processors one request at a time, otel-audit at most two.`,
  'otel-audit takes events as fast as they come, writes and syncs them, reads them back from the disk and sends its own checkpoints besides.',
  'The batch processor drops without a word what its queue of 2,048 cannot take, so it is fed only as fast as it empties it: given less, it would be slower; given more, it would lose records.',
  'Emitting, delivering and the collector share the cores of this machine.',
]

function readAims(rounds: Rounds): Aim[] {
  const peers = ['batch-json', 'batch-protobuf']
  const faster = peers.reduce((a, b) => (medianOf(rounds, a, 'perSecond') >= medianOf(rounds, b, 'perSecond') ? a : b))
  return [
    {
      what: 'records/s against the faster of the two batch processors',
      found: medianRatio(rounds, 'perSecond', ['audit', faster]),
      unit: '×',
      limit: 1.5,
      side: 'atLeast',
    },
  ]
}
