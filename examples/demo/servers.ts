/**
 * The real parts around the service: PostgreSQL with our schema, and the OpenTelemetry Collector, built on first use.
 * Each one stops with the stack that it was put on, and at the latest with this process.
 */

import { join } from 'node:path'
import { buildCollector, collectorBinary, type RunningCollector, startCollector } from '../../test/parts/collector.ts'
import { queryOnce, startPostgres } from '../../test/support/postgres.ts'
import { otelAudit } from './command-line.ts'
import type { Story } from './story.ts'

/** Starts PostgreSQL and brings it to our schema; gives its URL. Its files stay in `keepIn`, if given. */
export async function startDatabase(servers: AsyncDisposableStack, keepIn: string | undefined): Promise<string> {
  const postgres = await startPostgres({ dir: keepIn })
  servers.defer(() => postgres.stop())
  await otelAudit(['migrate', 'up'], { env: { AUDIT_POSTGRES_URL: postgres.url } })
  return postgres.url
}

export async function databaseVersion(url: string): Promise<string> {
  const [row] = await queryOnce(url, 'show server_version')
  return String(row?.server_version)
}

/** Builds the collector unless the cache has it. `false`, with the reason told, when it cannot be had here. */
export async function prepareCollector(story: Story): Promise<boolean> {
  if (collectorBinary() !== undefined) return true
  story.say('The OpenTelemetry Collector is built once, which takes about two minutes (--no-collector skips it) …')
  try {
    await buildCollector({ onProgress: (line) => story.say(`  ${line}`) })
    return true
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    story.say(`Going on WITHOUT the collector: ${reason}`)
    return false
  }
}

/** Starts the collector, writing what it receives to `collector.jsonl` in `dir`. */
export async function startFileCollector(servers: AsyncDisposableStack, dir: string): Promise<RunningCollector> {
  const env = { AUDIT_COLLECTOR_FILE: join(dir, 'collector.jsonl') }
  const collector = await startCollector({ config: 'sidecar-file.yaml', dir, env })
  servers.defer(() => collector.stop())
  return collector
}
