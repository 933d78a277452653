/**
 * Removes what is past its retention from `audit.record`. In this order, each step durable before the next:
 *
 *   1. what an earlier run has sealed and not removed is removed, and what was restored and is past its time
 *   2. ranges are planned (`retention-plan.ts`), archived where there is an archive, noted in `audit.partition`
 *   3. `audit.pruned` is sealed in an operations stream and has arrived in this database: `sealed_at`
 *   4. partitions that hold nothing else are detached and dropped; rows elsewhere are deleted in batches: `removed_at`
 *   5. a partition that is over gets its search indexes, one a run
 *
 * Killed anywhere, the next run goes on. What was noted and not sealed is planned anew, so that a hold still counts.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import { errorCode, errorText } from '../errors.ts'
import type { Queryable } from './client.ts'
import { pruneDisclosures } from './disclosures.ts'
import { isHeld } from './hold.ts'
import { type Leaf, listLeaves, listRetiring, lockMsMax, measureLeaf, quote, retirePartition } from './partitions.ts'
import { indexClosedPartition } from './query.ts'
import { ensurePartitionsAhead } from './records.ts'
import { endRestored } from './restore.ts'
import { findPrunable, type PruneRange, planStream } from './retention-plan.ts'
import {
  closeRange,
  discardUnsealed,
  markSealed,
  readStatement,
  type Statement,
  staleStreams,
} from './retention-ranges.ts'

/** Rows of a batch after one has timed out, and longest time of a batch in milliseconds. */
const careful = { rows: 1_000, statementMs: 5_000 }
const timedOut = new Set(['57014', '55P03'])

export interface RetentionOptions {
  /** Records before this are past their retention: RFC 3339. */
  readonly before: string
  /** Statements sealed before this are sealed again, so that they outlive their own retention. */
  readonly restateBefore: string
  readonly batchRows: number
  /** Copies a stream up to `to`, reads it back and verifies it; rejects when it cannot. Its name. */
  readonly archive?: ((stream: string, to: number) => Promise<string>) | undefined
  /** Seals a statement; resolves to whether it is durable and has arrived in this database. */
  readonly seal: (statement: Statement) => Promise<boolean>
  readonly onProgress?: ((progress: RetentionProgress) => void) | undefined
  readonly signal: AbortSignal
}

export interface RetentionProgress {
  readonly step: 'planning' | 'archiving' | 'sealing' | 'removing'
  /** Records removed so far. */
  readonly removed: number
}

/** What a run has done, or would do. */
export interface RetentionReport {
  readonly before: string
  readonly ranges: readonly { readonly stream: string; readonly from: number; readonly to: number }[]
  /** Streams that stay as they are, and why. */
  readonly refused: readonly { readonly stream: string; readonly reason: string }[]
  /** Partitions that were dropped. */
  readonly partitions: readonly string[]
  /** Records that were removed. */
  readonly removed: number
  /** Whether everything that was planned is done. */
  readonly isComplete: boolean
}

/** What would go now. Changes nothing. */
export async function planRetention(client: Queryable, before: string): Promise<RetentionReport> {
  const ranges: PruneRange[] = []
  const refused: RetentionReport['refused'][number][] = []
  for (const { stream, to } of await findPrunable(client, before)) {
    const plan = await planStream(client, stream, to)
    ranges.push(...plan.ranges)
    if (plan.refused !== undefined) refused.push({ stream, reason: plan.refused })
  }
  const partitions: string[] = []
  for (const leaf of await expiredLeaves(client, before)) {
    const rows = await measureLeaf(client, leaf.name)
    const goes = rows.every(({ stream, first, last }) =>
      ranges.some((range) => range.stream === stream && range.from <= first && last <= range.to),
    )
    if (goes) partitions.push(leaf.name)
  }
  const removed = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  return {
    before,
    ranges: ranges.map(({ stream, from, to }) => ({ stream, from, to })),
    refused,
    partitions,
    removed,
    isComplete: true,
  }
}

/** One run. The caller holds the lock of `withRetentionLock`. Rejects when the database does. */
export async function runRetention(client: Queryable, options: RetentionOptions): Promise<RetentionReport> {
  return new Run(client, options).run()
}

class Run {
  readonly #client: Queryable
  readonly #options: RetentionOptions
  readonly #ranges: RetentionReport['ranges'][number][] = []
  readonly #refused: RetentionReport['refused'][number][] = []
  readonly #partitions: string[] = []
  #removed = 0
  #isComplete = true

  constructor(client: Queryable, options: RetentionOptions) {
    this.#client = client
    this.#options = options
  }

  async run(): Promise<RetentionReport> {
    const { before, signal } = this.#options
    await ensurePartitionsAhead(this.#client)
    await endRestored(this.#client)
    await this.#remove()
    await discardUnsealed(this.#client)
    for (const stream of await staleStreams(this.#client, this.#options.restateBefore)) await this.#restate(stream)
    for (const { stream, to } of await findPrunable(this.#client, before)) {
      if (signal.aborted) break
      await this.#prepare(stream, to)
    }
    await this.#remove()
    if (!signal.aborted) await indexClosedPartition(this.#client)
    const isComplete = this.#isComplete && !signal.aborted
    return {
      before,
      ranges: this.#ranges,
      refused: this.#refused,
      partitions: this.#partitions,
      removed: this.#removed,
      isComplete,
    }
  }

  /** Plans, archives, notes and seals what may go of a stream. */
  async #prepare(stream: string, to: number): Promise<void> {
    this.#say('planning')
    const plan = await planStream(this.#client, stream, to)
    if (plan.refused !== undefined) this.#refused.push({ stream, reason: plan.refused })
    const last = plan.ranges.at(-1)
    if (last === undefined) return
    try {
      this.#say('archiving')
      const archive = await this.#options.archive?.(stream, last.to)
      for (const range of plan.ranges) await closeRange(this.#client, range, archive)
    } catch (thrown) {
      this.#refused.push({ stream, reason: `it is not archived, and stays: ${errorText(thrown)}` })
      return
    }
    this.#say('sealing')
    for (const { from, to: end } of plan.ranges) {
      if (!(await this.#seal(stream, end))) return
      this.#ranges.push({ stream, from, to: end })
    }
  }

  async #restate(stream: string): Promise<void> {
    const ends = await staleEnds(this.#client, stream)
    for (const end of ends) if (!(await this.#seal(stream, end))) return
  }

  async #seal(stream: string, end: number): Promise<boolean> {
    const statement = await readStatement(this.#client, stream, end)
    const isSealed = statement !== undefined && (await this.#options.seal(statement))
    if (isSealed) await markSealed(this.#client, statement)
    else this.#isComplete = false
    return isSealed
  }

  async #remove(): Promise<void> {
    for (const name of await listRetiring(this.#client)) await this.#retire(name)
    if (!(await hasPending(this.#client))) return
    for (const leaf of await expiredLeaves(this.#client, this.#options.before)) {
      if (this.#options.signal.aborted) return
      const rows = await measureLeaf(this.#client, leaf.name)
      if (!(await mayDrop(this.#client, leaf.name, rows))) continue
      this.#removed += rows.reduce((sum, one) => sum + one.rows, 0)
      await this.#retire(leaf.name)
    }
    for (const leaf of await listLeaves(this.#client)) await this.#deleteRows(leaf)
    await pruneDisclosures(this.#client)
    await markRemoved(this.#client)
  }

  async #retire(name: string): Promise<void> {
    this.#say('removing')
    await retirePartition(this.#client, name)
    this.#partitions.push(name)
  }

  async #deleteRows({ name }: Leaf): Promise<void> {
    for (let batch = this.#options.batchRows; !this.#options.signal.aborted; ) {
      const startedMs = monotonicMs()
      const deleted = await deleteBatch(this.#client, name, batch)
      if (deleted === undefined && batch === careful.rows) this.#isComplete = false
      if (deleted === 0 || (deleted === undefined && batch === careful.rows)) return
      if (deleted === undefined) batch = Math.min(batch, careful.rows)
      this.#removed += deleted ?? 0
      this.#say('removing')
      // As long as the work took: the database has half of the time for others.
      await sleep(Math.min(monotonicMs() - startedMs, careful.statementMs))
    }
  }

  #say(step: RetentionProgress['step']): void {
    this.#options.onProgress?.({ step, removed: this.#removed })
  }
}

/** Partitions that end before the limit. */
async function expiredLeaves(client: Queryable, before: string): Promise<Leaf[]> {
  const leaves = (await listLeaves(client)).filter(({ isPartition, to }) => isPartition && to !== null)
  const { rows } = await client.query<{ expired: boolean }>(
    'select ends <= $2::timestamptz as expired from unnest($1::timestamptz[]) with ordinality as u (ends, place) order by place',
    [leaves.map(({ to }) => to), before],
  )
  return leaves.filter((_, at) => rows[at]?.expired === true)
}

/** Whether every row of a partition is in a sealed range, and no hold keeps one. */
async function mayDrop(
  client: Queryable,
  name: string,
  streams: readonly { readonly stream: string; readonly first: number; readonly last: number }[],
): Promise<boolean> {
  for (const { stream, first, last } of streams) {
    const { rows } = await client.query<{ covered: boolean }>(
      `select exists (select from audit.partition p where p.stream = $1 and p.from_seq <= $2 and p.to_seq >= $3
         and p.sealed_at is not null and p.restored_until is null) as covered`,
      [stream, first, last],
    )
    if (rows[0]?.covered !== true) return false
  }
  const { rows } = await client.query<{ held: boolean }>(
    `select exists (select from audit.legal_hold where released_at is null)
       and exists (select from audit.${quote(name)} r where ${isHeld}) as held`,
  )
  return rows[0]?.held === false
}

/** The number of rows that went, in a transaction of its own; `undefined` when it took too long. */
async function deleteBatch(client: Queryable, leaf: string, batchRows: number): Promise<number | undefined> {
  const table = `audit.${quote(leaf)}`
  await client.query('begin')
  try {
    await client.query(
      `set local lock_timeout = '${lockMsMax}ms'; set local statement_timeout = '${careful.statementMs}ms'`,
    )
    // Without an order: the rows are found as the index has them. Deleted by their place, which no other query knows.
    const { rows } = await client.query<{ deleted: string }>(
      `with gone as (
         delete from ${table} where ctid = any(array(
           select r.ctid from audit.partition p join ${table} r on r.stream = p.stream and r.seq between p.from_seq and p.to_seq
           where p.removed_at is null and p.sealed_at is not null and p.restored_until is null and not ${isHeld}
           limit ${batchRows}
         )) returning 1
       ) select count(*) as deleted from gone`,
    )
    await client.query('commit')
    return Number(rows[0]?.deleted ?? 0)
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // a lost connection has rolled back by itself
    if (timedOut.has(errorCode(thrown) ?? '')) return undefined
    throw thrown
  }
}

async function hasPending(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ some: boolean }>(
    'select exists (select from audit.partition where removed_at is null and sealed_at is not null and restored_until is null) as some',
  )
  return rows[0]?.some === true
}

async function markRemoved(client: Queryable): Promise<void> {
  await client.query(
    `update audit.partition p set removed_at = now() where p.removed_at is null and p.sealed_at is not null
       and not exists (select from audit.record r where r.stream = p.stream and r.seq between p.from_seq and p.to_seq)`,
  )
}

/** The ends of the groups of ranges of a stream, oldest first. */
async function staleEnds(client: Queryable, stream: string): Promise<number[]> {
  const { rows } = await client.query<{ end: string }>(
    `select p.to_seq as end from audit.partition p where p.stream = $1 and p.sealed_at is not null
       and not exists (select from audit.partition n where n.stream = p.stream and n.from_seq = p.to_seq + 1)
     order by p.to_seq`,
    [stream],
  )
  return rows.map(({ end }) => Number(end))
}
