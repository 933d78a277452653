/**
 * Counts round trips to the database where they happen: on the wire. Everything passes unchanged; each time that the
 * server speaks after the client has, one round trip is over. Connecting and signing in count like any other.
 */

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export interface CountedDatabase {
  /** The database, by way of the counter. */
  readonly url: string
  roundTrips(): number
  connections(): number
  stop(): Promise<void>
}

export async function countRoundTrips(databaseUrl: string): Promise<CountedDatabase> {
  const database = new URL(databaseUrl)
  let trips = 0
  let connections = 0
  const server = createServer((client) => {
    connections += 1
    let isAnswerDue = false
    const upstream = connect(Number(database.port), database.hostname)
    client.on('data', () => {
      isAnswerDue = true
    })
    upstream.on('data', () => {
      if (isAnswerDue) trips += 1
      isAnswerDue = false
    })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = new URL(databaseUrl)
  if (address !== null && typeof address === 'object') url.host = `127.0.0.1:${address.port}`
  return {
    url: url.href,
    roundTrips: () => trips,
    connections: () => connections,
    stop: async () => void server.close(),
  }
}
