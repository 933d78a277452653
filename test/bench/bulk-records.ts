/**
 * Millions of synthetic records, made by the server: into partitions that are taken out for that time and lack their
 * indexes, which are built at once when a partition is put back. The columns are as real ones; no chain links the bytes.
 */

import { type Connection, withConnection } from '../../src/postgres/client.ts'

/** A partition that is there, and its bounds. */
export interface BulkPartition {
  readonly name: string
  readonly from: string
  readonly to: string
}

export interface BulkLoad {
  readonly url: string
  readonly partitions: readonly BulkPartition[]
  /** Rows of one statement. */
  readonly chunkRows: number
  /** Of each chunk, by its number from 0; with a head for each. Default: one stream for all, without a head. */
  readonly streamOf?: ((chunk: number) => string) | undefined
  /** Asked before each chunk; both sessions end when it says so. */
  readonly isEnough: (rows: number) => boolean
  readonly onProgress: (line: string) => void
}

const sessions = 2
const queryMsMax = 3_600_000
const oneStream = '019b7ca9-8dff-7000-8000-000000000001'

/** Makes the partitions of these times, in the order of the times. */
export async function makePartitions(client: Connection, times: readonly string[]): Promise<BulkPartition[]> {
  await client.query('select audit.ensure_partition(at) from unnest($1::timestamptz[]) as at', [times])
  const { rows } = await client.query<BulkPartition>(
    `select 'record_' || to_char(month, 'YYYY_MM') as name, month || 'Z' as from, month + interval '1 month' || 'Z' as to
     from (select date_trunc('month', at at time zone 'UTC') as month
       from unnest($1::timestamptz[]) as at) as months order by month`,
    [times],
  )
  return rows
}

/** Resolves to how many rows were stored. */
export async function storeInBulk(load: BulkLoad): Promise<number> {
  return withConnection({ url: load.url, queryMsMax }, async (client) => {
    // Nothing here has to survive a crash, and a checkpoint a minute would write every page twice.
    await setServer(client, { fsync: 'off', full_page_writes: 'off', max_wal_size: '4GB' })
    await client.query(`set maintenance_work_mem = '512MB'`)
    for (const { name } of load.partitions) await takeOut(client, name)
    const rows = await fill(load)
    load.onProgress('indexing')
    for (const partition of load.partitions) await putBack(client, partition)
    await setServer(client, { fsync: 'on', full_page_writes: 'on', max_wal_size: '4GB' })
    await client.query('checkpoint')
    return rows
  })
}

async function setServer(client: Connection, settings: Readonly<Record<string, string>>): Promise<void> {
  // One after the other: there is one file.
  for (const [name, value] of Object.entries(settings)) await client.query(`alter system set ${name} = '${value}'`)
  await client.query('select pg_reload_conf()')
}

async function takeOut(client: Connection, name: string): Promise<void> {
  await client.query(`alter table audit.record detach partition audit.${name}`)
  await client.query(`do $$ declare own text; begin
    execute (select format('alter table audit.${name} drop constraint %I', conname) from pg_constraint
      where conrelid = 'audit.${name}'::regclass and contype = 'p');
    for own in select indexrelid::regclass from pg_index where indrelid = 'audit.${name}'::regclass loop
      execute 'drop index ' || own;
    end loop; end $$`)
}

async function putBack(client: Connection, { name, from, to }: BulkPartition): Promise<void> {
  await client.query(`alter table audit.record attach partition audit.${name} for values from ('${from}') to ('${to}')`)
}

async function fill({ url, partitions, chunkRows, streamOf, isEnough, onProgress }: BulkLoad): Promise<number> {
  let chunks = 0
  const store = async (own: Connection): Promise<void> => {
    await own.query('set synchronous_commit = off')
    while (!isEnough(chunks * chunkRows)) {
      const chunk = chunks++
      const partition = partitions[chunk % partitions.length]
      if (partition === undefined) throw new Error('there is no partition')
      const stream = streamOf?.(chunk) ?? oneStream
      const first = streamOf === undefined ? chunk * chunkRows + 1 : 1
      const last = first + chunkRows - 1
      await own.query(insertChunk(partition.name), [first, last, partition.from, partition.to, stream])
      if (streamOf !== undefined) await own.query(insertHead, [stream, last, partition.from])
      onProgress(`${(chunks * chunkRows).toLocaleString('en-US')} records`)
    }
  }
  await Promise.all(Array.from({ length: sessions }, () => withConnection({ url, queryMsMax }, store)))
  return chunks * chunkRows
}

const insertHead = `insert into audit.stream_head (stream, seq, hash, first_seq, recorded_at)
  values ($1, $2, sha256(int8send($2)), 1, $3)`

/**
 * Records $1 to $2 of the stream $5, from time $3 to time $4 in no order: five records a trace, 1,000 actors, 100,000
 * targets, 200 tenants, one in a hundred denied.
 */
const insertChunk = (partition: string) => `insert into audit.${partition}
  (record, stream, seq, hash, prev_hash, event_type, record_id, recorded_at, occurred_at, action, operation, level, outcome,
   actor_type, actor_id, target_type, target_id, tenant, correlation_id, trace_id, span_id, service)
select convert_to(json_build_object('action', action, 'actor', json_build_object('id', actor, 'type', 'user'),
    'changes', json_build_array(json_build_object('path', '/status', 'before', 'open', 'after', 'paid')),
    'outcome', outcome, 'seq', n, 'note', repeat('an invoice was looked at ', 12))::text, 'UTF8'),
  $5::uuid, n, sha256(int8send(n)), sha256(int8send(n - 1)), 'audit', md5(n::text)::uuid,
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
