/** Wakes those who wait for something to do, so that they need not look again and again while there is nothing. */

export class Bell {
  readonly #waiting = new Set<() => void>()

  /** Wakes whoever waits now; a ring that nobody waits for is not kept. */
  ring(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Resolves at the next ring, or when the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const rung = Promise.withResolvers<void>()
    const wake = () => rung.resolve()
    this.#waiting.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    await rung.promise
    signal.removeEventListener('abort', wake)
    this.#waiting.delete(wake)
  }
}
