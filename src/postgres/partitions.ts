/**
 * The partitions of `audit.record`: which there are, and how one leaves. Always holds: no statement here makes an insert
 * wait longer than `lockMsMax`, because a partition is detached concurrently and every lock is waited for that long at
 * most; a partition on its way out stands in `audit.retiring` until it is dropped, so that whoever comes next goes on.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../errors.ts'
import type { Queryable } from './client.ts'

/** Longest wait for a lock, in milliseconds: what stands in line behind it waits no longer. */
export const lockMsMax = 50
const lockNotAvailable = '55P03'
const retries = { most: 40, pauseMs: 250 }

/** A table that holds records: a partition, or `record` itself where it is not partitioned. */
export interface Leaf {
  readonly name: string
  /** Its bounds, as PostgreSQL writes them; null where it has none. */
  readonly from: string | null
  readonly to: string | null
  readonly isPartition: boolean
}

/** The tables that hold records, oldest first. */
export async function listLeaves(client: Queryable): Promise<Leaf[]> {
  const { rows } = await client.query<{ name: string; low: string | null; high: string | null; level: number }>(
    `select c.relname as name, tree.level,
       substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \\(''([^'']+)''\\)') as low,
       substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)''\\)') as high
     from pg_partition_tree('audit.record') as tree join pg_class c on c.oid = tree.relid
     where tree.isleaf
     union all
     select 'record', 0, null, null from pg_class where oid = 'audit.record'::regclass and relkind = 'r'
     order by low`,
  )
  const leaves = new Map(
    rows.map(({ name, low, high, level }) => [name, { name, from: low, to: high, isPartition: level > 0 }]),
  )
  return [...leaves.values()]
}

/** Of each stream in a table, its first and last number and how many rows. One scan. */
export async function measureLeaf(
  client: Queryable,
  name: string,
): Promise<{ readonly stream: string; readonly first: number; readonly last: number; readonly rows: number }[]> {
  const { rows } = await client.query<{ stream: string; first: string; last: string; rows: string }>(
    `select stream, min(seq) as first, max(seq) as last, count(*) as rows from audit.${quote(name)} group by stream`,
  )
  return rows.map(({ stream, first, last, rows: count }) => {
    return { stream, first: Number(first), last: Number(last), rows: Number(count) }
  })
}

/** Names that are on their way out. */
export async function listRetiring(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ partition: string }>('select partition from audit.retiring order by partition')
  return rows.map(({ partition }) => partition)
}

/** Takes a partition out and drops it, from whatever step an earlier attempt has reached. */
export async function retirePartition(client: Queryable, name: string): Promise<void> {
  await client.query('insert into audit.retiring (partition) values ($1) on conflict do nothing', [name])
  const state = await stateOf(client, name)
  if (state === 'attached') await detach(client, name, 'concurrently')
  if (state === 'pending') await detach(client, name, 'finalize')
  if (state !== 'gone') {
    const isPending = (await stateOf(client, name)) === 'pending'
    if (isPending) await detach(client, name, 'finalize')
    // Then another partition has the name.
    if (await putBack(client, name)) return
    await withShortLocks(client, () => client.query(`drop table if exists audit.${quote(name)}`))
  }
  await forgetRetiring(client, name)
}

async function forgetRetiring(client: Queryable, name: string): Promise<void> {
  await client.query('delete from audit.retiring where partition = $1', [name])
}

async function detach(client: Queryable, name: string, how: 'concurrently' | 'finalize'): Promise<void> {
  try {
    await withShortLocks(client, () =>
      client.query(`alter table audit.record detach partition audit.${quote(name)} ${how}`),
    )
  } catch (thrown) {
    // Given up between its two steps: nobody sees the partition any more, and the second step is done later.
    if (how === 'finalize' || (await stateOf(client, name)) !== 'pending') throw thrown
  }
}

/** What came after the partition was closed stays, in a partition of its own; whether there was any. All or nothing. */
async function putBack(client: Queryable, name: string): Promise<boolean> {
  const uncovered = `not exists (select from audit.partition p
    where p.stream = r.stream and r.seq between p.from_seq and p.to_seq and p.sealed_at is not null)`
  const found = await client.query<{ at: string }>(
    `select r.recorded_at::text as at from audit.${quote(name)} r where ${uncovered} limit 1`,
  )
  const late = found.rows[0]
  if (late === undefined) return false
  const aside = `${name}_retiring`
  await client.query('begin')
  try {
    await client.query(`alter table audit.${quote(name)} rename to ${quote(aside)}`)
    await client.query('select audit.ensure_partition($1::timestamptz)', [late.at])
    await client.query(`insert into audit.record select r.* from audit.${quote(aside)} r where ${uncovered}`)
    await client.query(`drop table audit.${quote(aside)}`)
    await forgetRetiring(client, name)
    await client.query('commit')
    return true
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // a lost connection has rolled back by itself
    throw thrown
  }
}

async function stateOf(client: Queryable, name: string): Promise<'attached' | 'pending' | 'detached' | 'gone'> {
  const { rows } = await client.query<{ attached: boolean; pending: boolean }>(
    `select i.inhrelid is not null as attached, coalesce(i.inhdetachpending, false) as pending
     from pg_class c left join pg_inherits i on i.inhrelid = c.oid
     where c.relnamespace = 'audit'::regnamespace and c.relname = $1 and c.relkind = 'r'`,
    [name],
  )
  const [row] = rows
  if (row === undefined) return 'gone'
  if (row.pending) return 'pending'
  return row.attached ? 'attached' : 'detached'
}

/** Tries again and again, never in line for long. */
export async function withShortLocks<Result>(client: Queryable, act: () => Promise<Result>): Promise<Result> {
  await client.query(`set lock_timeout = '${lockMsMax}ms'`)
  try {
    for (let left = retries.most; ; left -= 1) {
      try {
        return await act()
      } catch (thrown) {
        if (errorCode(thrown) !== lockNotAvailable || left === 0) throw thrown
        await sleep(retries.pauseMs)
      }
    }
  } finally {
    await client.query('reset lock_timeout').catch(() => undefined) // the connection is gone, and the setting with it
  }
}

/** An identifier of whatever characters. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
