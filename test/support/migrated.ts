/** A fresh database with our schema and an open connection to it. */

import type { TestContext } from 'node:test'
import { type CopyingConnection, createConnection } from '../../src/postgres/client.ts'
import { migrateUp, readMigrations } from '../../src/postgres/migrate.ts'
import type { Partitioning } from '../../src/postgres/records.ts'
import { databaseFor } from './postgres.ts'

export interface MigratedDatabase {
  readonly url: string
  readonly connection: CopyingConnection
}

export async function migratedDatabase(t: TestContext, partition?: Partitioning): Promise<MigratedDatabase> {
  const url = await databaseFor(t)
  const connection = await connectionFor(t, url)
  await migrateUp(connection, readMigrations(), { partition })
  return { url, connection }
}

/** What the owner of the schema can do, and a forger has to: after it, records and heads can be changed and removed. */
export const unguard =
  'alter table audit.record disable trigger user; alter table audit.stream_head disable trigger user'

/** An open connection that ends with the test. */
export async function connectionFor(t: TestContext, url: string): Promise<CopyingConnection> {
  const connection = createConnection({ url })
  await connection.open()
  t.after(() => connection.destroy())
  return connection
}
