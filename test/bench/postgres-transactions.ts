/**
 * Business transactions with one row: with an audit event in them, without, and with as little as can stand in its place.
 * Each from several connections at once, and from one alone. For `npm run bench -- postgres`.
 */

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hrtime } from 'node:process'
import { Client } from 'pg'
import { type Audit, createAudit } from '../../src/index.ts'
import { createEvent } from './event.ts'
import { type Figures, quantile } from './figures.ts'

export interface TransactionLoad {
  readonly url: string
  /** An empty directory of its own. */
  readonly directory: string
  /** Transactions on each connection. */
  readonly count: number
}

/** What stands in the transaction beside its row; `row` inserts that. */
type Within = (client: Client, row: () => Promise<unknown>, audit: Audit, index: number) => Promise<unknown>

const connections = 4
/** About as long as the event is in the outbox. */
const bareEvent = JSON.stringify({ note: 'x'.repeat(400) })

export const transactions: Readonly<Record<string, { readonly within: Within; readonly pipeline?: true }>> = {
  business: { within: (_, row) => row() },
  outbox: {
    async within(client, row, audit, index) {
      await row()
      await audit.tx(client).emit(createEvent(index))
    },
  },
  pipelined: {
    pipeline: true,
    within: (client, row, audit, index) => Promise.all([row(), audit.tx(client).emit(createEvent(index))]),
  },
  'round-trip': {
    async within(client, row) {
      await row()
      await client.query('select 1')
    },
  },
  'bare-row': {
    async within(client, row) {
      await row()
      await client.query('insert into bare (id, event) values ($1, $2)', [randomUUID(), bareEvent])
    },
  },
}

/**
 * From several connections: `transactionsPerSecond`, `p50Us` and `p99Us` of one transaction, and the CPU time of both
 * sides for one, `cpuUs`. From one connection: `aloneUs`, its p50.
 */
export async function measureTransactions(name: string, load: TransactionLoad): Promise<Figures> {
  const contender = transactions[name]
  if (contender === undefined) throw new Error(`no transaction ${name}`)
  const spool = { directory: join(load.directory, 'spool') }
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'all' },
    spool,
    keys: { signingKeyFile: join(load.directory, 'bench.key') },
  })
  const clients = await openAll(load.url, contender.pipeline === true)
  try {
    await clients[0]?.query(`create table if not exists business (id uuid primary key, note text);
      create table if not exists bare (id uuid, event text)`)
    const parts = { audit, within: contender.within, count: load.count }
    const alone = await transact(clients.slice(0, 1), parts)
    return { ...(await transact(clients, parts)), aloneUs: alone.p50Us ?? Number.NaN }
  } finally {
    await Promise.all(clients.map((client) => client.end()))
    await audit.close()
  }
}

async function openAll(url: string, pipeline: boolean): Promise<Client[]> {
  const clients = Array.from({ length: connections }, () => new Client({ connectionString: url, pipeline }))
  await Promise.all(clients.map((client) => client.connect()))
  return clients
}

async function transact(
  clients: readonly Client[],
  { audit, within, count }: { readonly audit: Audit; readonly within: Within; readonly count: number },
): Promise<Figures> {
  const samples: number[] = []
  const run = async (client: Client): Promise<void> => {
    const row = () =>
      client.query('insert into business (id, note) values ($1, $2)', [randomUUID(), 'a row of the business'])
    for (let index = 0; index < count; index += 1) {
      const began = hrtime.bigint()
      await client.query('begin')
      await within(client, row, audit, index)
      await client.query('commit')
      samples.push(Number(hrtime.bigint() - began) / 1_000)
    }
  }
  const [began, ours, theirs] = [hrtime.bigint(), process.cpuUsage(), await serverUs(clients)]
  await Promise.all(clients.map(run))
  const seconds = Number(hrtime.bigint() - began) / 1e9
  const { user, system } = process.cpuUsage(ours)
  return {
    transactionsPerSecond: samples.length / seconds,
    p50Us: quantile(samples, 0.5),
    p99Us: quantile(samples, 0.99),
    cpuUs: (user + system + (await serverUs(clients)) - theirs) / samples.length,
  }
}

/** CPU time of the sessions in the server; NaN where there is no /proc. */
async function serverUs(clients: readonly Client[]): Promise<number> {
  const answers = await Promise.all(clients.map((client) => client.query('select pg_backend_pid() as pid')))
  try {
    return answers.reduce((sum, { rows }) => {
      const [nanoseconds] = readFileSync(`/proc/${rows[0]?.pid}/schedstat`, 'latin1').split(' ')
      return sum + Number(nanoseconds) / 1_000
    }, 0)
  } catch {
    return Number.NaN // another system, or a server elsewhere
  }
}
