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

/** The client that `prisma generate` makes of a schema without models; it downloads an engine, so it is not run here. */
async function createPrisma(url: string) {
  const { getPrismaClient } = await import('@prisma/client/runtime/client')
  const { PrismaPg } = await import('@prisma/adapter-pg')
  const PrismaClient = getPrismaClient({
    activeProvider: 'postgresql',
    clientVersion: '7.10.0',
    engineVersion: 'none',
    previewFeatures: [],
    inlineSchema: 'datasource db {\n  provider = "postgresql"\n}\n',
    runtimeDataModel: { models: {}, enums: {}, types: {} },
    parameterizationSchema: { strings: [], graph: Buffer.alloc(64).toString('base64url') },
    compilerWasm: {
      getRuntime: () => import(`${compiler}.mjs`),
      getQueryCompilerWasmModule: async () => {
        const { wasm } = await import(`${compiler}.wasm-base64.mjs`)
        const { WebAssembly } = globalThis as unknown as WithWebAssembly
        return new WebAssembly.Module(Buffer.from(wasm, 'base64'))
      },
      importName: './query_compiler_fast_bg.js',
    },
  }) as unknown as new (options: {
    adapter: unknown
  }) => PrismaClient
  return new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) })
}

const compiler = '@prisma/client/runtime/query_compiler_fast_bg.postgresql'

/** The types of Node leave it to those of the browser. */
interface WithWebAssembly {
  readonly WebAssembly: { readonly Module: new (bytes: Buffer) => unknown }
}

interface PrismaTransaction {
  $executeRawUnsafe(text: string, ...values: unknown[]): Promise<number>
}

interface PrismaClient {
  $transaction(work: (tx: PrismaTransaction) => Promise<void>): Promise<void>
  $disconnect(): Promise<void>
}

const prisma: Transact = async (url, work) => {
  const db = await createPrisma(url)
  try {
    await db.$transaction(async (tx) => {
      const client = { query: (text: string, values: unknown[]) => tx.$executeRawUnsafe(text, ...values) }
      await work(client, (text) => tx.$executeRawUnsafe(text))
    })
  } finally {
    await db.$disconnect()
  }
}

export const transacts: Readonly<Record<string, Transact>> = { pg, kysely, knex, drizzle, typeorm, prisma }
