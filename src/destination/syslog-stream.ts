/**
 * Syslog over TCP or TLS with octet counting. One connection for many batches, or, where the server's closing is the
 * receipt, one for each: it closes its side only after it has read to the end of ours. A connection is watched while it
 * is idle, so that a server which restarted in between is noticed before a write and not by it.
 */

import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import nodeTls from 'node:tls'
import { monotonicMs } from '../clock.ts'
import { readTls } from './credentials.ts'
import type { TlsFiles } from './options.ts'
import type { SyslogAddress, SyslogLine } from './syslog-address.ts'
import { frameMessage } from './syslog-message.ts'

const keepAliveMs = 10_000
/** A server that refuses our certificate says so only after its side of the handshake: least time to wait for that. */
const refusalMsMin = { first: 1_000, later: 250 } as const
/** How long a closing that crosses our bytes may take to arrive: a round trip of most networks. */
const closingMsMin = 50

export interface StreamLineOptions {
  readonly tls: TlsFiles
  /** `confirm: 'read'`. */
  readonly awaitsReading: boolean
}

interface Connection {
  readonly socket: net.Socket
  /** Rejects when it fails or is closed first. */
  readonly ready: Promise<unknown>
  /** Rejects when it fails or is closed; never resolves. */
  readonly broken: Promise<never>
}

export function createStreamLine(address: SyslogAddress, { tls, awaitsReading }: StreamLineOptions): SyslogLine {
  let open: Connection | undefined
  /** A server that took our certificate once will hardly refuse it; the first time it is given longer to. */
  let hasConnected = false
  const leave = () => {
    open?.socket.destroy()
    open = undefined
  }
  return {
    async write(messages, signal) {
      if (open?.socket.destroyed || open?.socket.readableEnded) leave()
      open ??= connect(address, tls, hasConnected ? refusalMsMin.later : refusalMsMin.first)
      const { socket, ready, broken } = open
      const stop = () => socket.destroy(new Error('stopped'))
      signal.addEventListener('abort', stop, { once: true })
      try {
        await ready
        hasConnected = true
        await Promise.race([handOver(socket, Buffer.concat(messages.map(frameMessage))), broken])
        if (awaitsReading) await Promise.race([untilRead(socket), broken])
        if (awaitsReading) leave()
      } catch (thrown) {
        leave()
        throw thrown
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
    async close() {
      leave()
    },
  }
}

function connect({ transport, host, port }: SyslogAddress, files: TlsFiles, refusalMs: number): Connection {
  const isTls = transport === 'tls'
  const socket = isTls ? nodeTls.connect({ host, port, ...readTls(files) }) : net.connect({ host, port })
  socket.setKeepAlive(true, keepAliveMs)
  const broken = new Promise<never>((_, reject) => {
    socket.on('error', reject).on('close', () => reject(new Error('the server closed the connection')))
  })
  const ready = Promise.race([isTls ? untilAccepted(socket, refusalMs) : once(socket, 'connect'), broken])
  for (const promise of [broken, ready]) promise.catch(() => {}) // told to whoever waits then; idle, the next write asks
  socket.resume() // a server says nothing, but its end is only seen by reading
  return { socket, ready, broken }
}

/**
 * With TLS 1.3 the client is done before the server has looked at its certificate, and what is written in between is
 * lost: a server that refuses closes within a few round trips, of which the handshake gives the measure.
 */
async function untilAccepted(socket: net.Socket, refusalMs: number): Promise<void> {
  const startedMs = monotonicMs()
  await once(socket, 'secureConnect')
  await delay(Math.max(refusalMs, 2 * (monotonicMs() - startedMs)), undefined, { ref: false })
}

/** Resolves when the operating system has every byte. */
function handOver(socket: net.Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error == null ? resolve() : reject(error)))
  })
}

/**
 * Resolves when the server has closed its side, after it was told that nothing more comes. A server that closed before
 * our bytes reached it would look the same: its closing is on the way by then, so it is waited for before we close. One
 * that closes later without having read everything resets the connection.
 */
async function untilRead(socket: net.Socket): Promise<void> {
  await delay(closingMsMin, undefined, { ref: false })
  await nextTurn() // what has arrived meanwhile is seen only now
  if (socket.readableEnded || socket.destroyed) throw new Error('the server closed the connection')
  const ended = once(socket, 'end')
  socket.end()
  await ended
}
