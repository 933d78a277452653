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
const period = { from: '2026-09-01', to: '2026-12-01', months: ['2026-09-01', '2026-10-01', '2026-11-01'] }
const chunkRows = { full: 100_000, smoke: 500 }
const runs = 7

export const queries: Bench = {
  name: 'queries',
  summary: 'what the recipes for queries cost on millions of records in PostgreSQL',
  secondsDefault: 240,
  async run(options) {
    const machine = readMachine()
    const server = await startEmbeddedPostgres()
    try {
      return await withConnection({ url: server.url }, async (connection) => {
        const stored = await fill(connection, server.url, options)
        const { figures, plans } = await runRecipes(connection)
        return {
          bench: 'queries',
          title: '`queries`: the recipes of postgres.md',
          command: commandOf('queries', options),
          machine,
          rounds: runs,
          compared: [...whatWasDone(stored), ...plans],
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

/** Stores records from two sessions until half of the time is over; the other half is for indexes and for the queries. */
async function fill(connection: Connection, url: string, options: BenchOptions): Promise<Stored> {
  await migrateUp(connection)
  await connection.query('select audit.ensure_partition(at) from unnest($1::timestamptz[]) as at', [period.months])
  await connection.query(`alter system set max_wal_size = '8GB'`)
  await connection.query('select pg_reload_conf()')
  const rowsOfChunk = options.smoke ? chunkRows.smoke : chunkRows.full
  const deadline = hrtime.bigint() + BigInt(Math.round(options.seconds * 0.5e9))
  let chunks = 0
  const store = async (own: Connection): Promise<void> => {
    await own.query('set synchronous_commit = off')
    do {
      const first = chunks++ * rowsOfChunk
      await own.query(insertChunk, [first + 1, first + rowsOfChunk, period.from, period.to])
      options.onProgress(`${(chunks * rowsOfChunk).toLocaleString('en-US')} records`)
    } while (hrtime.bigint() < deadline)
  }
  await Promise.all([withConnection({ url }, store), withConnection({ url }, store)])
  options.onProgress('indexing the months that are over')
  while ((await indexClosedPartition(connection)) !== undefined);
  await connection.query('vacuum (analyze) audit.record')
  const { rows } = await connection.query<{ bytes: string }>(
    `select sum(pg_total_relation_size(relid)) as bytes from pg_partition_tree('audit.record') where isleaf`,
  )
  return { rows: chunks * rowsOfChunk, bytes: Number(rows[0]?.bytes) }
}

/**
 * Records $1 to $2 of one stream, from time $3 to time $4 in no order: five records a trace, 1,000 actors, 100,000
 * targets, 200 tenants, one in a hundred denied.
 */
const insertChunk = `insert into audit.record
  (record, stream, seq, hash, prev_hash, event_type, record_id, recorded_at, occurred_at, action, operation, level, outcome,
   actor_type, actor_id, target_type, target_id, tenant, correlation_id, trace_id, span_id, service)
select convert_to(json_build_object('action', action, 'actor', json_build_object('id', actor, 'type', 'user'),
    'changes', json_build_array(json_build_object('path', '/status', 'before', 'open', 'after', 'paid')),
    'outcome', outcome, 'seq', n, 'note', repeat('an invoice was looked at ', 12))::text, 'UTF8'),
  '019b7ca9-8dff-7000-8000-000000000001', n, sha256(int8send(n)), sha256(int8send(n - 1)), 'audit', gen_random_uuid(),
  at, at, action, 'update', 'all', outcome, 'user', actor, 'invoice', (n * 7919 % 100000)::text,
  case n % 200 when 0 then 'acme' else 'tenant-' || n % 200 end, trace::text,
  case n / 5 when 777 then '4bf92f35-77b3-4da6-a3ce-929d0e0e4736' else trace end, 'a1b2c3d4e5f60718', 'billing'
from (
  select n, 'invoice.' || (array['create', 'update', 'approve', 'pay'])[1 + n % 4] as action,
    'u-' || n * 31 % 1000 as actor, case n % 100 when 7 then 'denied' else 'success' end as outcome,
    $3::timestamptz + ($4::timestamptz - $3::timestamptz) * ((n / 5 * 2654435761 % 1000003) / 1000003.0::float8) as at,
    md5((n / 5)::text)::uuid as trace
  from generate_series($1::bigint, $2::bigint) as n
) as events`

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

function whatWasDone({ rows, bytes }: Stored): string[] {
  return [
    `${rows.toLocaleString('en-US')} synthetic records of about 500 bytes in three monthly partitions, ${(bytes / 1e9).toFixed(1)} GB with their indexes: as many as half of the time allowed to store.`,
    'The months that were over on the day of the run have the search indexes of `otel-audit migrate index`, the others have not.',
    'Five records a trace, 1,000 actors, 100,000 targets, 200 tenants, one record in a hundred denied; the server is the embedded one with its default settings, 128 MB of buffers among them.',
    'Each recipe ran seven times, one after the other; `now()` stands for the end of the data. How PostgreSQL reads:',
  ]
}
