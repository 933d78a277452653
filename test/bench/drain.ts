/**
 * How fast a backlog on disk reaches each destination, against OpenTelemetry's batch processor and against loops that do
 * nothing but send, and what an application notices of it.
 */

import { join } from 'node:path'
import type { DestinationOptions } from '../../src/destination/destination.ts'
import { type Backlog, recordBacklog } from './backlog.ts'
import { type Bench, type BenchOptions, commandOf, inFolder } from './bench.ts'
import type { Setup } from './contender.ts'
import { type Stops, startDatabases, startOthers } from './drain-peers.ts'
import { batchRecords } from './emitter.ts'
import { type Figures, medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import { type Sink, startSink } from './sink.ts'
import { type Turn, takeTurns } from './turns.ts'

const contenders = {
  'otlp-protobuf': '`otlp` (protobuf), to a collector',
  'batch-protobuf': 'batch processor, protobuf exporter',
  'post-protobuf': 'raw loop that posts the same requests, encoded before',
  'otlp-json': '`otlp` (JSON), to a collector',
  'batch-json': 'batch processor, `OTLPLogExporter` (JSON)',
  'post-json': 'raw loop, JSON requests',
  postgres: '`postgres`',
  copy: 'raw COPY of the same rows',
  file: '`file`',
  append: 'raw append of the same lines, a sync for each batch',
  'append-unsynced': 'raw append, never synced',
  service: 'a service that drains: `otlp` (protobuf) in its delivery thread',
}

/** Measured once, with the small backlog. */
const others = {
  http: '`http` (NDJSON), to a local server',
  syslog: '`syslog` over TCP, to a local server',
  stdout: '`stdout`, to a pipe',
  s3: '`s3`, to a real S3 server on a folder',
  clickhouse: '`clickhouse`, to the real engine',
}

const columns: readonly Column[] = [
  { figure: 'perSecond', title: 'records/s', digits: 0 },
  { figure: 'threadCpuUs', title: 'thread CPU per record, µs', digits: 1 },
  { figure: 'processCpuUs', title: 'CPU of all threads per record, µs', digits: 1 },
  { figure: 'addedDelayP99Us', title: 'event-loop delay p99, added, µs', digits: 0 },
]

const eventsMax = 1_000_000
const events = { perSecond: 1_000, smoke: 400 }
/** The part of the backlog that databases and what is measured once are given. */
const smallPart = 1 / 10

export const drain: Bench = {
  name: 'drain',
  summary: 'records a second from a full spool to each destination',
  secondsDefault: 200,
  async run(options) {
    const machine = readMachine()
    return inFolder(async (makeFolder) => {
      const wanted = options.smoke ? events.smoke : Math.min(eventsMax, events.perSecond * options.seconds)
      const backlog = await recordBacklog(makeFolder('backlog'), wanted)
      const small = await recordBacklog(makeFolder('small'), Math.ceil(wanted * smallPart))
      options.onProgress(`recorded ${backlog.records + small.records} records`)
      const stops: Stops = []
      try {
        const sink = await startSink(makeFolder('sink'), options)
        stops.push(() => sink.stop())
        const rounds = await measure({ backlog, small, sink, stops, makeFolder }, options)
        return {
          bench: 'drain',
          title: '`drain`: a backlog on its way out',
          command: commandOf('drain', options),
          machine,
          rounds: rounds.get('otlp-protobuf')?.length ?? 0,
          compared: [...whatIsCompared(backlog, small), readLimits(rounds), sink.description],
          columns,
          figures: medians(rounds, { ...contenders, ...others }, columns),
          aims: readAims(rounds),
        }
      } finally {
        for (const stop of stops.reverse()) await stop()
      }
    })
  },
}

interface Places {
  readonly backlog: Backlog
  readonly small: Backlog
  readonly sink: Sink
  readonly stops: Stops
  readonly makeFolder: (name: string) => string
}

async function measure(places: Places, options: BenchOptions): Promise<Rounds> {
  const { backlog, sink, makeFolder } = places
  const { rounds, closed } = await takeTurns({
    ...options,
    setups: await setupsOf(places),
    roundsMin: options.smoke ? 1 : 3,
    warmUp: (turn) => measureTurn(turn, Math.ceil(backlog.records * smallPart)),
    measure: (turn) => measureTurn(turn, backlog.records),
  })
  const sent = [...closed]
    .filter(([name]) => reachesSink.test(name))
    .reduce((sum, [, own]) => sum + (own.records ?? 0), 0)
  const arrived = await sink.count()
  if (arrived < sent) throw new Error(`${sent - arrived} of ${sent} records did not arrive: compare nothing`)
  const destinations = await startOthers(makeFolder, { stops: places.stops, isQuick: options.smoke })
  const setups = Object.entries(destinations).map(([name, destination]) => {
    return drainer(name, { destination, backlog: places.small, directory: makeFolder(name) })
  })
  const once = { ...options, seconds: 0, roundsMin: 1 }
  const order = { kind: 'measure' } as const
  const other = await takeTurns({ ...once, setups, warmUp: async () => {}, measure: (turn) => turn.order(order) })
  return new Map([...addDelay(rounds), ...other.rounds])
}

/** Those whose records the sink counts. */
const reachesSink = /^(otlp|batch|post)-|^service$/

async function setupsOf({ backlog, small, sink, stops, makeFolder }: Places): Promise<Setup[]> {
  const [ours = '', raw = ''] = await startDatabases(['ours', 'raw'], stops)
  const otlp = (protocol: 'http/protobuf' | 'http/json') => {
    return { type: 'otlp', endpoint: sink.url, protocol, batchRecordsMax: batchRecords } as const
  }
  const file = { type: 'file', path: join(makeFolder('file'), 'audit.ndjson'), maxMb: 1_000_000 } as const
  const full = (name: string, destination: DestinationOptions, way?: string) =>
    drainer(name, { way, destination, backlog, directory: makeFolder(name) })
  const rows = (name: string, url: string, way?: string) =>
    drainer(name, { way, destination: { type: 'postgres', url }, backlog: small, directory: makeFolder(name) })
  const batch = (name: string) => ({ role: 'emitter', name, sink: sink.url, directory: makeFolder(name) }) as const
  return [
    full('otlp-protobuf', otlp('http/protobuf')),
    batch('batch-protobuf'),
    full('post-protobuf', otlp('http/protobuf'), 'post'),
    full('otlp-json', otlp('http/json')),
    batch('batch-json'),
    full('post-json', otlp('http/json'), 'post'),
    rows('postgres', ours),
    rows('copy', raw, 'copy'),
    full('file', file),
    full('append', file, 'append'),
    full('append-unsynced', file, 'append-unsynced'),
    full('service', otlp('http/protobuf'), 'service'),
    full('idle-service', otlp('http/protobuf'), 'idle-service'),
  ]
}

interface DrainerOptions {
  readonly way?: string | undefined
  readonly destination: DestinationOptions
  readonly backlog: Backlog
  readonly directory: string
}

function drainer(name: string, { way = 'lane', destination, ...rest }: DrainerOptions): Setup {
  return { role: 'drainer', name, way, destination: { ...destination, name }, ...rest }
}

/** The batch processor has no backlog: it is fed as fast as it takes events. */
function measureTurn(turn: Turn, records: number): Promise<Figures> {
  const isFed = turn.name.startsWith('batch-')
  return turn.order({ kind: 'measure', ...(isFed && { load: { kind: 'stream', events: records } as const }) })
}

/** What draining adds to the delay that the loop of the same service shows without it, round by round. */
function addDelay(rounds: Rounds): Rounds {
  const idle = rounds.get('idle-service') ?? []
  const service = rounds.get('service')?.map((figures, round) => {
    const before = idle[round]?.loopDelayP99Us ?? Number.NaN
    return { ...figures, addedDelayP99Us: (figures.loopDelayP99Us ?? Number.NaN) - before }
  })
  return new Map([...rounds, ['service', service ?? []]])
}

function readAims(rounds: Rounds): Aim[] {
  const against = (what: string, [contender, peer]: readonly [string, string], limit: number): Aim => {
    return { what, found: medianRatio(rounds, 'perSecond', [contender, peer]), unit: '×', limit, side: 'atLeast' }
  }
  return [
    against('`otlp` (protobuf) against the batch processor, records/s', ['otlp-protobuf', 'batch-protobuf'], 3),
    against('`otlp` (JSON) against the batch processor, records/s', ['otlp-json', 'batch-json'], 3),
    against('`postgres` against raw COPY, records/s', ['postgres', 'copy'], 0.85),
    against('`file` against the raw append with its syncs, records/s', ['file', 'append'], 0.5),
    {
      what: 'event-loop delay p99 that draining adds to a service',
      found: medianOf(rounds, 'service', 'addedDelayP99Us') / 1_000,
      unit: 'ms',
      limit: 1,
      side: 'atMost',
    },
  ]
}

function readLimits(rounds: Rounds): string {
  const part = (own: string, limit: string) => `${(medianRatio(rounds, 'perSecond', [own, limit]) * 100).toFixed(0)} %`
  return `Of what the raw loop sends the collector, \`otlp\` reaches ${part('otlp-protobuf', 'post-protobuf')} in protobuf and ${part('otlp-json', 'post-json')} in JSON; the batch processor ${part('batch-protobuf', 'post-protobuf')} and ${part('batch-json', 'post-json')}.`
}

function whatIsCompared(backlog: Backlog, small: Backlog): string[] {
  const count = ({ records }: Backlog) => records.toLocaleString('en-US')
  return [
    `A spool of ${count(backlog)} records, about 950 bytes each, is read from its beginning to its end, in the page cache; databases, and what is measured once (the last rows), are given ${count(small)}.`,
    'Ours reads frames, checks them, encodes, sends, judges the answers and keeps its cursor on disk, on the one thread that is measured; the clock stops when the last record is confirmed.',
    `All OTLP contenders send ${batchRecords} records a request, uncompressed; the batch processor one at a time, ours and the raw loop two.`,
    'The batch processor has no backlog on disk: it is given the same events as fast as its queue of 2,048 takes them, so that creating them and its logger are in its figures, reading a disk is not.',
    'The raw loops send the same over and over and look at nothing; raw COPY derives the columns as anybody must, and commits each batch.',
    '`file` and the raw append sync each batch; what a disk needs for that is most of their time.',
    'The service emits 1,000 events/s while it drains; its delay is less that of the same service without a destination. Its records/s begin with the start of its threads.',
  ]
}
