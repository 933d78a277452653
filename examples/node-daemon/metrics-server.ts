/** `/metrics` on loopback, for whoever has the bearer token; everybody else is an `auth.failure` in the log. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type CataloguedAudit, redactRemoteAddr } from 'otel-audit'
import type { Registry } from 'prom-client'
import type { actions, DaemonEvent } from './actions.ts'

type Refusal = DaemonEvent<'auth.failure'>['details']['reason']

export interface MetricsServerParts {
  readonly audit: CataloguedAudit<typeof actions>
  readonly registry: Registry
  readonly token: string
}

export function createMetricsServer({ audit, registry, token }: MetricsServerParts): Server {
  return createServer(async (request, response) => {
    const refusal = refusalOf(request, token)
    if (refusal !== undefined) {
      const { remoteAddress = '', remotePort } = request.socket
      const remote_address = redactRemoteAddr(`[${remoteAddress}]:${remotePort}`)
      audit.emit({ action: 'auth.failure', details: { endpoint: '/metrics', reason: refusal, remote_address } })
      response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
    } else if (request.url === '/metrics') {
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics())
    } else {
      response.writeHead(404).end()
    }
  })
}

function refusalOf({ headers: { authorization } }: IncomingMessage, token: string): Refusal | undefined {
  if (authorization === undefined) return 'missing'
  const [, given] = /^Bearer +(\S+)$/i.exec(authorization) ?? []
  if (given === undefined) return 'malformed'
  return timingSafeEqual(sha256(given), sha256(token)) ? undefined : 'wrong_token'
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
