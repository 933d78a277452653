/** How a destination stands in this run: what it has, what it refused, and whether and since when it fails. */

import type { StoredRecord } from '../event/record.ts'
import { scanRecord } from '../event/record-scan.ts'
import type { Pace } from './pace.ts'
import { type SendHistogram, SendTimes } from './send-times.ts'

/**
 * `failing`: the last try failed. `refused`: a record is refused by itself, and everything behind it waits. `elsewhere`:
 * another process delivers, and what is known is how far it is.
 */
export type ForwarderCondition = 'ok' | 'failing' | 'refused' | 'elsewhere'

export interface ForwarderState {
  readonly name: string
  readonly condition: ForwarderCondition
  /** The last confirmed record of this run. */
  readonly confirmed: { readonly stream: string; readonly sequence: number } | undefined
  /** Records delivered in this run. */
  readonly delivered: number
  /** Records set aside in this run: the destination refuses them for ever. */
  readonly quarantined: number
  /** Sendings that did not deliver, in this run. */
  readonly failures: number
  readonly backlog: number | undefined
  /** When the oldest record was sealed that is read and not confirmed: RFC 3339; absent where there is none. */
  readonly oldest?: string | undefined
  /** How long sendings took in this run; absent where another process delivers. */
  readonly sendTimes?: SendHistogram | undefined
  /** Why the last try failed; absent when the condition is `ok`. */
  readonly lastError?: string | undefined
  /** Since when the condition is not `ok`, milliseconds since the epoch. */
  readonly since?: number | undefined
  /** When it is tried again, milliseconds since the epoch; absent when the condition is `ok`. */
  readonly nextTry?: number | undefined
}

export interface StandingParts {
  readonly name: string
  readonly pace: Pick<Pace, 'nowMs' | 'monotonicMs'>
  readonly backlog: () => number | undefined
  /** The oldest record that is read and not confirmed. */
  readonly oldest: () => StoredRecord | undefined
  /** Called once when the condition changes: at the first failure, not at each, and at recovery. */
  readonly onChange: (state: ForwarderState) => void
}

export class Standing {
  readonly #parts: StandingParts
  #condition: ForwarderCondition = 'ok'
  #lastError: string | undefined
  #since: number | undefined
  #nextTry: number | undefined
  #confirmed: ForwarderState['confirmed']
  #delivered = 0
  #quarantined = 0
  #failures = 0
  readonly #sendTimes = new SendTimes()

  constructor(parts: StandingParts) {
    this.#parts = parts
  }

  /** Records that are behind us in this run, wherever they went. */
  get passed(): number {
    return this.#delivered + this.#quarantined
  }

  state(): ForwarderState {
    return {
      name: this.#parts.name,
      condition: this.#condition,
      confirmed: this.#confirmed,
      delivered: this.#delivered,
      quarantined: this.#quarantined,
      failures: this.#failures,
      backlog: this.#parts.backlog(),
      oldest: sealedAt(this.#parts.oldest()),
      sendTimes: this.#sendTimes.read(),
      lastError: this.#lastError,
      since: this.#since,
      nextTry: this.#nextTry,
    }
  }

  /** The destination has these records, or they were set aside; either way it takes records again. */
  pass(records: readonly StoredRecord[], fate: 'delivered' | 'quarantined'): void {
    const last = records.at(-1)
    if (last !== undefined) this.#confirmed = { stream: last.stream, sequence: last.sequence }
    if (fate === 'delivered') this.#delivered += records.length
    else this.#quarantined += records.length
    this.enter('ok')
  }

  /** So many sendings did not deliver. */
  countFailures(count: number): void {
    this.#failures += count
  }

  /** Sends, and counts how long that took, whatever came of it. */
  async time<Result>(send: () => Promise<Result>): Promise<Result> {
    const { pace } = this.#parts
    const startedMs = pace.monotonicMs()
    try {
      return await send()
    } finally {
      this.#sendTimes.observe(pace.monotonicMs() - startedMs)
    }
  }

  enter(condition: ForwarderCondition, trouble?: { readonly reason: string; readonly retryMs: number }): void {
    this.#lastError = trouble?.reason
    this.#nextTry = trouble === undefined ? undefined : this.#parts.pace.nowMs() + trouble.retryMs
    if (condition === this.#condition) return
    this.#condition = condition
    this.#since = condition === 'ok' ? undefined : this.#parts.pace.nowMs()
    this.#parts.onChange(this.state())
  }
}

function sealedAt(record: StoredRecord | undefined): string | undefined {
  return record && scanRecord(record.bytes)?.recorded
}
