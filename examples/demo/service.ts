/**
 * A small HTTP service that audits what it does. This is the part to copy: open the trail, emit one event for each
 * request inside the request's span, close the trail before the process ends.
 * Prints its URL as the only line of standard output.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { createAudit, type DestinationOptions } from 'otel-audit'
import { type Act, type Call, perform } from './billing.ts'
import { inServerSpan, startTracing } from './tracing.ts'

const { DEMO_SPOOL = 'audit-spool', DEMO_KEY = 'audit.key', DEMO_FILE = 'audit.ndjson' } = process.env
const { DEMO_POSTGRES, DEMO_COLLECTOR } = process.env

const responseMs = 3

const destinations: DestinationOptions[] = [{ type: 'file', path: DEMO_FILE }]
if (DEMO_POSTGRES) destinations.push({ type: 'postgres', url: DEMO_POSTGRES })
if (DEMO_COLLECTOR) destinations.push({ type: 'otlp', endpoint: DEMO_COLLECTOR })

const audit = createAudit({
  service: 'billing',
  deployment: 'demo',
  spool: { directory: DEMO_SPOOL },
  keys: { signingKeyFile: DEMO_KEY },
  policy: { level: 'writes_only' },
  destinations,
  closeTimeoutMs: 60_000,
})

startTracing()
const server = createServer((request, response) => {
  inServerSpan(`${request.method} ${request.url}`, request.headers, () => serve(request, response)).catch((error) => {
    response.destroy(error)
  })
})

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const act = perform(await readCall(request))
  // On disk when this returns: whatever the client hears below, the trail has it already.
  const receipt = audit.emit({ ...act.event, request: requestOf(request, act) })
  await delay(responseMs) // a real request has more to wait for, which is where a crash finds it
  response.writeHead(act.status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ ...act.answer, receipt }))
}

async function readCall(request: IncomingMessage): Promise<Call> {
  const { method = '', url = '', headers } = request
  const body = await text(request)
  const form = body === '' ? {} : (JSON.parse(body) as Call['form'])
  return { method, path: url, authorization: headers.authorization, form }
}

function requestOf({ method, headers, socket }: IncomingMessage, { route, status }: Act) {
  return { method, route, status, source_ip: socket.remoteAddress, user_agent: headers['user-agent'] }
}

process.once('SIGTERM', async () => {
  server.close()
  await once(server, 'close')
  // Seals the end of the stream, signs it, and waits until every destination has confirmed the last record.
  await audit.close()
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`)
})
