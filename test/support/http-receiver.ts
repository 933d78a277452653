/**
 * A webhook receiver on a loopback port that keeps records by itself: it can be stopped and started on its address,
 * refuse a record, be busy, or fall silent. What it answers otherwise can be replaced.
 */

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { freePort } from '../parts/process.ts'

export interface ReceivedPost {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** As it came. */
  readonly raw: Buffer
  /** Decompressed. */
  readonly body: Buffer
}

type Answer = (response: ServerResponse, post: ReceivedPost) => void

export class HttpReceiver {
  readonly port: number
  readonly posts: ReceivedPost[] = []
  /** Texts of records, one for each line of the NDJSON bodies that were answered with success. */
  readonly held: string[] = []
  /** In place of keeping what comes. */
  answer: Answer | undefined
  readonly #tls: { readonly key: string; readonly cert: string; readonly ca?: string } | undefined
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()
  /** Connections since the beginning. */
  connections = 0

  constructor(port: number, tls?: { readonly key: string; readonly cert: string; readonly ca?: string }) {
    this.port = port
    this.#tls = tls
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const listener = async (incoming: import('node:http').IncomingMessage, response: ServerResponse) => {
      const raw = await buffer(incoming).catch(() => undefined)
      if (raw === undefined) return
      const body = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
      const post = { path: incoming.url ?? '', headers: incoming.headers, raw, body }
      this.posts.push(post)
      if (this.answer !== undefined) return this.answer(response, post)
      this.keep(post)
      response.end()
    }
    const server =
      this.#tls === undefined
        ? createServer(listener)
        : createTlsServer({ ...this.#tls, requestCert: this.#tls.ca !== undefined }, listener)
    server.on('connection', (socket: Socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
  }

  keep({ body }: ReceivedPost): void {
    this.held.push(...body.toString().split('\n').slice(0, -1))
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    for (const socket of this.#sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
}

/** Starts a receiver on a free port. */
export async function startHttpReceiver(tls?: ConstructorParameters<typeof HttpReceiver>[1]): Promise<HttpReceiver> {
  const receiver = new HttpReceiver(await freePort(), tls)
  await receiver.start()
  return receiver
}
