/** Those who wait for records to be confirmed. Each waits for a count, or for the source to run dry. */

import { AuditError } from '../errors.ts'
import type { SealedRecord } from './quarantine-folder.ts'

/** One destination, and the record that it shall have; without this, every destination is meant. */
export interface FlushOnly {
  readonly name: string
  readonly record: SealedRecord
}

/**
 * `confirmed`: every destination that was meant has what was durable at the order. `quarantined`: the record that was
 * meant was refused for ever. `stopped`: a destination has stopped before.
 */
export type FlushOutcome = 'confirmed' | 'quarantined' | 'stopped'

interface Flush {
  /** Count of records behind us that satisfies it; without one, the source must run dry. */
  target: number
  resolve(): void
  reject(reason: Error): void
}

export class Flushes {
  #waiting: Flush[] = []
  #isStopped = false

  get count(): number {
    return this.#waiting.length
  }

  /**
   * Resolves when `backlog` more records than `passed` are behind us; an unknown backlog waits for a dry source. Rejects
   * with AuditError CLOSED when delivery stops, or has stopped, before.
   */
  add(passed: number, backlog: number | undefined): Promise<void> {
    if (this.#isStopped) return Promise.reject(stoppedError())
    if (backlog === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ target: passed + (backlog ?? Number.POSITIVE_INFINITY), resolve, reject })
    })
  }

  /**
   * Takes out those whose records are behind us, and the first `dry`, which were there when nothing was left; the
   * returned function, if there are any, resolves them.
   */
  take(dry: number, passed: number): (() => void) | undefined {
    const isSettled = (flush: Flush, index: number) => index < dry || passed >= flush.target
    const settled = this.#waiting.filter(isSettled)
    if (settled.length === 0) return undefined
    this.#waiting = this.#waiting.filter((flush) => !settled.includes(flush))
    return () => {
      for (const flush of settled) flush.resolve()
    }
  }

  /** Records are sent again that were counted before: everyone waits for a dry source. */
  postpone(): void {
    for (const flush of this.#waiting) flush.target = Number.POSITIVE_INFINITY
  }

  stop(): void {
    this.#isStopped = true
    for (const flush of this.#waiting.splice(0)) flush.reject(stoppedError())
  }
}

function stoppedError(): AuditError {
  return new AuditError('CLOSED', 'delivery stopped before everything was confirmed', {
    hint: 'What is not confirmed stays in the spool and is delivered after the next start.',
  })
}
