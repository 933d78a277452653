/**
 * Syslog over UDP: one datagram a message (RFC 5426). Nobody knows what becomes of it; what is noticed is that a host
 * refuses the port, and that only by a later datagram.
 */

import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import type { SyslogAddress, SyslogLine } from './syslog-address.ts'

/** Most bytes that a datagram can carry over IPv4. */
export const datagramBytesMax = 65_507

export function createDatagramLine(address: SyslogAddress): SyslogLine {
  let open: Promise<Socket> | undefined
  const leave = async () => {
    const socket = await open?.catch(() => undefined) // what never opened needs no closing
    open = undefined
    socket?.close()
  }
  return {
    async write(messages, signal) {
      open ??= connect(address)
      try {
        const socket = await open
        for (const message of messages) {
          signal.throwIfAborted()
          await send(socket, message) // in their order, and each only when there is room for it
        }
      } catch (thrown) {
        await leave()
        throw thrown
      }
    },
    close: leave,
  }
}

async function connect({ host, port }: SyslogAddress): Promise<Socket> {
  const { address, family } = await lookup(host)
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
  try {
    socket.connect(port, address)
    await once(socket, 'connect')
    socket.on('error', () => {}) // the next datagram reports it
    return socket
  } catch (thrown) {
    socket.close()
    throw thrown
  }
}

function send(socket: Socket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, (error) => (error == null ? resolve() : reject(error)))
  })
}
