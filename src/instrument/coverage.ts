/**
 * Shows that no call of an instrumented client went by without a record: for tests, which end with `assertComplete()`.
 * A call counts as recorded when its record was written, and not when policy suppressed it or nobody described it.
 */

import type { Receipt } from '../audit/receipt.ts'

/** A method whose calls left no record. */
export interface Uncovered {
  readonly method: string
  /** `not described`, `suppressed by RULE`, `emergency: REASON`. */
  readonly why: string
  readonly calls: number
}

export class CallCoverage {
  #calls = 0
  readonly #uncovered = new Map<string, Uncovered>()

  /** A call has ended; without a receipt nothing was emitted for it. */
  note(method: string, receipt: Receipt | undefined): void {
    this.#calls += 1
    const why = whyUncovered(receipt)
    if (why === undefined) return
    const key = `${method} ${why}`
    this.#uncovered.set(key, { method, why, calls: (this.#uncovered.get(key)?.calls ?? 0) + 1 })
  }

  /** Every call that was seen, recorded or not. */
  get calls(): number {
    return this.#calls
  }

  get uncovered(): readonly Uncovered[] {
    return [...this.#uncovered.values()]
  }

  /** Throws when a call left no record, and when there was none at all, which shows nothing. */
  assertComplete(): void {
    if (this.#calls === 0) throw new Error('no instrumented call was made: that shows nothing')
    if (this.#uncovered.size === 0) return
    const lines = this.uncovered.map(({ method, why, calls }) => `${method}: ${calls} × ${why}`)
    throw new Error(`calls without a record:\n${lines.join('\n')}`)
  }
}

function whyUncovered(receipt: Receipt | undefined): string | undefined {
  if (receipt === undefined) return 'not described'
  if (receipt.status === 'suppressed') return `suppressed by ${receipt.rule}`
  return receipt.status === 'emergency' ? `emergency: ${receipt.reason}` : undefined
}
