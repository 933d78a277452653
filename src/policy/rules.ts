/**
 * The rules of a policy as they are written: what they can say, and what is wrong with one. The first rule that matches
 * an event decides; a rule matches when all its conditions hold, and a condition holds when one of its patterns does.
 * How they are asked stands in `rule-index.ts`.
 */

import { type ActorType, actorTypes, type Operation, type Outcome, operations, outcomes } from '../event/event.ts'
import type { EventFacts } from '../event/facts.ts'
import { patternFault } from './patterns.ts'

/** What a rule does: record whole and never sample away, do not record, or record without `details` and `changes`. */
export const effects = ['keep', 'drop', 'metadata'] as const

export type Effect = (typeof effects)[number]

type OneOrMore<T> = T | readonly T[]

/** The conditions of a rule. Each free text may end in `*`. */
export interface RuleConditions {
  readonly action?: OneOrMore<string> | undefined
  /** Absent in an event, it counts as `other`. */
  readonly operation?: OneOrMore<Operation> | undefined
  /** `actor.id`. */
  readonly actor?: OneOrMore<string> | undefined
  /** `actor.type`. */
  readonly actorType?: OneOrMore<ActorType> | undefined
  readonly tenant?: OneOrMore<string> | undefined
  /** `resource_type` of the target; of several targets, one must match for `keep`, all for `drop` and `metadata`. */
  readonly target?: OneOrMore<string> | undefined
  /** `id` of the same target. */
  readonly targetId?: OneOrMore<string> | undefined
  /** Absent in an event, it counts as `unknown`. */
  readonly outcome?: OneOrMore<Outcome> | undefined
}

export interface PolicyRule {
  /** Names the rule in receipts, counts and metrics, as `rule:ID`. */
  readonly id: string
  readonly effect: Effect
  /** Absent: every event. */
  readonly when?: RuleConditions | undefined
}

export type Condition = keyof RuleConditions

/** The fact that each condition looks at, best to tell events apart by first. */
export const conditionFacts = {
  targetId: 'targetId',
  actor: 'actorId',
  tenant: 'tenant',
  action: 'action',
  target: 'targetType',
  actorType: 'actorType',
  outcome: 'outcome',
  operation: 'operation',
} as const satisfies Readonly<Record<Condition, keyof EventFacts>>

export const conditions = Object.keys(conditionFacts) as readonly Condition[]

const enumerations: Readonly<Record<string, readonly string[]>> = {
  operation: operations,
  outcome: outcomes,
  actorType: actorTypes,
}

/** Whether the condition takes known values only, without `*`. */
export function isEnumeration(condition: Condition): boolean {
  return Object.hasOwn(enumerations, condition)
}

/** The patterns of each condition that a rule has. */
export type RulePatterns = Readonly<Partial<Record<Condition, readonly string[]>>>

/** The conditions of a rule in one form: lists, sorted and without repetition. */
export function rulePatterns(when: RuleConditions = {}): RulePatterns {
  const given = conditions.flatMap((condition) => {
    const patterns = when[condition]
    return patterns === undefined ? [] : [[condition, [...new Set([patterns].flat())].sort()] as const]
  })
  return Object.fromEntries(given)
}

/** A setting that cannot be meant: its name, its value, and what is allowed instead. */
export interface PolicyFault {
  readonly setting: string
  readonly value: unknown
  readonly allowed: string
}

/** Everything that is wrong with rules, in their order. `setting` is where they stand, such as `policy.rules`. */
export function checkRules(rules: readonly PolicyRule[], setting = 'policy.rules'): PolicyFault[] {
  const ids = new Set<string>()
  return rules.flatMap((rule, index) => {
    const place = `${setting}[${index}]`
    const isRepeated = ids.has(rule.id)
    ids.add(rule.id)
    return [...checkId(rule.id, isRepeated, `${place}.id`), ...checkEffect(rule, place), ...checkWhen(rule.when, place)]
  })
}

/** Everything that is wrong with a list of patterns. */
export function checkPatterns(patterns: readonly string[], setting: string): PolicyFault[] {
  return patterns.flatMap((pattern, index) => {
    const allowed = typeof pattern === 'string' ? patternFault(pattern) : 'a text'
    return allowed === undefined ? [] : [{ setting: `${setting}[${index}]`, value: pattern, allowed }]
  })
}

const ruleId = /^[A-Za-z0-9_][\w.:-]{0,63}$/

function checkId(id: unknown, isRepeated: boolean, setting: string): PolicyFault[] {
  if (typeof id !== 'string' || !ruleId.test(id)) {
    return [{ setting, value: id, allowed: 'a name of 1 to 64 letters, digits and . _ : -' }]
  }
  return isRepeated ? [{ setting, value: id, allowed: 'a name of its own: an earlier rule has this one' }] : []
}

function checkEffect({ effect }: PolicyRule, place: string): PolicyFault[] {
  if (effects.includes(effect)) return []
  return [{ setting: `${place}.effect`, value: effect, allowed: effects.join(', ') }]
}

function checkWhen(when: RuleConditions | undefined, place: string): PolicyFault[] {
  if (when === undefined) return []
  const given = Object.entries(when).filter(([, patterns]) => patterns !== undefined)
  if (given.length === 0) {
    const allowed = 'at least one condition, or no `when` at all for a rule that matches every event'
    return [{ setting: `${place}.when`, value: when, allowed }]
  }
  return given.flatMap(([condition, patterns]) => checkCondition(condition, patterns, `${place}.when.${condition}`))
}

function checkCondition(condition: string, patterns: unknown, setting: string): PolicyFault[] {
  if (!Object.hasOwn(conditionFacts, condition)) {
    return [{ setting, value: patterns, allowed: `absent: a condition is one of ${[...conditions].sort().join(', ')}` }]
  }
  if (Array.isArray(patterns) && patterns.length === 0) {
    return [{ setting, value: patterns, allowed: 'at least one value' }]
  }
  const known = enumerations[condition]
  const list: readonly string[] = [patterns].flat() as string[]
  const faults =
    known === undefined
      ? checkPatterns(list, setting)
      : list
          .map((value, index) => ({ setting: `${setting}[${index}]`, value, allowed: known.join(', ') }))
          .filter(({ value }) => !known.includes(value))
  return Array.isArray(patterns) ? faults : faults.map((fault) => ({ ...fault, setting }))
}
