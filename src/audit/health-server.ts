/**
 * A small HTTP server that tells how whoever opened it stands: `/metrics`, `/healthz`, `/readyz`. Always holds: without
 * the token, where there is one, nobody reads the metrics or the reasons; a request that shows none or a wrong one is
 * told to its owner. It answers from memory, does not keep the process alive, and bounds what strangers may hold open.
 */

import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { AuditError, errorText } from '../errors.ts'
import { redactRemoteAddr } from '../policy/redact-text.ts'

const connectionsMax = 64
const requestMsMax = 10_000
const headerBytesMax = 16_384

/** What a scrape reads: a `Registry` of prom-client. */
export interface ScrapedRegistry {
  readonly contentType: string
  metrics(): Promise<string>
}

export function isScrapedRegistry(value: object): value is ScrapedRegistry {
  return typeof (value as Partial<ScrapedRegistry>).metrics === 'function'
}

export interface HealthParts {
  /** `HOST:PORT`, or a port of 127.0.0.1; port 0 takes a free one. */
  readonly listen: string
  /** Who gave the address: `metrics.listen`, `--listen`. */
  readonly setting: string
  /** What whoever reads the metrics must show as a bearer token. */
  readonly token?: string | undefined
  readonly registry: ScrapedRegistry
  /** Why it is not ready, one sentence each. */
  readonly reasons: () => readonly string[]
  /** Somebody has shown no token, or a wrong one. */
  readonly refused: (event: AuthFailure) => void
}

/** The event of a request that was refused. */
export type AuthFailure = ReturnType<typeof authFailure>

export interface HealthServer extends AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:9464`. */
  readonly url: string
  /** Answers nobody any more. */
  close(): Promise<void>
}

const portPattern = '(?:6553[0-5]|655[0-2]\\d|65[0-4]\\d\\d|6[0-4]\\d{3}|[1-5]\\d{4}|\\d{1,4})'
/** What `listen` may be. */
export const listenPattern = new RegExp(`^(?:(\\[[\\da-fA-F:.]+\\]|[^\\s:[\\]/]+):)?(${portPattern})$`)
export const listenForm = 'HOST:PORT or a port, such as 127.0.0.1:9464'

/** Resolves when it listens. Rejects with `INVALID_OPTION` where that cannot be. */
export async function openHealthServer(parts: HealthParts): Promise<HealthServer> {
  const { host, port } = parseListen(parts)
  const options = { requestTimeout: requestMsMax, headersTimeout: requestMsMax, maxHeaderSize: headerBytesMax }
  const server = createServer(options, (request, response) => void answer(request, response, parts))
  server.maxConnections = connectionsMax
  server.on('connection', (socket) => socket.unref())
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (cause) {
    throw new AuditError('INVALID_OPTION', `cannot listen at ${parts.listen}: ${errorText(cause)}`, {
      setting: parts.setting,
      hint: 'Is another process there? Name another port, or 0 for one that is free.',
      cause,
    })
  }
  server.on('error', () => {}) // a connection that cannot be accepted: whoever asks sees it
  server.unref()
  const close = () => closeServer(server)
  return { url: urlOf(server, host), close, [Symbol.asyncDispose]: close }
}

/** Whether others than this machine may ask. */
export function isReachable(listen: string): boolean {
  const [, host = '127.0.0.1'] = listenPattern.exec(listen) ?? []
  return !/^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(host)
}

function parseListen({ listen, setting }: HealthParts): { host: string; port: number } {
  const [, host = '127.0.0.1', port] = listenPattern.exec(listen) ?? []
  if (port !== undefined) return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
  throw new AuditError('INVALID_OPTION', `${setting} is ${JSON.stringify(listen)}; allowed: ${listenForm}`, {
    setting,
    hint: 'Write 0.0.0.0:9464 to be reached from other machines.',
  })
}

function urlOf(server: Server, host: string): string {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

const endpoints = ['/metrics', '/healthz', '/readyz'] as const
type Endpoint = (typeof endpoints)[number]

async function answer(request: IncomingMessage, response: ServerResponse, parts: HealthParts): Promise<void> {
  const path = request.url?.split('?', 1)[0]
  const endpoint = endpoints.find((one) => one === path)
  response.setHeader('cache-control', 'no-store')
  if (endpoint === undefined) return send(response, 404, `not found; there is ${endpoints.join(', ')}\n`)
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return send(response, 405, 'only GET and HEAD\n')
  }
  const refusal = refusalOf(request, parts.token)
  // A probe shows no token: it is told whether, and not why.
  if (refusal !== undefined && (refusal !== 'missing' || endpoint === '/metrics')) {
    parts.refused(authFailure(request, endpoint, refusal))
    response.setHeader('www-authenticate', 'Bearer')
    return send(response, 401, 'the bearer token is missing or wrong\n')
  }
  if (endpoint === '/metrics') return await sendMetrics(response, parts.registry)
  if (endpoint === '/healthz') return send(response, 200, 'ok\n')
  const reasons = parts.reasons()
  const told = refusal === undefined ? reasons.map((reason) => `${reason}\n`).join('') : ''
  send(response, reasons.length === 0 ? 200 : 503, reasons.length === 0 ? 'ready\n' : `not ready\n${told}`)
}

async function sendMetrics(response: ServerResponse, registry: ScrapedRegistry): Promise<void> {
  try {
    const text = await registry.metrics()
    response.writeHead(200, { 'content-type': registry.contentType }).end(text)
  } catch (thrown) {
    send(response, 500, `the metrics cannot be read: ${errorText(thrown)}\n`) // a metric of the application's own
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}

type Refusal = 'missing' | 'malformed' | 'wrong_token'

function refusalOf({ headers: { authorization } }: IncomingMessage, token: string | undefined): Refusal | undefined {
  if (token === undefined) return undefined
  if (authorization === undefined) return 'missing'
  const [, given] = /^Bearer +(\S+) *$/i.exec(authorization) ?? []
  if (given === undefined) return 'malformed'
  return timingSafeEqual(sha256(given), sha256(token)) ? undefined : 'wrong_token'
}

/** Of one length, so that the comparison tells nothing of either. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** The address stands in `request`, where policy decides about it, and in `details` without its host. */
function authFailure({ socket, method = 'GET' }: IncomingMessage, endpoint: Endpoint, reason: Refusal) {
  const { remoteAddress = '', remotePort } = socket
  return {
    action: 'auth.failure',
    operation: 'access',
    outcome: 'denied',
    actor: { type: 'anonymous' },
    target: { resource_type: 'endpoint', id: endpoint },
    request: { source_ip: remoteAddress, method, route: endpoint, status: 401 },
    details: { endpoint, reason, remote_address: redactRemoteAddr(`[${remoteAddress}]:${remotePort}`) },
  } as const
}
