/** Clocks that stand still until the test moves them; timers are called on the way. */

import type { TestContext } from 'node:test'
import { useClocks } from '../../src/clock.ts'

interface Timer {
  readonly atMs: number
  readonly call: () => void
}

export class FakeTime {
  #nowMs: number
  readonly #startMs: number
  readonly #timers = new Set<Timer>()

  constructor(startMs = Date.parse('2026-11-22T12:00:00Z')) {
    this.#nowMs = startMs
    this.#startMs = startMs
  }

  get nowMs(): number {
    return this.#nowMs
  }

  get hasTimers(): boolean {
    return this.#timers.size > 0
  }

  /** Puts these clocks in the place of the machine's; the returned function takes that back. */
  use(): () => void {
    return useClocks({
      wallMs: () => this.#nowMs,
      monotonicMs: () => this.#nowMs - this.#startMs,
      after: (delayMs, call) => {
        const timer = { atMs: this.#nowMs + delayMs, call }
        this.#timers.add(timer)
        return () => void this.#timers.delete(timer)
      },
    })
  }

  /** Lets time pass, and calls what is due in its order. */
  pass(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((one, other) => one.atMs - other.atMs)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.call()
    }
    this.#nowMs = untilMs
  }

  /** Lets time pass while the event loop stands still. */
  stall(ms: number): void {
    this.#nowMs += ms
  }

  /** The process is gone, and its timers with it. */
  forgetTimers(): void {
    this.#timers.clear()
  }
}

/** For one test. */
export function fakeTime(t: TestContext): FakeTime {
  const time = new FakeTime()
  t.after(time.use())
  return time
}
