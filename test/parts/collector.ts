/**
 * The real OpenTelemetry Collector: built once by the project's own builder from a manifest in `collector-config/`
 * (about two minutes), found in the cache afterwards, started on free loopback ports.
 */

import { copyFileSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { requireTool, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort } from './process.ts'
import { answers, OwnedServer } from './server.ts'

/** A build of the collector: its manifest, and what is made of it. */
interface Build {
  readonly part: string
  readonly manifest: string
  readonly version: string
  readonly binary: string
}

const builds = {
  plain: { part: 'collector', manifest: 'builder.yaml', version: '0.161.0', binary: 'otelcol-audit' },
  kafka: { part: 'collector-kafka', manifest: 'builder-kafka.yaml', version: '0.155.0', binary: 'otelcol-audit-kafka' },
} as const satisfies Record<string, Build>

/** `kafka` is the one for `gateway-kafka.yaml`; every other configuration is for `plain`. */
export type CollectorBuild = keyof typeof builds

const readyMsMax = 20_000

/** The configurations that ship with the package. */
export const collectorConfigDirectory = join(import.meta.dirname, '../../collector-config')

function collectorDirectory({ part, manifest, version }: Build): string {
  return partDirectory(part, version, readFileSync(join(collectorConfigDirectory, manifest), 'utf8'))
}

/** Path of the collector's binary, or `undefined` where `npm run parts` has not built it. */
export function collectorBinary(which: CollectorBuild = 'plain'): string | undefined {
  const binary = join(collectorDirectory(builds[which]), builds[which].binary)
  return existsSync(binary) ? binary : undefined
}

/** Why a test that needs the collector is skipped where the part is absent. */
export const collectorAbsent = 'the collector is not built: npm run parts -- collector'
/** The same for the one of `gateway-kafka.yaml`. */
export const kafkaCollectorAbsent = 'the collector for Kafka is not built: npm run parts -- collector-kafka'

export interface BuildOptions {
  readonly which?: CollectorBuild
  readonly onProgress?: (line: string) => void
}

/** Builds the collector unless the cache holds it, and returns its path. Throws MissingToolError without Go. */
export async function buildCollector({ which = 'plain', onProgress = () => {} }: BuildOptions = {}): Promise<string> {
  const { manifest, version, binary } = builds[which]
  const directory = collectorDirectory(builds[which])
  await installOnce(directory, async (workshop) => {
    requireTool('go', ['version'], 'the collector: its tests and the collector of the demo')
    // No C compiler is needed, and the same sources give the same binary everywhere.
    const env = { ...process.env, GOBIN: join(workshop, 'bin'), CGO_ENABLED: '0' }
    onProgress('installing the builder (30 s)')
    await runStep('go', ['install', `go.opentelemetry.io/collector/cmd/builder@v${version}`], {
      cwd: workshop,
      env,
      onProgress,
    })
    onProgress('building the collector (100 s)')
    cpSync(join(collectorConfigDirectory, manifest), join(workshop, 'builder.yaml'))
    await runStep(join(workshop, 'bin/builder'), ['--config', 'builder.yaml'], { cwd: workshop, env, onProgress })
    copyFileSync(join(workshop, 'collector', binary), join(workshop, binary))
    for (const leftover of ['bin', 'collector']) rmSync(join(workshop, leftover), { recursive: true, force: true })
  })
  return join(directory, binary)
}

export interface CollectorOptions {
  /** Path of a configuration, or the name of one in `collector-config/`. */
  readonly config: string
  /** Variables for the configuration. Ports are chosen unless AUDIT_COLLECTOR_LISTEN and _HEALTH are given. */
  readonly env?: Readonly<Record<string, string>>
  /** Where its log goes: `collector.log`. */
  readonly dir: string
  readonly which?: CollectorBuild
  /** More arguments, such as a feature gate. */
  readonly args?: readonly string[]
}

export interface RunningCollector {
  /** OTLP/HTTP base URL. */
  readonly url: string
  readonly pid: number
  /** Ends it in order: buffers are written, connections closed. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

/** Starts the collector and resolves when its health check answers; throws with the end of its log otherwise. */
export async function startCollector(options: CollectorOptions): Promise<RunningCollector> {
  const binary = collectorBinary(options.which)
  if (binary === undefined) throw new Error(options.which === 'kafka' ? kafkaCollectorAbsent : collectorAbsent)
  const listen = options.env?.AUDIT_COLLECTOR_LISTEN ?? `127.0.0.1:${await freePort()}`
  const health = options.env?.AUDIT_COLLECTOR_HEALTH ?? `127.0.0.1:${await freePort()}`
  const config = existsSync(options.config) ? options.config : join(collectorConfigDirectory, options.config)
  const server = new OwnedServer({
    name: 'the collector',
    dir: options.dir,
    log: 'collector.log',
    command: binary,
    args: ['--config', config, ...(options.args ?? [])],
    env: { ...process.env, ...options.env, AUDIT_COLLECTOR_LISTEN: listen, AUDIT_COLLECTOR_HEALTH: health },
    readyMsMax,
    isReady: () => answers(`http://${health}/`),
  })
  await server.start()
  return { url: `http://${listen}`, pid: server.pid, stop: () => server.stop(), kill: () => server.kill() }
}
