/**
 * What the outbox costs: one-row business transactions with it and without, from several connections at once, and how
 * many events a second one sequencer seals. For `npm run bench -- postgres`, which owns server, rounds and report.
 */

import { randomUUID } from 'node:crypto'
import { hrtime } from 'node:process'
import { convertEvent } from '../../src/event/convert.ts'
import { type Connection, createConnection } from '../../src/postgres/client.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { makeKeys } from '../support/trail.ts'
import { createEvent } from './event.ts'
import { type Figures, quantile } from './figures.ts'

export interface OutboxLoad {
  readonly url: string
  /** Transactions on each connection, or events for the sequencer. */
  readonly count: number
  readonly connections: number
  /** For the sequencer's file. */
  readonly directory: string
}

/** One-row transactions: `transactionsPerSecond`, and `p50Us` and `p99Us` of one of them, with an audit event in each or without. */
export async function measureTransactions(load: OutboxLoad, hasOutbox: boolean): Promise<Figures> {
  const connections = await openAll(load)
  try {
    await connections[0]?.query('create table if not exists business (id uuid primary key, note text)')
    const samples: number[] = []
    const began = hrtime.bigint()
    await Promise.all(connections.map((connection) => transact(connection, load.count, { hasOutbox, samples })))
    const seconds = Number(hrtime.bigint() - began) / 1e9
    return {
      transactionsPerSecond: samples.length / seconds,
      p50Us: quantile(samples, 0.5),
      p99Us: quantile(samples, 0.99),
    }
  } finally {
    for (const connection of connections) connection.destroy()
  }
}

/** One sequencer with a full outbox: `sealedPerSecond`. */
export async function measureSequencer(load: OutboxLoad): Promise<Figures> {
  const [connection] = await openAll({ ...load, connections: 1 })
  if (connection === undefined) throw new Error('no connection')
  const event = encodeEnlisted(convertEvent(createEvent(0)))
  await connection.query(
    `insert into audit.outbox (record_id, admitted, event)
     select gen_random_uuid(), true, convert_to($1, 'UTF8') from generate_series(1, $2::integer)`,
    [event, load.count],
  )
  connection.destroy()
  const parts = { signer: makeKeys('bench').signer, service: 'bench', admit: convertEvent }
  const sequencing = new Sequencing({ ...parts, url: load.url, seen: new SeenHeadFile(load.directory) })
  const began = hrtime.bigint()
  const sealed = await sequencing.drain(new AbortController().signal)
  return { sealedPerSecond: sealed / (Number(hrtime.bigint() - began) / 1e9) }
}

async function openAll({ url, connections }: Pick<OutboxLoad, 'url' | 'connections'>): Promise<Connection[]> {
  const opened = Array.from({ length: connections }, () => createConnection({ url }))
  await Promise.all(opened.map((connection) => connection.open()))
  return opened
}

async function transact(
  connection: Connection,
  count: number,
  { hasOutbox, samples }: { hasOutbox: boolean; samples: number[] },
): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const began = hrtime.bigint()
    const id = randomUUID()
    await connection.query('begin')
    await connection.query('insert into business (id, note) values ($1, $2)', [id, 'a row of the business'])
    if (hasOutbox) await insertEvent(connection, { id, event: encodeEnlisted(convertEvent(createEvent(index))) })
    await connection.query('commit')
    samples.push(Number(hrtime.bigint() - began) / 1_000)
  }
}
