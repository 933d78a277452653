/**
 * Delivery to ClickHouse: one insert a batch, answered when the rows are written. Always holds: inserts are synchronous,
 * or asynchronous and waited for, so `delivered` never means a buffer in memory; a repetition merges with itself and two
 * records under one number both stay (`clickhouse/table.ts`). The table is made when it is missing.
 */

import type { ClickHouseClient } from '@clickhouse/client'
import { createTable, rowOf, selectHead } from '../clickhouse/table.ts'
import { errorText } from '../errors.ts'
import { attempt } from './attempt.ts'
import type { Batch, Delivery, Destination, HeadReading, Retry } from './destination.ts'
import { loadPeer } from './optional-module.ts'
import type { ClickhouseDestinationOptions } from './options.ts'

const timeoutMsDefault = 30_000
const tableDefault = 'audit_record'

type Driver = typeof import('@clickhouse/client')

/** A destination that inserts each batch. Rejects with AuditError MODULE_NOT_FOUND without the client. */
export async function createClickhouseDestination(options: ClickhouseDestinationOptions): Promise<Destination> {
  const driver = await loadPeer('clickhouse', () => import('@clickhouse/client'))
  return new ClickhouseDestination(options, driver)
}

/** Written, and the answer waits for it; the last two count only where the user asks for asynchronous inserts. */
const insertSettings = {
  async_insert: 0,
  wait_end_of_query: 1,
  wait_for_async_insert: 1,
  async_insert_deduplicate: 1,
} as const

class ClickhouseDestination implements Destination {
  readonly name: string
  readonly #options: ClickhouseDestinationOptions
  readonly #driver: Driver
  readonly #client: ClickHouseClient
  readonly #table: string
  readonly #timeoutMs: number

  constructor(options: ClickhouseDestinationOptions, driver: Driver) {
    this.name = options.name ?? 'clickhouse'
    this.#options = options
    this.#driver = driver
    this.#table = options.table ?? tableDefault
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault
    this.#client = driver.createClient({
      url: options.url,
      application: 'otel-audit',
      request_timeout: this.#timeoutMs,
      log: { level: driver.ClickHouseLogLevel.OFF },
    })
  }

  async send({ records }: Batch, signal: AbortSignal): Promise<Delivery> {
    try {
      await this.#attempt(signal, (limited) => this.#insertOrCreate(records.map(rowOf), limited))
      return { status: 'delivered' }
    } catch (thrown) {
      if (!signal.aborted && this.#isRefusal(thrown)) return { status: 'rejected', reason: this.#reasonOf(thrown) }
      return this.#retry(thrown, signal)
    }
  }

  async head(stream: string, signal: AbortSignal): Promise<HeadReading> {
    try {
      return await this.#attempt(signal, async (limited) => {
        const query = { query: selectHead(this.#table), query_params: { stream }, abort_signal: limited }
        const found = await this.#client.query({ ...query, format: 'JSONEachRow' })
        const [row] = await found.json<{ sequence: string | number; hash: string }>()
        const head = row === undefined ? undefined : { sequence: Number(row.sequence), hash: row.hash }
        return { status: 'known', head }
      })
    } catch (thrown) {
      return this.#isMissingTable(thrown) ? { status: 'known', head: undefined } : this.#retry(thrown, signal)
    }
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  #attempt<Result>(signal: AbortSignal, run: (limited: AbortSignal) => Promise<Result>): Promise<Result> {
    return attempt({ signal, timeoutMs: this.#timeoutMs }, run)
  }

  async #insertOrCreate(values: ReturnType<typeof rowOf>[], signal: AbortSignal): Promise<void> {
    try {
      await this.#insert(values, signal)
    } catch (thrown) {
      if (!this.#isMissingTable(thrown) || this.#options.createTable === false) throw thrown
      await this.#client.command({ query: createTable(this.#table), abort_signal: signal })
      await this.#insert(values, signal)
    }
  }

  async #insert(values: ReturnType<typeof rowOf>[], signal: AbortSignal): Promise<void> {
    await this.#client.insert({
      table: this.#table,
      values,
      format: 'JSONEachRow',
      clickhouse_settings: { ...insertSettings, ...this.#options.settings },
      abort_signal: signal,
    })
  }

  #isMissingTable(thrown: unknown): boolean {
    return thrown instanceof this.#driver.ClickHouseError && thrown.type === 'UNKNOWN_TABLE'
  }

  #isRefusal(thrown: unknown): boolean {
    return thrown instanceof this.#driver.ClickHouseError && refusals.has(thrown.type ?? '')
  }

  #retry(thrown: unknown, signal: AbortSignal): Retry {
    return { status: 'retry', reason: signal.aborted ? 'stopped' : this.#reasonOf(thrown) }
  }

  #reasonOf(thrown: unknown): string {
    const what =
      thrown instanceof this.#driver.ClickHouseError
        ? `${thrown.type} (${thrown.code}): ${thrown.message}`
        : errorText(thrown)
    return `${new URL(this.#options.url).host}: ${what.slice(0, 300)}`
  }
}

/** Errors that blame the rows and not the server. */
const refusals: ReadonlySet<string> = new Set([
  'CANNOT_PARSE_TEXT',
  'CANNOT_PARSE_QUOTED_STRING',
  'CANNOT_PARSE_INPUT_ASSERTION_FAILED',
  'CANNOT_PARSE_DATE',
  'CANNOT_PARSE_DATETIME',
  'CANNOT_PARSE_NUMBER',
  'CANNOT_PARSE_UUID',
  'ARGUMENT_OUT_OF_BOUND',
  'VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE',
  'INCORRECT_DATA',
  'TOO_LARGE_STRING_SIZE',
  'VIOLATED_CONSTRAINT',
])
