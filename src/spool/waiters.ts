/** Who waits for durability, on the application thread, in order of sequence: a message resolves a prefix. */

interface Waiter {
  readonly sequence: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Waiters {
  #waiters: Waiter[] = []

  get isEmpty(): boolean {
    return this.#waiters.length === 0
  }

  /** Resolves when the record of this sequence is durable. */
  add(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let at = this.#waiters.length
      while (at > 0 && (this.#waiters[at - 1]?.sequence ?? 0) > sequence) at -= 1
      const waiter = { sequence, resolve, reject }
      if (at === this.#waiters.length) this.#waiters.push(waiter)
      else this.#waiters.splice(at, 0, waiter)
    })
  }

  resolveBelow(nextSequence: number): void {
    let count = 0
    while (count < this.#waiters.length && (this.#waiters[count]?.sequence ?? nextSequence) < nextSequence) count += 1
    for (const waiter of this.#waiters.splice(0, count)) waiter.resolve()
  }

  rejectAll(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }
}
