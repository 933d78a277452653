/** What is measured of a way to write rows: its speed, what both sides spend, and what it puts into WAL and table. */

import { readFileSync } from 'node:fs'
import { Client } from 'pg'
import type { StoredRecord } from '../../src/event/record.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { unguard } from '../support/migrated.ts'
import { chainOf } from '../support/record-chain.ts'
import { createEvent } from './event.ts'
import type { Figures } from './figures.ts'
import { type TableWriter, tableWriters } from './postgres-tables.ts'

export interface TableSetup {
  /** Of a migrated database of its own. */
  readonly url: string
}

const batchRecords = 1_000
const tickUs = 10_000

/** Makes it possible to empty the tables, which the owner of the schema can. */
export async function unguardTables(client: Queryable): Promise<void> {
  await client.query(unguard)
  // Those against truncate are each partition's own.
  await client.query(`do $$ declare leaf regclass; begin
    for leaf in select relid from pg_partition_tree('audit.record') where isleaf loop
      execute format('alter table %s disable trigger user', leaf);
    end loop; end $$`)
}

/** Empties the tables of a trail; they must be unguarded. */
export async function clearTables(client: Queryable): Promise<void> {
  await client.query('truncate audit.record, audit.stream_head')
}

export class TableContender {
  readonly #writer: TableWriter
  readonly #watch: Client

  private constructor(writer: TableWriter, watch: Client) {
    this.#writer = writer
    this.#watch = watch
  }

  static async open(name: string, { url }: TableSetup): Promise<TableContender> {
    const writer = await tableWriters[name]?.(url)
    if (writer === undefined) throw new Error(`no writer ${name}`)
    const watch = new Client({ connectionString: url })
    await watch.connect()
    await unguardTables(watch)
    return new TableContender(writer, watch)
  }

  /** Writes so many rows into empty tables, which are empty again afterwards. */
  async measure(rows: number): Promise<Figures> {
    const now = `${new Date().toISOString().slice(0, -1)}000000Z`
    const records = chainOf(rows, {
      members: (sequence) => ({
        ...createEvent(sequence),
        recorded: now,
        timestamp: now,
        correlation_id: `c-${sequence}`,
      }),
    })
    await this.#writer.write(records.slice(0, 1)) // connects, and warms up
    await this.#empty()
    const [walBefore, serverBefore, clientBefore] = [await this.#wal(), await this.#serverUs(), process.cpuUsage()]
    const startMs = performance.now()
    await this.#writeAll(records)
    const elapsedMs = performance.now() - startMs
    const client = process.cpuUsage(clientBefore)
    const [server, wal, table] = [await this.#serverUs(), await this.#wal(), await this.#tableBytes()]
    await this.#empty()
    return {
      perSecond: (rows / elapsedMs) * 1_000,
      clientUs: (client.user + client.system) / rows,
      serverUs: (server - serverBefore) / rows,
      walBytes: (wal - walBefore) / rows,
      tableBytes: table / rows,
      trips: (this.#writer.trips(Math.min(rows, batchRecords)) * Math.ceil(rows / batchRecords) * 1_000) / rows,
    }
  }

  /** Batch behind batch, as a chain is written. */
  async #writeAll(records: readonly StoredRecord[]): Promise<void> {
    const { writesMax = 1 } = this.#writer
    const writes: Promise<void>[] = []
    for (let from = 0; from < records.length; from += batchRecords) {
      if (writes.length >= writesMax) await writes.shift()
      writes.push(this.#writer.write(records.slice(from, from + batchRecords)))
    }
    await Promise.all(writes)
  }

  async close(): Promise<void> {
    await this.#writer.close()
    await this.#watch.end()
  }

  async #empty(): Promise<void> {
    await clearTables(this.#watch)
    const { rows } = await this.#watch.query(`select to_regclass('public.audit_log') as found`)
    if (rows[0]?.found !== null) await this.#watch.query('truncate public.audit_log')
  }

  async #wal(): Promise<number> {
    return this.#number(`select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as number`)
  }

  async #tableBytes(): Promise<number> {
    return this.#number(
      `select coalesce(sum(pg_total_relation_size(oid)), 0)::float8 as number from pg_class
       where relkind = 'r' and (relname = 'audit_log' or relname ~ '^record_')`,
    )
  }

  /** Of the server's processes for this database but our watch; NaN where there is no /proc. */
  async #serverUs(): Promise<number> {
    const { rows } = await this.#watch.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and backend_type = 'client backend'`,
    )
    try {
      return rows.reduce((sum, { pid }) => {
        const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
        return sum + (Number(fields[11]) + Number(fields[12])) * tickUs
      }, 0)
    } catch {
      return Number.NaN // another system, or a server elsewhere
    }
  }

  async #number(text: string): Promise<number> {
    const { rows } = await this.#watch.query<{ number: number }>(text)
    return rows[0]?.number ?? Number.NaN
  }
}
