/**
 * What the recipes of docs/postgres.md cost: each is run as it stands there, over as many synthetic records of three
 * months as the time allows to store, and its plan is told. Nobody is compared: the table says what to expect.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hrtime } from 'node:process'
import type { Connection } from '../../src/postgres/client.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { indexClosedPartition } from '../../src/postgres/query.ts'
import { startEmbeddedPostgres } from '../support/postgres.ts'
import { type Bench, type BenchOptions, commandOf } from './bench.ts'
import { makePartitions, storeInBulk } from './bulk-records.ts'
import { type Figures, median } from './figures.ts'
import { readMachine } from './machine.ts'
import type { Column } from './report.ts'

/** Recipes of the document, with the words before each as its title. */
interface Recipe {
  readonly title: string
  readonly sql: string
}

/** A node of EXPLAIN's JSON, as far as it is told. */
interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Shared Hit Blocks'?: number
  readonly 'Shared Read Blocks'?: number
  readonly Plans?: readonly PlanNode[]
}

const columns: readonly Column[] = [
  { figure: 'rows', title: 'rows', digits: 0 },
  { figure: 'ms', title: 'ms, median', digits: 1 },
  { figure: 'firstMs', title: 'ms, first time', digits: 1 },
  { figure: 'pages', title: 'pages of 8 KB', digits: 0 },
  { figure: 'partitions', title: 'partitions read', digits: 0 },
]

/** The months that the recipes ask for. */
const period = { from: '2026-09-01', to: '2026-12-01', months: ['2026-09-01Z', '2026-10-01Z', '2026-11-01Z'] }
const chunkRowsOf = { full: 100_000, smoke: 500 }
const runs = 7
/** Indexing tens of millions of records takes its time. */
const queryMsMax = 3_600_000

export const queries: Bench = {
  name: 'queries',
  summary: 'what the recipes for queries cost on millions of records in PostgreSQL',
  secondsDefault: 240,
  async run(options) {
    const machine = readMachine()
    const server = await startEmbeddedPostgres()
    try {
      return await withConnection({ url: server.url, queryMsMax }, async (connection) => {
        const stored = await fill(connection, server.url, options)
        const { figures, plans } = await runRecipes(connection)
        return {
          bench: 'queries',
          title: '`queries`: the recipes of postgres.md',
          command: commandOf('queries', options),
          machine,
          rounds: runs,
          compared: [...whatWasDone(stored, options), ...plans],
          columns,
          figures,
          aims: [],
        }
      })
    } finally {
      await server.stop()
    }
  },
}

interface Stored {
  readonly rows: number
  readonly bytes: number
}

/** Stores as many as are asked for, or until half of the time is over; the other half is for indexes and for the queries. */
async function fill(connection: Connection, url: string, options: BenchOptions): Promise<Stored> {
  await migrateUp(connection)
  const partitions = await makePartitions(connection, period.months)
  const deadline = hrtime.bigint() + BigInt(Math.round(options.seconds * 0.5e9))
  const chunkRows = options.smoke ? chunkRowsOf.smoke : chunkRowsOf.full
  const isEnough = (rows: number): boolean => {
    if (rows < partitions.length * chunkRows) return false
    return options.rows === undefined ? hrtime.bigint() >= deadline : rows >= options.rows
  }
  const stored = await storeInBulk({ url, partitions, chunkRows, isEnough, onProgress: options.onProgress })
  options.onProgress('indexing the months that are over')
  while ((await indexClosedPartition(connection)) !== undefined);
  await connection.query('vacuum (analyze) audit.record')
  const { rows } = await connection.query<{ bytes: string }>(
    `select sum(pg_total_relation_size(relid)) as bytes from pg_partition_tree('audit.record') where isleaf`,
  )
  return { rows: stored, bytes: Number(rows[0]?.bytes) }
}

async function runRecipes(connection: Connection) {
  const figures: Record<string, Figures> = {}
  const plans: string[] = []
  await connection.query(`set timezone = 'UTC'`)
  for (const { title, sql } of readRecipes()) {
    const measured: { ms: number; plan: PlanNode; rows: number }[] = []
    // One after the other: a query is not to wait for another.
    for (let run = 0; run < runs; run += 1) measured.push(await explain(connection, sql))
    const { plan, rows, ms: firstMs } = measured[0] ?? { plan: { 'Node Type': '' }, rows: 0, ms: 0 }
    const scans = scansOf(plan)
    const partitions = new Set(scans.map((scan) => scan.partition)).size
    figures[title] = { rows, ms: median(measured.map(({ ms }) => ms)), firstMs, pages: pagesOf(plan), partitions }
    plans.push(`${title}: ${[...new Set(scans.map(({ how }) => how))].join(', ') || 'nothing to read'}.`)
  }
  return { figures, plans }
}

async function explain(connection: Connection, sql: string) {
  const { rows } = await connection.query<{ 'QUERY PLAN': readonly [{ Plan: PlanNode; 'Execution Time': number }] }>(
    `explain (analyze, buffers, format json) ${sql}`,
  )
  const report = rows[0]?.['QUERY PLAN'][0]
  if (report === undefined) throw new Error('PostgreSQL explained nothing')
  const answer = await connection.query(sql)
  return { ms: report['Execution Time'], plan: report.Plan, rows: answer.rows.length }
}

/** Every table that a plan reads pages of, and by which way. */
function scansOf(node: PlanNode): { readonly partition: string; readonly how: string }[] {
  const table = node['Relation Name']
  if (table === undefined) return (node.Plans ?? []).flatMap(scansOf)
  if (pagesOf(node) === 0) return []
  const index = node['Index Name'] ?? node.Plans?.[0]?.['Index Name']
  return [{ partition: table, how: index === undefined ? 'every record' : `the index on ${columnOf(index)}` }]
}

function pagesOf(node: PlanNode): number {
  return (node['Shared Hit Blocks'] ?? 0) + (node['Shared Read Blocks'] ?? 0)
}

/** The column that an index of a partition begins with. */
function columnOf(index: string): string {
  return index.replace(/^record_\d{4}_\d{2}_/, '').replace(/_(?:idx\d*|at)$/, '')
}

function readRecipes(): Recipe[] {
  const document = readFileSync(join(import.meta.dirname, '../../docs/postgres.md'), 'utf8')
  const from = document.indexOf('\n## Queries\n')
  const section = document.slice(from, document.indexOf('\n## ', from + 1))
  const found = [...section.matchAll(/\n\n([^\n:]+):[^`]*?\n\n```sql\n([^`]+);\n```/g)]
  // The data ends at a day of its own.
  return found.map(([, words = '', sql = '']) => ({
    title: words.replace(/ \(.*\)$/, ''),
    sql: sql.replaceAll('now()', `timestamptz '${period.to}'`),
  }))
}

function whatWasDone({ rows, bytes }: Stored, options: BenchOptions): string[] {
  const asMany =
    options.rows === undefined ? 'as many as half of the time allowed to store' : 'as many as were asked for'
  return [
    `${rows.toLocaleString('en-US')} synthetic records of about 500 bytes in three monthly partitions, ${(bytes / 1e9).toFixed(1)} GB with their indexes: ${asMany}.`,
    'The months that were over on the day of the run have the search indexes of `otel-audit migrate index`, the others have not.',
    'Five records a trace, 1,000 actors, 100,000 targets, 200 tenants, one record in a hundred denied; the server is the embedded one with its default settings, 128 MB of buffers among them.',
    'Each recipe ran seven times, one after the other; `now()` stands for the end of the data. How PostgreSQL reads:',
  ]
}
