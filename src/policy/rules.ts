/**
 * Ordered rules: the first that matches an event decides. A pattern is a text, or a beginning followed by `*`; all
 * conditions of a rule must hold, and a condition holds when one of its patterns does. What the event does not say
 * matches no pattern. Each rule is filed under one of its conditions, so that rules which cannot match cost nothing.
 */

import type { Operation, Outcome } from '../event/event.ts'

/** What a rule does: record whole and unsampled, do not record, or record without `details` and `changes`. */
export const effects = ['keep', 'drop', 'metadata'] as const

export type Effect = (typeof effects)[number]

type OneOrMore<T> = T | readonly T[]

/** Conditions of a rule. Of the free texts, each may end in `*`. */
export interface RuleConditions {
  readonly action?: OneOrMore<string> | undefined
  readonly operation?: OneOrMore<Operation> | undefined
  /** `actor.id`. */
  readonly actor?: OneOrMore<string> | undefined
  /** `actor.type`. */
  readonly actorType?: OneOrMore<string> | undefined
  readonly tenant?: OneOrMore<string> | undefined
  /** `resource_type` of the target. */
  readonly target?: OneOrMore<string> | undefined
  readonly targetId?: OneOrMore<string> | undefined
  readonly outcome?: OneOrMore<Outcome> | undefined
}

export interface PolicyRule {
  /** Names the rule in receipts, counts and metrics, as `rule:ID`. */
  readonly id: string
  readonly effect: Effect
  /** Absent: every event. */
  readonly when?: RuleConditions | undefined
}
