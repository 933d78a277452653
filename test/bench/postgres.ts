/**
 * How fast records reach PostgreSQL, against raw COPY of the same rows and against what services have without us; and
 * what the outbox, its sequencer and retention cost.
 */

import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import { type Bench, type BenchOptions, commandOf, inFolder } from './bench.ts'
import { type Figures, medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import { takeTurns } from './turns.ts'

const contenders = {
  destination: 'the `postgres` destination: heads locked, then COPY',
  unnest: 'the same in one statement, `unnest` of binary arrays',
  copy: 'raw COPY of the same rows, nothing checked',
  values: 'insert with 1,000 rows of values, nothing checked',
  'home-made': 'a home-made audit table, one insert an event',
}

/** In a table of their own, with databases of their own. */
const upkeeps = {
  business: 'begin, one row, commit: without an event',
  outbox: 'the same with an audit event in it',
  pipelined: 'the same with an audit event, by a client that pipelines',
  'round-trip': 'the same with `select 1` instead of an event',
  'bare-row': 'the same with 400 bytes in a table without an index instead',
  sequencer: 'the sequencer, sealing a full outbox',
  writer: 'single inserts, nobody removing anything',
  'retention-rows': 'retention by rows, in the partition being written',
  'retention-partitions': 'retention by partitions',
}

/** Once, where rows are asked for. */
const bulkTitle = (rows: number): string => `the same of one partition with ${rows.toLocaleString('en-US')} rows`

const columns: readonly Column[] = [
  { figure: 'perSecond', title: 'rows/s', digits: 0 },
  { figure: 'clientUs', title: 'CPU a row here, µs', digits: 0 },
  { figure: 'serverUs', title: 'CPU a row in the server, µs', digits: 0 },
  { figure: 'walBytes', title: 'WAL a row, bytes', digits: 0 },
  { figure: 'tableBytes', title: 'on disk a row, bytes', digits: 0 },
  { figure: 'trips', title: 'round trips for 1,000 rows', digits: 0 },
  ...[
    { figure: 'aloneUs', title: 'p50 of one connection alone, µs', digits: 0 },
    { figure: 'p50Us', title: 'p50 of each of four, µs', digits: 0 },
    { figure: 'p99Us', title: 'p99 of four, µs', digits: 0 },
    { figure: 'transactionsPerSecond', title: 'transactions/s of four', digits: 0 },
    { figure: 'cpuUs', title: 'CPU of both sides, µs', digits: 0 },
  ].map((column) => ({ ...column, table: 'a business transaction' })),
  ...[
    { figure: 'sealedPerSecond', title: 'events sealed/s', digits: 0 },
    { figure: 'removedPerSecond', title: 'rows removed/s', digits: 0 },
    { figure: 'longestWaitMs', title: 'longest insert meanwhile, ms', digits: 1 },
    { figure: 'lockedMs', title: 'inserts waited for locks, ms in all', digits: 1 },
    { figure: 'locksMs', title: 'detaching and dropping, ms', digits: 1 },
  ].map((column) => ({ ...column, table: 'beside it' })),
]

const rows = { full: 20_000, smoke: 200 }
/** The part of the time that goes into the first table. */
const writingPart = 0.5

export const postgres: Bench = {
  name: 'postgres',
  summary: 'rows a second into PostgreSQL, and what they cost',
  secondsDefault: 120,
  async run(options) {
    const machine = readMachine()
    const server = await startEmbeddedPostgres()
    try {
      const order = { kind: 'measure', events: options.smoke ? rows.smoke : rows.full } as const
      const names = Object.keys(contenders)
      const setups = await Promise.all(
        names.map(async (name) => ({ role: 'table' as const, name, ...(await databaseOf(server.url, name)) })),
      )
      const written = await takeTurns({
        ...options,
        seconds: options.seconds * writingPart,
        setups,
        roundsMin: options.smoke ? 1 : 3,
        warmUp: (turn) => turn.order({ ...order, events: rows.smoke }),
        measure: (turn) => turn.order(order),
      })
      const kept = await inFolder((makeFolder) => measureUpkeep(server.url, makeFolder, options))
      const rounds = new Map([...written.rounds, ...kept])
      if (options.rows !== undefined) rounds.set('bulk', [await measureBulk(server.url, options.rows, options)])
      const bulk = options.rows === undefined ? {} : { bulk: bulkTitle(options.rows) }
      return {
        bench: 'postgres',
        title: '`postgres`: records into a table',
        command: commandOf('postgres', options),
        machine,
        rounds: rounds.get('copy')?.length ?? 0,
        compared: whatIsCompared,
        columns,
        figures: medians(rounds, { ...contenders, ...upkeeps, ...bulk }, columns),
        aims: readAims(rounds),
      }
    } finally {
      await server.stop()
    }
  },
}

async function measureUpkeep(
  server: string,
  makeFolder: (name: string) => string,
  options: BenchOptions,
): Promise<Rounds> {
  const names = Object.keys(upkeeps)
  const setups = await Promise.all(
    names.map(async (name) => {
      return { role: 'upkeep' as const, name, ...(await databaseOf(server, name)), directory: makeFolder(name) }
    }),
  )
  const order = { kind: 'measure', events: options.smoke ? rows.smoke : rows.full } as const
  const { rounds } = await takeTurns({
    ...options,
    seconds: options.seconds * (1 - writingPart),
    setups,
    roundsMin: options.smoke ? 1 : 3,
    warmUp: async () => {},
    measure: (turn) => turn.order(order),
  })
  return rounds
}

async function measureBulk(server: string, rows: number, { onProgress }: BenchOptions): Promise<Figures> {
  const { measureBulkRetention } = await import('./postgres-upkeep.ts')
  const { url } = await databaseOf(server, 'bulk')
  return measureBulkRetention(url, rows, onProgress)
}

async function databaseOf(server: string, name: string): Promise<{ url: string }> {
  const database = name.replaceAll('-', '_')
  await queryOnce(server, `create database bench_${database}`)
  const url = new URL(`/bench_${database}`, server).href
  await withConnection({ url }, (connection) => migrateUp(connection))
  return { url }
}

function readAims(rounds: Rounds): Aim[] {
  const trips = (name: string): number => medianOf(rounds, name, 'trips')
  const added = (name: string, figure: string): number => {
    return (medianRatio(rounds, figure, [name, 'business']) - 1) * 100
  }
  return [
    {
      what: 'the destination against raw COPY, rows/s',
      ...{ found: medianRatio(rounds, 'perSecond', ['destination', 'copy']), unit: '×', limit: 0.85, side: 'atLeast' },
    },
    {
      what: 'round trips against one for each event',
      ...{ found: (trips('destination') / trips('home-made')) * 100, unit: '%', limit: 5, side: 'atMost' },
    },
    {
      what: 'what an audit event adds to a transaction with one row, p50 of each of four',
      ...{ found: added('outbox', 'p50Us'), unit: '%', limit: 15, side: 'atMost' },
    },
    {
      what: 'the same of one connection alone',
      ...{ found: added('outbox', 'aloneUs'), unit: '%', limit: 15, side: 'atMost' },
    },
    {
      what: 'the same of one alone, by a client that pipelines',
      ...{ found: added('pipelined', 'aloneUs'), unit: '%', limit: 15, side: 'atMost' },
    },
    {
      what: 'longest insert while old rows are removed from the same partition',
      ...{ found: medianOf(rounds, 'retention-rows', 'longestWaitMs'), unit: 'ms', limit: 100, side: 'atMost' },
    },
    {
      what: 'how long inserts waited for locks while the largest partition above was removed',
      ...{ found: medianOf(rounds, rounds.has('bulk') ? 'bulk' : 'retention-partitions', 'lockedMs'), unit: 'ms' },
      ...{ limit: 1_000, side: 'atMost' },
    },
  ]
}

const whatIsCompared = [
  'All but the last write the same records, about 900 bytes each, in batches of 1,000 on one connection into the same partitioned table with its indexes; deriving the columns and encoding them is in every figure. The destination is given two batches at a time, as by the forwarder, and makes one ready while the server takes the other.',
  'Raw COPY and plain inserts store a batch twice when it is sent twice, and store a contradiction as readily.',
  'The home-made table has fewer columns, two indexes, no proof, and a commit for each event.',
  'The server is the embedded one with its default settings, on the same machine; its CPU is that of the sessions, without checkpoints and WAL writing.',
  'The transactions wait for the disk, as is the default. Each statement is sent without a name and waited for, but where the client pipelines: there row and event go together. `select 1` says what a round trip takes that does nothing, and the bare row what storing as much takes at least. The sequencer seals from an outbox of 20,000 events, up to 4,000 in a transaction.',
  'Retention removes a trail of 20,000 records with its checkpoints, planning and the sealed statement included; meanwhile one connection inserts row after row, each a commit. An insert that waits for a lock for 10 ms gives up and is tried again; what it waited is counted. Detaching and dropping do not look at rows: their time is that of the catalogue and of unlinking files, which PostgreSQL does when it has released the locks.',
]
