/** How long the sendings to a destination took, successful or not: a histogram of one thread, read as a copy. */

/** Upper bounds, in seconds; what took longer is only in the total. */
const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export interface SendHistogram {
  /** Cumulative, as Prometheus has it. */
  readonly buckets: readonly { readonly upToSeconds: number; readonly count: number }[]
  readonly count: number
  readonly sumSeconds: number
}

export class SendTimes {
  readonly #counts = bounds.map(() => 0)
  #count = 0
  #sumMs = 0

  observe(ms: number): void {
    this.#count += 1
    this.#sumMs += ms
    for (const [at, bound] of bounds.entries()) if (ms <= bound * 1_000) this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  read(): SendHistogram {
    const buckets = bounds.map((upToSeconds, at) => ({ upToSeconds, count: this.#counts[at] ?? 0 }))
    return { buckets, count: this.#count, sumSeconds: this.#sumMs / 1_000 }
  }
}
