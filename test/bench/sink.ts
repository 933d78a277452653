/**
 * Where the contenders send: the real collector, configured to count and discard, or, where that part is not built, a
 * local HTTP server that does the same.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { collectorBinary, startCollector } from '../parts/collector.ts'
import { freePort } from '../parts/process.ts'
import { countLogRecords } from './otlp-count.ts'

export interface Sink {
  /** OTLP/HTTP base URL. */
  readonly url: string
  /** One sentence for the report. */
  readonly description: string
  /** How many log records have arrived since it was started. */
  count(): Promise<number>
  stop(): Promise<void>
}

/** Starts the collector, or the substitute where the collector is absent or not wanted. */
export async function startSink(directory: string, options: { collector: boolean }): Promise<Sink> {
  return options.collector && collectorBinary() !== undefined ? startCollectorSink(directory) : startHttpSink()
}

async function startCollectorSink(directory: string): Promise<Sink> {
  const metricsPort = String(await freePort())
  const config = join(import.meta.dirname, 'collector-discard.yaml')
  const collector = await startCollector({ config, dir: directory, env: { AUDIT_COLLECTOR_METRICS: metricsPort } })
  return {
    url: collector.url,
    description: 'The sink is a real OpenTelemetry Collector on the same machine, which parses, counts and discards.',
    async count() {
      const answer = await fetch(`http://127.0.0.1:${metricsPort}/metrics`)
      return readSentRecords(await answer.text())
    },
    stop: () => collector.stop(),
  }
}

function readSentRecords(metrics: string): number {
  const samples = [...metrics.matchAll(/^otelcol_exporter_sent_log_records(?:_total)?(?:\{[^}]*\})? (\S+)$/gm)]
  return samples.reduce((sum, [, value]) => sum + Number(value), 0)
}

async function startHttpSink(): Promise<Sink> {
  let records = 0
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const mediaType = request.headers['content-type'] ?? ''
    records += countLogRecords(Buffer.concat(chunks), mediaType)
    response.setHeader('Content-Type', mediaType)
    response.end(mediaType.includes('json') ? '{}' : '')
  }
  const server = createServer((request, response) => {
    receive(request, response).catch((thrown: unknown) =>
      response.destroy(thrown instanceof Error ? thrown : undefined),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    url: `http://127.0.0.1:${address.port}`,
    description: 'The sink is a local HTTP server in place of a collector: it counts and discards.',
    count: () => Promise.resolve(records),
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
