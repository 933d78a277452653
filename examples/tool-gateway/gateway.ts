/**
 * The gateway: calls tools for its users, and audits each call. This is the part to copy: one line opens the trail, all
 * settings stand in the environment, such as one of the files of ../configurations. Says `stream ID` and `listening URL`,
 * and at its end `report JSON`, on standard output.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks'
import { text } from 'node:stream/consumers'
import { createAuditFromEnv, type Receipt } from 'otel-audit'
import { eventOf, type ToolCall } from './tools.ts'

/** What the gateway knows of its own auditing. */
export interface GatewayReport {
  /** Receipts by their status, and those of suppressed events by the rule. */
  readonly receipts: Readonly<Record<string, number>>
  readonly rules: Readonly<Record<string, number>>
  /** What a request spends in `emit`, and what one that must not go unrecorded waits in `emitRequired`. */
  readonly emit: Latency
  readonly required: Latency
  readonly closeMs: number
}

export interface Latency {
  readonly calls: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const audit = createAuditFromEnv()

const { stream } = audit.state
const receipts: Record<string, number> = {}
const rules: Record<string, number> = {}
const emitTimes = createHistogram()
const requiredTimes = createHistogram()

/** A deletion waits for its record: until it is on disk, or with AUDIT_TRAIL_ASYNC=false until the database has it. */
const mustBeRecorded = new Set(['delete'])

const server = createServer(async (request, response) => {
  const event = eventOf(await readCall(request))
  if (event === undefined) return void response.writeHead(404).end()
  try {
    const started = performance.now()
    if (mustBeRecorded.has(event.operation ?? '')) {
      count(await audit.emitRequired(event))
      record(requiredTimes, started)
    } else {
      count(audit.emit(event))
      record(emitTimes, started)
    }
    response.writeHead(event.outcome === 'denied' ? 403 : 200).end('{}')
  } catch {
    response.writeHead(503).end() // it could not be recorded, so it is not done
  }
})

async function readCall(request: IncomingMessage): Promise<ToolCall> {
  return JSON.parse(await text(request)) as ToolCall
}

function count(receipt: Receipt): void {
  receipts[receipt.status] = (receipts[receipt.status] ?? 0) + 1
  if (receipt.status === 'suppressed') rules[receipt.rule] = (rules[receipt.rule] ?? 0) + 1
}

function record(times: RecordableHistogram, started: number): void {
  times.record(Math.max(1, Math.round((performance.now() - started) * 1e6)))
}

function latency(times: RecordableHistogram): Latency {
  const ms = (percentile: number) => (times.count === 0 ? 0 : times.percentile(percentile) / 1e6)
  return { calls: times.count, p50Ms: ms(50), p99Ms: ms(99) }
}

process.once('SIGTERM', async () => {
  server.close()
  server.closeIdleConnections()
  await once(server, 'close')
  const started = performance.now()
  // Whatever still waits in the buffer goes to the database now.
  await audit.close()
  const closeMs = performance.now() - started
  const times = { emit: latency(emitTimes), required: latency(requiredTimes) }
  const report: GatewayReport = { receipts, rules, ...times, closeMs }
  process.stdout.write(`report ${JSON.stringify(report)}\n`, () => process.exit(0))
})

// As many users may connect at the same moment.
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it has no port')
  console.log(`stream ${stream}\nlistening http://127.0.0.1:${address.port}`)
})
