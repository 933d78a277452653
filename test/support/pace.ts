/** Time that a test moves itself. */

import { EventEmitter, once } from 'node:events'
import type { Pace } from '../../src/forward/pace.ts'

interface Sleeper {
  readonly untilMs: number
  readonly ms: number
  wake(): void
}

export class FakePace implements Pace {
  readonly #changes = new EventEmitter()
  #elapsedMs = 0
  #sleepers: Sleeper[] = []
  /** What `random` returns: 1 makes full jitter the whole delay. */
  luck = 1

  nowMs(): number {
    return 1_700_000_000_000 + this.#elapsedMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  random(): number {
    return this.luck
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const sleeper = { untilMs: this.#elapsedMs + ms, ms, wake }
      signal.addEventListener('abort', wake)
      this.#sleepers.push(sleeper)
      this.#changes.emit('sleep')
    })
  }

  /** How long each sleeper sleeps, in milliseconds. */
  get sleeping(): readonly number[] {
    return this.#sleepers.map((sleeper) => sleeper.ms)
  }

  /** Waits until somebody sleeps, and returns for how long. */
  async untilAsleep(): Promise<number> {
    if (this.#sleepers.length === 0) await once(this.#changes, 'sleep')
    return this.#sleepers.at(-1)?.ms ?? 0
  }

  advance(ms: number): void {
    this.#elapsedMs += ms
    for (const sleeper of [...this.#sleepers]) if (sleeper.untilMs <= this.#elapsedMs) sleeper.wake()
  }
}
