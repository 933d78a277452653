/**
 * Finds the first rule that matches an event. Each rule is filed under the patterns of one of its conditions, the one
 * that tells events apart best, so that a rule which cannot match is not even looked at: the cost follows the number of
 * conditions in use, not that of the rules. The search allocates nothing but the beginnings it looks up.
 */

import type { EventFacts, TargetFacts } from '../event/facts.ts'
import { beginningOf, compilePatterns, isOpen, matchesAny, type Patterns } from './patterns.ts'
import { type Condition, conditionFacts, conditions, isEnumeration, type RulePatterns } from './rules.ts'

/** A rule to be found, and what it means. */
export interface IndexedRule<T> {
  readonly patterns: RulePatterns
  /** Which of several targets must match. */
  readonly targets: 'some' | 'every'
  /** Patterns for the types of the targets beyond the first, where they differ from `patterns.target`. */
  readonly otherTargets?: readonly string[] | undefined
  readonly meaning: T
}

/** The meaning of the first rule that matches; `undefined` when none does. */
export type FindRule<T> = (facts: EventFacts) => T | undefined

export function indexRules<T>(rules: readonly IndexedRule<T>[]): FindRule<T> {
  const unfiled: CompiledRule<T>[] = []
  const filings = new Map<Condition, Filing<T>>()
  for (const [order, rule] of rules.entries()) {
    const compiled = compileRule(rule, order)
    const condition = filingCondition(rule.patterns)
    if (condition === undefined) unfiled.push(compiled)
    else
      for (const pattern of rule.patterns[condition] ?? []) fileRule(compiled, pattern, openFiling(filings, condition))
  }
  const searched = [...filings.values()]
  return (facts) => {
    let first = firstMatch(unfiled, facts)
    for (const filing of searched) first = earlier(first, searchFiling(filing, facts))
    return first?.meaning
  }
}

type Fact = (typeof conditionFacts)[Condition]

interface CompiledRule<T> {
  readonly order: number
  readonly tests: readonly { readonly fact: Fact; readonly patterns: Patterns }[]
  /** What the first target must be; absent: nothing is asked of targets. */
  readonly target: TargetTest | undefined
  readonly otherTarget: TargetTest | undefined
  readonly targets: 'some' | 'every'
  readonly meaning: T
}

interface TargetTest {
  readonly type: Patterns | undefined
  readonly id: Patterns | undefined
}

/** Rules by pattern, each list in the order of the rules. */
type RuleLists<T> = Map<string, CompiledRule<T>[]>

/** The rules filed under one condition. */
interface Filing<T> {
  readonly fact: Fact
  readonly exact: RuleLists<T>
  /** By length, so that a text is cut once for all beginnings of that length. */
  readonly beginnings: { readonly length: number; readonly rules: RuleLists<T> }[]
}

/** What an event counts as that does not say it. */
const implied: Readonly<Partial<Record<Fact, string>>> = { operation: 'other', outcome: 'unknown' }

function compileRule<T>({ patterns, targets, otherTargets, meaning }: IndexedRule<T>, order: number): CompiledRule<T> {
  const { target: types, targetId: ids, ...own } = patterns
  const tests = (Object.keys(own) as (keyof typeof own)[]).map((condition) => ({
    fact: conditionFacts[condition],
    patterns: compilePatterns(own[condition] ?? []),
  }))
  return {
    order,
    tests,
    target: targetTest(types, ids),
    otherTarget: targetTest(otherTargets ?? types, ids),
    targets,
    meaning,
  }
}

function targetTest(types: readonly string[] | undefined, ids: readonly string[] | undefined): TargetTest | undefined {
  if (types === undefined && ids === undefined) return undefined
  return { type: types && compilePatterns(types), id: ids && compilePatterns(ids) }
}

/** The condition under which fewest other rules will stand. */
function filingCondition(patterns: RulePatterns): Condition | undefined {
  const given = conditions.filter((condition) => patterns[condition] !== undefined)
  return given.sort((a, b) => breadth(a, patterns) - breadth(b, patterns))[0]
}

/** Whole texts tell best, then beginnings, then the few values of an enumeration, then `*`, which tells nothing. */
function breadth(condition: Condition, patterns: RulePatterns): number {
  if (patterns[condition]?.includes('*')) return 3
  if (isEnumeration(condition)) return 2
  return patterns[condition]?.some(isOpen) ? 1 : 0
}

function openFiling<T>(filings: Map<Condition, Filing<T>>, condition: Condition): Filing<T> {
  const filing = filings.get(condition) ?? { fact: conditionFacts[condition], exact: new Map(), beginnings: [] }
  filings.set(condition, filing)
  return filing
}

function fileRule<T>(rule: CompiledRule<T>, pattern: string, { exact, beginnings }: Filing<T>): void {
  if (isOpen(pattern)) addToList(listsOfLength(pattern.length - 1, beginnings), beginningOf(pattern), rule)
  else addToList(exact, pattern, rule)
}

function listsOfLength<T>(length: number, beginnings: Filing<T>['beginnings']): RuleLists<T> {
  const known = beginnings.find((one) => one.length === length)
  if (known !== undefined) return known.rules
  const rules: RuleLists<T> = new Map()
  beginnings.push({ length, rules })
  return rules
}

function addToList<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

function searchFiling<T>(filing: Filing<T>, facts: EventFacts): CompiledRule<T> | undefined {
  const { fact } = filing
  const first = searchText(filing, facts[fact] ?? implied[fact], facts)
  const { otherTargets } = facts
  if (otherTargets === undefined || (fact !== 'targetType' && fact !== 'targetId')) return first
  return otherTargets.reduce((found, target) => earlier(found, searchText(filing, target[fact], facts)), first)
}

function searchText<T>(
  { exact, beginnings }: Filing<T>,
  text: string | undefined,
  facts: EventFacts,
): CompiledRule<T> | undefined {
  if (text === undefined) return undefined
  let first = firstMatch(exact.get(text), facts)
  for (const { length, rules } of beginnings) {
    if (text.length >= length) first = earlier(first, firstMatch(rules.get(text.slice(0, length)), facts))
  }
  return first
}

function firstMatch<T>(rules: readonly CompiledRule<T>[] | undefined, facts: EventFacts): CompiledRule<T> | undefined {
  if (rules === undefined) return undefined
  for (const rule of rules) if (matches(rule, facts)) return rule
  return undefined
}

function earlier<T>(one: CompiledRule<T> | undefined, other: CompiledRule<T> | undefined): CompiledRule<T> | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one.order < other.order ? one : other
}

function matches<T>({ tests, target, otherTarget, targets }: CompiledRule<T>, facts: EventFacts): boolean {
  for (const { fact, patterns } of tests) if (!matchesAny(patterns, facts[fact] ?? implied[fact])) return false
  if (target === undefined || otherTarget === undefined) return true
  const isFirst = isTarget(target, facts)
  const { otherTargets } = facts
  if (otherTargets === undefined) return isFirst
  return targets === 'some'
    ? isFirst || otherTargets.some((other) => isTarget(otherTarget, other))
    : isFirst && otherTargets.every((other) => isTarget(otherTarget, other))
}

function isTarget({ type, id }: TargetTest, target: TargetFacts): boolean {
  return (
    (type === undefined || matchesAny(type, target.targetType)) && (id === undefined || matchesAny(id, target.targetId))
  )
}
