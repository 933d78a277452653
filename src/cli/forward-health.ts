/**
 * Metrics and health of `otel-audit forward`, over the same HTTP server as an application's. Not ready means that somebody
 * should look: what mends itself within a minute is not told, and waiting for another process that delivers is ready.
 */

import type { AuditConfig } from '../audit/config.ts'
import { type AuthFailure, type HealthServer, isReachable, openHealthServer } from '../audit/health-server.ts'
import { type MetricDefinition, registerMetrics } from '../audit/metric.ts'
import { notice } from '../audit/notice.ts'
import { openText } from '../audit/observation.ts'
import { ownRegistry } from '../audit/own-registry.ts'
import { nowMs } from '../clock.ts'
import type { SidecarState } from '../forward/sidecar.ts'
import type { ForwarderState } from '../forward/standing.ts'
import type { CommandIo } from './command.ts'

/** How long a trouble may last before it counts. */
const graceMs = 60_000

export interface ForwardHealthParts<Sources> {
  /** `--listen`; without it `AUDIT_METRICS_LISTEN` counts, and without that nothing is shown. */
  readonly listen: string | undefined
  readonly config: AuditConfig
  readonly json: boolean
  readonly io: CommandIo
  readonly definitions: readonly MetricDefinition<Sources>[]
  readonly sources: Sources
  readonly reasons: () => readonly string[]
  /** Records that somebody was refused. */
  readonly refused: (event: AuthFailure) => void
}

/** A line that `forward --json` prints once metrics and health are answered. */
export interface ListeningLine {
  readonly event: 'listening'
  readonly url: string
}

/** Listens, where that is wanted, and says where. Rejects with `INVALID_OPTION` where it cannot. */
export async function openForwardHealth<Sources>(
  parts: ForwardHealthParts<Sources>,
): Promise<HealthServer | undefined> {
  const { config, json, io, definitions, sources, reasons, refused } = parts
  const listen = parts.listen ?? io.env.AUDIT_METRICS_LISTEN // what a file says of it is the application's
  if (listen === undefined) return undefined
  const registry = await ownRegistry()
  registerMetrics(registry, definitions, sources)
  const { token } = config.metrics
  const server = await openHealthServer({ listen, setting: '--listen', token, registry, reasons, refused })
  if (token === undefined && isReachable(listen)) notice(openText(listen))
  const { url } = server
  if (json) io.stdout.write(`${JSON.stringify({ event: 'listening', url } satisfies ListeningLine)}\n`)
  else io.stderr.write(`otel-audit: metrics and health are at ${url}\n`)
  return server
}

/** Why a sidecar is not ready. */
export function reasonsAgainstSidecar(directory: string, spools: readonly SidecarState[]): string[] {
  if (spools.length === 0) return [`no spool was found yet in ${directory}`]
  return spools.flatMap((spool) => (spool.isDelivering ? troublesOf(spool.destinations, ` of ${spool.directory}`) : []))
}

/** What destinations have not taken for too long. */
export function troublesOf(destinations: readonly ForwarderState[], of = ''): string[] {
  const failing = destinations.filter(({ condition, since }) => condition !== 'ok' && isOverdue(since))
  return failing.map(({ name, lastError }) => `destination ${name}${of} takes nothing: ${lastError}`)
}

/** Whether something that began then has lasted too long. */
export function isOverdue(since: number | undefined): boolean {
  return since !== undefined && nowMs() - since >= graceMs
}
