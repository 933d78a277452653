/**
 * Transactions of the libraries that people use, each with a client for `audit.tx`: what docs/postgres.md shows.
 * Each runs `work` in one transaction, which is rolled back when that throws.
 */

import type { TransactionClient } from '../../src/index.ts'

/** Runs `work` in a transaction with the client for `audit.tx`; `execute` runs a statement of the business. */
export type Transact = (
  url: string,
  work: (client: TransactionClient, execute: (text: string) => Promise<unknown>) => Promise<void>,
) => Promise<void>

const pg: Transact = async (url, work) => {
  const { Client } = await import('pg')
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('begin')
    await work(client, (text) => client.query(text))
    await client.query('commit')
  } finally {
    await client.end()
  }
}

const kysely: Transact = async (url, work) => {
  const { CompiledQuery, Kysely, PostgresDialect, sql } = await import('kysely')
  const { Pool } = await import('pg')
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: url, max: 1 }) }) })
  try {
    await db.transaction().execute(async (trx) => {
      const client = { query: (text: string, values: unknown[]) => trx.executeQuery(CompiledQuery.raw(text, values)) }
      await work(client, (text) => sql.raw(text).execute(trx))
    })
  } finally {
    await db.destroy()
  }
}

const knex: Transact = async (url, work) => {
  const { default: createKnex } = await import('knex')
  const db = createKnex({ client: 'pg', connection: url, pool: { min: 0, max: 1 } })
  try {
    await db.transaction(async (trx) => {
      const client = {
        query: (text: string, values: unknown[]) => trx.raw(text.replace(/\$\d+/g, '?'), values as string[]),
      }
      await work(client, async (text) => trx.raw(text))
    })
  } finally {
    await db.destroy()
  }
}

const drizzle: Transact = async (url, work) => {
  const { drizzle: createDrizzle } = await import('drizzle-orm/node-postgres')
  const { sql } = await import('drizzle-orm')
  const { Pool } = await import('pg')
  const pool = new Pool({ connectionString: url, max: 1 })
  try {
    await createDrizzle({ client: pool }).transaction(async (tx) => {
      const client = {
        query: (text: string, values: unknown[]) => {
          const parts = text.split(/\$\d+/).map((part) => sql.raw(part))
          return tx.execute(
            sql.join(parts.flatMap((part, at) => (at < values.length ? [part, sql`${values[at]}`] : [part]))),
          )
        },
      }
      await work(client, (text) => tx.execute(sql.raw(text)))
    })
  } finally {
    await pool.end()
  }
}

const typeorm: Transact = async (url, work) => {
  const { DataSource } = await import('typeorm')
  const source = await new DataSource({ type: 'postgres', url }).initialize()
  try {
    await source.transaction(async (manager) => {
      await work(manager, (text) => manager.query(text))
    })
  } finally {
    await source.destroy()
  }
}

export const transacts: Readonly<Record<string, Transact>> = { pg, kysely, knex, drizzle, typeorm }
