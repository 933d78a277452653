/**
 * What the database is asked beside taking records: business transactions with an event in them and without, sealing
 * what they left, and removing what is past its retention while somebody goes on writing.
 */

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, type Queryable, withConnection } from '../../src/postgres/client.ts'
import { runRetention } from '../../src/postgres/retention.ts'
import { type AgedDatabase, AgedWriter, ageDatabase, aged, daysAgo } from '../support/aged-trail.ts'
import { makePartitions, storeInBulk } from './bulk-records.ts'
import type { Figures } from './figures.ts'
import { measureSequencer } from './postgres-outbox.ts'
import { measureTransactions, transactions } from './postgres-transactions.ts'

export interface UpkeepSetup {
  /** Of a migrated database of its own. */
  readonly url: string
  /** An empty directory of its own. */
  readonly directory: string
}

type Measure = (setup: UpkeepSetup, count: number) => Promise<Figures>

/** Transactions of each connection, as a part of what is asked for. */
const transactionsOf = (count: number) => Math.max(5, Math.ceil(count / 50))
const checkpointRecords = 256
/** How long a writer alone is watched. */
const aloneMs = 2_000

export const upkeeps: Readonly<Record<string, Measure>> = {
  ...Object.fromEntries(Object.keys(transactions).map((name) => [name, transactionsNamed(name)])),
  sequencer: (setup, count) => measureSequencer({ ...setup, count }),
  writer: ({ url }) => withConnection({ url }, (connection) => watchWriter(connection, sleep(aloneMs))),
  // Older than the limit by a quarter of an hour: in the partition that is being written.
  'retention-rows': ({ url }, count) => measureRetention(url, { count, days: 1 / 24, beforeDays: 1 / 32 }),
  'retention-partitions': ({ url }, count) => measureRetention(url, { count, days: 200, beforeDays: 90 }),
}

function transactionsNamed(name: string): Measure {
  return (setup, count) => measureTransactions(name, { ...setup, count: transactionsOf(count) })
}

/** Removes a trail of one age, in a database where somebody goes on writing. */
async function measureRetention(
  url: string,
  { count, days, beforeDays }: { count: number; days: number; beforeDays: number },
): Promise<Figures> {
  const database = ageDatabase(url, randomUUID())
  await database.deliver(aged(new AgedWriter(randomUUID(), () => days), count, checkpointRecords))
  return watchRemoval(database, { count, beforeDays })
}

const bulk = { streamRows: 100_000, days: 200, beforeDays: 90 }

/**
 * Removes one partition of so many rows, of as many streams as are needed, while somebody goes on writing. Nothing is left
 * of them.
 */
export async function measureBulkRetention(
  url: string,
  rows: number,
  onProgress: (line: string) => void,
): Promise<Figures> {
  const chunkRows = Math.min(rows, bulk.streamRows)
  const partitions = await withConnection({ url }, (client) => makePartitions(client, [daysAgo(bulk.days)]))
  const isEnough = (stored: number): boolean => stored >= rows
  const count = await storeInBulk({ url, partitions, chunkRows, streamOf: () => randomUUID(), isEnough, onProgress })
  onProgress('removing them')
  return watchRemoval(ageDatabase(url, randomUUID()), { count, beforeDays: bulk.beforeDays })
}

async function watchRemoval(
  database: AgedDatabase,
  { count, beforeDays }: { readonly count: number; readonly beforeDays: number },
): Promise<Figures> {
  const { url } = database
  const beginning = performance.now()
  let removed = 0
  let locksMs = 0
  const watched = await withConnection({ url }, (writer) =>
    withConnection({ url, queryMsMax: 3_600_000 }, async (connection) => {
      const retiring = timeRetiring(connection, (ms) => {
        locksMs += ms
      })
      const running = runRetention(retiring, {
        before: daysAgo(beforeDays),
        restateBefore: daysAgo(1_000),
        batchRows: 10_000,
        seal: (statement) => database.seal(statement),
        signal: new AbortController().signal,
      }).then((report) => {
        removed = report.removed
        if (!report.isComplete || removed < count) throw new Error(`${removed} of ${count} rows removed`)
      })
      return watchWriter(writer, running)
    }),
  )
  const seconds = (performance.now() - beginning) / 1_000
  return { ...watched, removedPerSecond: removed / seconds, ...(locksMs > 0 && { locksMs }) }
}

/** Tells how long the statements take that lock the whole table or a partition of it. */
function timeRetiring(client: Connection, tell: (ms: number) => void): Queryable {
  return {
    async query(text, values) {
      const startedMs = performance.now()
      const result = await client.query<never>(text, values)
      if (/^(alter|drop) table/.test(text)) tell(performance.now() - startedMs)
      return result
    },
  }
}

/**
 * Inserts row after row until `over`; the longest of them, and how long they have waited for locks together, to ten
 * milliseconds: an insert that waits longer for one gives up, and is tried again.
 */
async function watchWriter(client: Queryable, over: Promise<unknown>): Promise<Figures> {
  let isOver = false
  const ended = over.finally(() => {
    isOver = true
  })
  ended.catch(() => {}) // it is awaited below
  const stream = randomUUID()
  let [longestMs, lockedMs] = [0, 0]
  const insert = async (sequence: number): Promise<void> => {
    const startedMs = performance.now()
    try {
      await client.query(insertRow, [stream, sequence])
    } catch (thrown) {
      if ((thrown as { code?: string }).code !== lockNotAvailable) throw thrown
      lockedMs += performance.now() - startedMs
      await insert(sequence)
    }
  }
  await client.query(`set lock_timeout = '10ms'`)
  for (let sequence = 1; !isOver; sequence += 1) {
    const startedMs = performance.now()
    await insert(sequence)
    longestMs = Math.max(longestMs, performance.now() - startedMs)
  }
  await ended
  return { longestWaitMs: longestMs, lockedMs }
}

const lockNotAvailable = '55P03'
const insertRow = `insert into audit.record (record, stream, seq, hash, recorded_at) values ('\\x00', $1, $2, '\\x00', now())`
