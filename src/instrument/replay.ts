/** What was seen within a window of time: what comes again is a replay. Bounded: the oldest go first. */

import { monotonicMs } from '../clock.ts'

export class ReplayWindow {
  readonly #seconds: number
  readonly #idsMax: number
  /** When each id was seen, oldest first. */
  readonly #seen = new Map<string, number>()

  constructor({ seconds = 600, idsMax = 100_000 }: { seconds?: number | undefined; idsMax?: number | undefined } = {}) {
    this.#seconds = seconds
    this.#idsMax = idsMax
  }

  /** Whether this id is new; from now on it is not. */
  isNew(id: string): boolean {
    const now = monotonicMs()
    for (const [known, at] of this.#seen) {
      if (at > now - this.#seconds * 1_000 && this.#seen.size < this.#idsMax) break
      this.#seen.delete(known)
    }
    if (this.#seen.has(id)) return false
    this.#seen.set(id, now)
    return true
  }
}
