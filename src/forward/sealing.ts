/**
 * Facts of delivery on their way to the application thread, which alone seals: a fact goes out with a number, and its
 * answer says whether it is durable in the trail.
 */

import type { DeliveryFact } from './quarantine.ts'

export class Sealing {
  readonly #post: (id: number, fact: DeliveryFact) => void
  readonly #waiting = new Map<number, (isSealed: boolean) => void>()
  #id = 0

  constructor(post: (id: number, fact: DeliveryFact) => void) {
    this.#post = post
  }

  /** Resolves to whether the fact is sealed and durable; to false when the signal aborts first. */
  async seal(fact: DeliveryFact, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    const id = ++this.#id
    const sealed = Promise.withResolvers<boolean>()
    const giveUp = () => sealed.resolve(false)
    this.#waiting.set(id, sealed.resolve)
    signal.addEventListener('abort', giveUp, { once: true })
    this.#post(id, fact)
    try {
      return await sealed.promise
    } finally {
      signal.removeEventListener('abort', giveUp)
      this.#waiting.delete(id)
    }
  }

  /** The application thread's answer. */
  answer(id: number, isSealed: boolean): void {
    this.#waiting.get(id)?.(isSealed)
  }
}
