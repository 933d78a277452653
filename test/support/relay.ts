/**
 * A TCP relay that can turn into a black hole: what either side sends vanishes, nothing is closed, nobody is told. What
 * was swallowed cannot be put back, so connections that lost bytes are reset when it lets through again.
 */

import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Relay {
  /** `127.0.0.1:port` */
  readonly address: string
  /** Swallows everything from now on, or lets it through again. */
  turn(how: 'black' | 'through'): void
  /** From now on it leads to another port of this machine, and who was connected is reset. */
  lead(target: number): void
  /** Resolves when so many more pieces have come from the clients, swallowed or not. */
  untilPieces(more: number): Promise<void>
  close(): Promise<void>
}

/** Starts a relay to a port of this machine. */
export async function startRelay(first: number): Promise<Relay> {
  let target = first
  let isBlack = false
  let pieces = 0
  const news = new EventEmitter()
  const open = new Set<Socket>()
  const torn = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from)
      from.on('data', (piece) => {
        if (from === client) pieces += 1
        news.emit('piece')
        if (isBlack) torn.add(client).add(upstream)
        if (!torn.has(from)) to.write(piece)
      })
      from.on('error', () => {})
      from.on('close', () => {
        open.delete(from)
        if (!isBlack) to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    turn(how) {
      isBlack = how === 'black'
      if (isBlack) return
      for (const socket of torn) socket.destroy()
      torn.clear()
    },
    lead(other) {
      target = other
      for (const socket of open) socket.destroy()
    },
    async untilPieces(more) {
      const wanted = pieces + more
      while (pieces < wanted) await once(news, 'piece')
    },
    async close() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
