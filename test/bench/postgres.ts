/** How fast records reach PostgreSQL, against raw COPY of the same rows and against what services have without us. */

import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import { type Bench, commandOf } from './bench.ts'
import { medianOf, medianRatio, type Rounds } from './figures.ts'
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

const columns: readonly Column[] = [
  { figure: 'perSecond', title: 'rows/s', digits: 0 },
  { figure: 'clientUs', title: 'CPU a row here, µs', digits: 0 },
  { figure: 'serverUs', title: 'CPU a row in the server, µs', digits: 0 },
  { figure: 'walBytes', title: 'WAL a row, bytes', digits: 0 },
  { figure: 'tableBytes', title: 'on disk a row, bytes', digits: 0 },
  { figure: 'trips', title: 'round trips for 1,000 rows', digits: 0 },
]

const rows = { full: 20_000, smoke: 200 }

export const postgres: Bench = {
  name: 'postgres',
  summary: 'rows a second into PostgreSQL, and what they cost',
  secondsDefault: 60,
  async run(options) {
    const machine = readMachine()
    const server = await startEmbeddedPostgres()
    try {
      const order = { kind: 'measure', events: options.smoke ? rows.smoke : rows.full } as const
      const names = Object.keys(contenders)
      const setups = await Promise.all(
        names.map(async (name) => ({ role: 'table' as const, name, ...(await databaseOf(server.url, name)) })),
      )
      const { rounds } = await takeTurns({
        ...options,
        setups,
        roundsMin: options.smoke ? 1 : 3,
        warmUp: (turn) => turn.order({ ...order, events: rows.smoke }),
        measure: (turn) => turn.order(order),
      })
      return {
        bench: 'postgres',
        title: '`postgres`: records into a table',
        command: commandOf('postgres', options),
        machine,
        rounds: rounds.get('copy')?.length ?? 0,
        compared: whatIsCompared,
        columns,
        figures: medians(rounds, contenders, columns),
        aims: readAims(rounds),
      }
    } finally {
      await server.stop()
    }
  },
}

async function databaseOf(server: string, name: string): Promise<{ url: string }> {
  const database = name.replace('-', '_')
  await queryOnce(server, `create database bench_${database}`)
  const url = new URL(`/bench_${database}`, server).href
  await withConnection({ url }, (connection) => migrateUp(connection))
  return { url }
}

function readAims(rounds: Rounds): Aim[] {
  const trips = (name: string): number => medianOf(rounds, name, 'trips')
  return [
    {
      what: 'the destination against raw COPY, rows/s',
      ...{ found: medianRatio(rounds, 'perSecond', ['destination', 'copy']), unit: '×', limit: 0.85, side: 'atLeast' },
    },
    {
      what: 'round trips against one for each event',
      ...{ found: (trips('destination') / trips('home-made')) * 100, unit: '%', limit: 5, side: 'atMost' },
    },
  ]
}

const whatIsCompared = [
  'All but the last write the same records, about 900 bytes each, in batches of 1,000 on one connection into the same partitioned table with its indexes; deriving the columns and encoding them is in every figure.',
  'Raw COPY and plain inserts store a batch twice when it is sent twice, and store a contradiction as readily.',
  'The home-made table has fewer columns, two indexes, no proof, and a commit for each event.',
  'The server is the embedded one with its default settings, on the same machine; its CPU is that of the sessions, without checkpoints and WAL writing.',
]
