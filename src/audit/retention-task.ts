/**
 * Retention in the background of a service: a round for each PostgreSQL destination soon after the start and then at an
 * interval. One process of a database runs at a time; the others find the lock taken and come back later. What goes wrong
 * is said and tried again: a trail never fails for it.
 */

import { checkArchive } from '../archive/location.ts'
import { afterMs, monotonicMs } from '../clock.ts'
import type { DestinationOptions } from '../destination/destination.ts'
import { errorText } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import type { AuditConfig } from './config.ts'
import type { RetentionCounts } from './metrics.ts'
import { notice } from './notice.ts'

/** The first round waits until the start is over. */
const firstMs = 10_000

export class RetentionTask {
  readonly #config: AuditConfig
  readonly #seal: (fact: ControlFact) => Promise<RecordNumber | undefined>
  readonly #stopping = new AbortController()
  #cancel: () => void
  #counts: RetentionCounts = { deleted: 0, rounds: 0, seconds: 0 }

  constructor(config: AuditConfig, seal: (fact: ControlFact) => Promise<RecordNumber | undefined>) {
    this.#config = config
    this.#seal = seal
    this.#cancel = afterMs(Math.min(firstMs, this.#intervalMs), () => void this.#round())
  }

  get counts(): RetentionCounts {
    return this.#counts
  }

  /** No further round begins, and the one under way stops after its step. */
  stop(): void {
    this.#stopping.abort()
    this.#cancel()
  }

  get #intervalMs(): number {
    return this.#config.retention.intervalMinutes * 60_000
  }

  async #round(): Promise<void> {
    for (const options of this.#config.destinations) {
      // One database after the other.
      if (options.type === 'postgres' && !this.#stopping.signal.aborted) await this.#retain(options)
    }
    if (!this.#stopping.signal.aborted) this.#cancel = afterMs(this.#intervalMs, () => void this.#round())
  }

  async #retain({ url, name = 'postgres' }: Extract<DestinationOptions, { type: 'postgres' }>): Promise<void> {
    const { days, batchRows, archive } = this.#config.retention
    const startedMs = monotonicMs()
    try {
      // Only here: a trail without a database needs no driver.
      const { retainOnce } = await import('./retention.ts')
      const round = { url, days, batchRows, archive, seal: this.#seal, signal: this.#stopping.signal }
      const report = await retainOnce(round)
      if (report === undefined) return
      const { deleted, rounds, seconds } = this.#counts
      const took = (monotonicMs() - startedMs) / 1_000
      this.#counts = { deleted: deleted + report.removed, rounds: rounds + 1, seconds: seconds + took }
      for (const { stream, reason } of report.refused) notice(`retention of ${name} leaves stream ${stream}: ${reason}`)
    } catch (thrown) {
      notice(`retention of ${name} could not finish and is tried again later: ${errorText(thrown)}`)
    }
  }
}

/** The background task of a trail, where it has a database and nobody has switched it off. */
export function startRetention(
  config: AuditConfig,
  seal: (fact: ControlFact) => Promise<RecordNumber | undefined>,
): RetentionTask | undefined {
  return isRetaining(config) ? new RetentionTask(config, seal) : undefined
}

/** Throws for an archive that no round could use. */
export function checkRetention(config: AuditConfig): void {
  const { archive } = config.retention
  if (isRetaining(config) && archive !== undefined) checkArchive(archive, 'retention.archive')
}

function isRetaining({ destinations, retention, isExternal }: AuditConfig): boolean {
  return retention.enabled && !isExternal && destinations.some(({ type }) => type === 'postgres')
}
