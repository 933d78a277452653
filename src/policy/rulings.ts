/**
 * What exclusions and rules come to, as one ordered list: exclusions first, each with the name it is counted under.
 * An exclusion of resources is a rule too, but one whose further targets may match any of the excluded types.
 */

import type { FullPolicy } from './policy-options.ts'
import { type Effect, type RulePatterns, rulePatterns } from './rules.ts'

/** One thing that can decide about an event. */
export interface Ruling {
  /** As receipts, counts and metrics have it: `rule:ID`. */
  readonly name: string
  readonly effect: Effect
  readonly patterns: RulePatterns
  /** Patterns for the types of the targets beyond the first, where they differ. */
  readonly otherTargets?: readonly string[] | undefined
}

/** In the order in which they are asked. Exclusions are sorted: their order says nothing. */
export function listRulings({ excludeActions, excludeResources, rules }: FullPolicy): Ruling[] {
  const resources = distinct(excludeResources)
  return [
    ...distinct(excludeActions).map((action) => exclusion(`exclude_action:${action}`, { action: [action] })),
    ...resources.map((type) => ({
      ...exclusion(`exclude_resource:${type}`, { target: [type] }),
      otherTargets: resources,
    })),
    ...rules.map(({ id, effect, when }) => ({ name: `rule:${id}`, effect, patterns: rulePatterns(when) })),
  ]
}

/** Sorted and without repetition. */
function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort()
}

function exclusion(name: string, patterns: RulePatterns): Ruling {
  return { name, effect: 'drop', patterns }
}
