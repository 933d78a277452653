/**
 * The peers of `drain`: real servers where they are built, and for the protocols that anybody may receive, local servers
 * that read everything, acknowledge it and keep nothing.
 */

import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { DestinationOptions } from '../../src/destination/destination.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { clickhousePython, startClickhouse } from '../parts/clickhouse.ts'
import { startVersitygw, versitygwBinary } from '../parts/versitygw.ts'
import { queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import { unguardTables } from './postgres-load.ts'

/** How to end a peer that was started. */
export type Stops = (() => Promise<unknown>)[]

/** A migrated database for each of these names, on one embedded server; its URLs. */
export async function startDatabases(names: readonly string[], stops: Stops): Promise<string[]> {
  const server = await startEmbeddedPostgres()
  stops.push(() => server.stop())
  const urls: string[] = []
  for (const name of names) {
    await queryOnce(server.url, `create database bench_${name}`)
    const url = new URL(`/bench_${name}`, server.url).href
    await withConnection({ url }, async (connection) => {
      await migrateUp(connection)
      await unguardTables(connection)
    })
    urls.push(url)
  }
  return urls
}

/** The destinations that are measured once, by name: those whose peers are there and, with `isQuick`, start at once. */
export async function startOthers(
  makeFolder: (name: string) => string,
  { stops, isQuick }: { stops: Stops; isQuick: boolean },
): Promise<Record<string, DestinationOptions>> {
  const http = createHttpServer((request, response) => request.resume().on('end', () => response.end()))
  const syslog = createServer((socket) => socket.resume().on('error', () => socket.destroy()))
  const others: Record<string, DestinationOptions> = {
    http: { type: 'http', format: 'ndjson', endpoint: `http://127.0.0.1:${await listen(http, stops)}` },
    syslog: { type: 'syslog', address: `tcp://127.0.0.1:${await listen(syslog, stops)}` },
    stdout: { type: 'stdout' },
  }
  if (!isQuick && versitygwBinary() !== undefined) {
    const server = await startVersitygw(makeFolder('s3'))
    stops.push(() => server.stop())
    others.s3 = { type: 's3', forcePathStyle: true, ...server.address }
  }
  if (!isQuick && clickhousePython() !== undefined) {
    const server = await startClickhouse(makeFolder('clickhouse'))
    stops.push(() => server.stop())
    others.clickhouse = { type: 'clickhouse', url: server.url }
  }
  return others
}

async function listen(server: Server, stops: Stops): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(async () => server.close())
  return (server.address() as AddressInfo).port
}
