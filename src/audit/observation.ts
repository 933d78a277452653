/**
 * How a trail is looked at from outside: its metrics on the user's registry, or on one of its own, and the HTTP servers
 * that show them. What strangers try there is an event of the trail. Never in the way of the trail: a port that is taken
 * is said, and nothing else follows.
 */

import { errorText } from '../errors.ts'
import {
  type AuthFailure,
  type HealthServer,
  isReachable,
  isScrapedRegistry,
  openHealthServer,
  type ScrapedRegistry,
} from './health-server.ts'
import { type MetricsRegistry, registerMetrics } from './metric.ts'
import { type MetricSources, metricDefinitions } from './metrics.ts'
import { announce, notice } from './notice.ts'
import { ownRegistry } from './own-registry.ts'

/** Where metrics and health are shown, and who may read them. */
export interface ServeOptions {
  /** `HOST:PORT`, or a port of 127.0.0.1; port 0 takes a free one. Default: `metrics.listen`, else 127.0.0.1:9464. */
  readonly listen?: string | undefined
  /** What a scraper must show as a bearer token. Default: `metrics.token`. */
  readonly token?: string | undefined
}

export interface ObservationParts {
  readonly settings: ServeOptions & { readonly registry: MetricsRegistry | undefined }
  readonly sources: MetricSources
  readonly emit: (event: AuthFailure) => void
}

const listenDefault = '127.0.0.1:9464'

export class Observation {
  readonly #parts: ObservationParts
  readonly #removals: (() => void)[] = []
  readonly #servers: HealthServer[] = []
  /** What is shown where the user has no registry; made when it is first asked for. */
  #own: Promise<ScrapedRegistry> | undefined
  #isClosed = false

  /** Throws `INVALID_OPTION` where the registry has such metrics. Begins to listen where the settings say so. */
  constructor(parts: ObservationParts) {
    this.#parts = parts
    const { registry, listen } = parts.settings
    if (registry !== undefined) this.#register(registry)
    if (listen === undefined) return
    this.serve().catch((thrown) => announce(`metrics and health are not shown: ${errorText(thrown)}`))
  }

  /** Resolves when it listens; rejects with `INVALID_OPTION` where that cannot be. */
  async serve(options: ServeOptions = {}): Promise<HealthServer> {
    const { settings, sources, emit } = this.#parts
    const { listen = settings.listen ?? listenDefault, token = settings.token } = options
    const server = await openHealthServer({
      listen,
      setting: 'metrics.listen',
      token,
      registry: await this.#scraped(),
      reasons: () => sources.state().reasons,
      refused: emit,
    })
    this.#servers.push(server)
    if (this.#isClosed) await server.close()
    if (token === undefined && isReachable(listen)) notice(openText(listen))
    return server
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#servers.map((server) => server.close()))
    for (const remove of this.#removals.splice(0)) remove()
  }

  #scraped(): Promise<ScrapedRegistry> | ScrapedRegistry {
    const { registry } = this.#parts.settings
    if (registry !== undefined && isScrapedRegistry(registry)) return registry
    this.#own ??= ownRegistry().then((own) => {
      this.#register(own)
      return own
    })
    return this.#own
  }

  #register(registry: MetricsRegistry): void {
    this.#removals.push(registerMetrics(registry, metricDefinitions, this.#parts.sources))
  }
}

/** Said once where anybody may read what is told there. */
export function openText(listen: string): string {
  return `metrics at ${listen} can be read from other machines: metrics.token is not set`
}
