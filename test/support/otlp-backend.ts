/** An OTLP/HTTP backend on a loopback port that answers as a test tells it and keeps what it was sent. */

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'

export interface ReceivedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Decompressed. */
  readonly body: Buffer
}

export type Respond = (response: ServerResponse, request: ReceivedRequest) => void

export interface OtlpBackend {
  /** Base URL, without `/v1/logs`. */
  readonly url: string
  readonly requests: ReceivedRequest[]
  respond: Respond
  /** Connections that are open now. */
  readonly connections: ReadonlySet<Socket>
  /** Resolves when no connection is open. The backend closes none by itself. */
  untilDisconnected(): Promise<void>
  close(): Promise<void>
}

/** Starts a backend that accepts everything until `respond` is replaced. */
export async function startOtlpBackend(respond: Respond = answer(200)): Promise<OtlpBackend> {
  const requests: ReceivedRequest[] = []
  const server = createServer(async (incoming, response) => {
    const raw = await buffer(incoming).catch(() => undefined)
    if (raw === undefined) return // the sender went away
    const body = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
    const request = { path: incoming.url ?? '', headers: incoming.headers, body }
    requests.push(request)
    backend.respond(response, request)
  })
  server.keepAliveTimeout = 0
  const connections = new Set<Socket>()
  server.on('connection', (connection) => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  const backend: OtlpBackend = {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    respond,
    connections,
    async untilDisconnected() {
      for (const connection of connections) await once(connection, 'close')
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return backend
}

/** Answers with a status, headers and a body. */
export function answer(status: number, headers: Record<string, string> = {}, body: string | Uint8Array = ''): Respond {
  return (response) => response.writeHead(status, headers).end(body)
}
