/**
 * What was recorded, counted for metrics by action and outcome. Bounded: an action is a label only when it was named
 * beforehand, because actions come from the application and may hold anything.
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

  constructor(actions: readonly string[]) {
    this.#recorded = new Map(actions.map((action) => [action, noneYet()]))
  }

  /** An event is in the spool; without an outcome it counts as `unknown`. */
  countRecorded(action: string, outcome: Outcome | undefined): void {
    const counts = this.#recorded.get(action) ?? this.#other
    counts[outcome ?? 'unknown'] += 1
  }

  /** Every pair that has occurred. */
  recorded(): RecordedCount[] {
    return [...this.#recorded, [otherActions, this.#other] as const].flatMap(([action, counts]) =>
      outcomes.map((outcome) => ({ action, outcome, count: counts[outcome] })).filter(({ count }) => count > 0),
    )
  }
}

function noneYet(): ByOutcome {
  return { success: 0, failure: 0, denied: 0, unknown: 0 }
}
