/**
 * What was recorded and what was not, counted for metrics: events by action and outcome, suppressed events by rule.
 * Bounded: an action is a label only when it was named beforehand, because actions come from the application and may
 * hold anything; there are as many rules as the policy has.
 */

import type { Outcome } from '../event/event.ts'

/** The label of every action that was not named. */
const otherActions = '_other'
const outcomes = ['success', 'failure', 'denied', 'unknown'] as const

export interface RecordedCount {
  readonly action: string
  readonly outcome: Outcome
  readonly count: number
}

type ByOutcome = Record<Outcome, number>

export class EventCounts {
  readonly #recorded: ReadonlyMap<string, ByOutcome>
  readonly #other: ByOutcome = noneYet()
  readonly #suppressed = new Map<string, number>()

  constructor(actions: readonly string[]) {
    this.#recorded = new Map(actions.map((action) => [action, noneYet()]))
  }

  /** An event is in the spool; without an outcome it counts as `unknown`. */
  countRecorded(action: string, outcome: Outcome | undefined): void {
    const counts = this.#recorded.get(action) ?? this.#other
    counts[outcome ?? 'unknown'] += 1
  }

  countSuppressed(rule: string): void {
    this.#suppressed.set(rule, (this.#suppressed.get(rule) ?? 0) + 1)
  }

  /** Every pair that has occurred. */
  recorded(): RecordedCount[] {
    return [...this.#recorded, [otherActions, this.#other] as const].flatMap(([action, counts]) =>
      outcomes.map((outcome) => ({ action, outcome, count: counts[outcome] })).filter(({ count }) => count > 0),
    )
  }

  suppressed(): { readonly rule: string; readonly count: number }[] {
    return [...this.#suppressed].map(([rule, count]) => ({ rule, count }))
  }
}

function noneYet(): ByOutcome {
  return { success: 0, failure: 0, denied: 0, unknown: 0 }
}
