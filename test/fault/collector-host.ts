/** One collector of a fault test: keeps its ports, so that it can be killed and started again, and belongs to the lab. */

import { mkdirSync } from 'node:fs'
import { type CollectorOptions, type RunningCollector, startCollector } from '../parts/collector.ts'
import { freePort } from '../parts/process.ts'
import type { Lab } from './lab.ts'

export class CollectorHost {
  readonly #options: CollectorOptions
  #running: RunningCollector | undefined
  kills = 0

  private constructor(options: CollectorOptions) {
    this.#options = options
  }

  static async start(lab: Lab, options: Omit<CollectorOptions, 'dir'>): Promise<CollectorHost> {
    const dir = lab.path(`collector-${options.config}`)
    mkdirSync(dir, { recursive: true })
    const ports = {
      AUDIT_COLLECTOR_LISTEN: `127.0.0.1:${await freePort()}`,
      AUDIT_COLLECTOR_HEALTH: `127.0.0.1:${await freePort()}`,
    }
    const host = new CollectorHost({ ...options, dir, env: { ...ports, ...options.env } })
    lab.onDispose(() => host.#running?.kill())
    await host.start()
    return host
  }

  /** `127.0.0.1:port` */
  get address(): string {
    return this.variable('AUDIT_COLLECTOR_LISTEN')
  }

  /** What its configuration was given. */
  variable(name: string): string {
    return this.#options.env?.[name] ?? ''
  }

  get port(): number {
    return Number(this.address.split(':')[1])
  }

  async start(): Promise<void> {
    this.#running = await startCollector(this.#options)
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#running?.kill()
    this.kills += 1
  }
}
