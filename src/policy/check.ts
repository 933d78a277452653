/**
 * What is wrong with a policy as a whole, before it is compiled: faults to be mended, and the mistake that every
 * single setting may be fine and yet nothing can be recorded.
 */

import { AuditError } from '../errors.ts'
import { type Operation, type Outcome, operations, outcomes } from '../event/event.ts'
import { levelKeeps } from './level.ts'
import { covers } from './patterns.ts'
import { type FullPolicy, fillPolicy, type PolicyOptions } from './policy-options.ts'
import { type Condition, checkPatterns, checkRules, conditions, type PolicyFault } from './rules.ts'
import { listRulings, type Ruling } from './rulings.ts'

/** Everything that is wrong, in the order of the settings; each is named as the user writes it (`policy.rules[0].id`). */
export function checkPolicy(options: PolicyOptions): PolicyFault[] {
  const policy = fillPolicy(options)
  return [
    ...checkPatterns(policy.excludeActions, 'policy.excludeActions'),
    ...checkPatterns(policy.excludeResources, 'policy.excludeResources'),
    ...checkRate(policy.sampleRate, 'policy.sampleRate'),
    ...checkRate(policy.sampleReads, 'policy.sampleReads'),
    ...checkSecret(policy),
    ...checkRules(policy.rules),
  ]
}

/** Throws `INVALID_OPTION` for the first fault, if there is one. */
export function refuseFaults([fault]: readonly PolicyFault[]): void {
  if (fault === undefined) return
  const { setting, value, allowed } = fault
  const given = value === undefined ? 'not set' : (JSON.stringify(value) ?? String(value)).slice(0, 200)
  const hint = `Set ${setting} as docs/policy.md describes.`
  throw new AuditError('INVALID_OPTION', `${setting} is ${given}; allowed: ${allowed}`, { setting, hint })
}

/**
 * Whether the policy is on and yet no event could be recorded: level, exclusions, rules and rates leave nothing. It
 * looks for what drops everything of an operation and outcome; rules that only together name every text escape it.
 */
export function suppressesEverything(options: PolicyOptions): boolean {
  const policy = fillPolicy(options)
  const { enabled, level } = policy
  if (!enabled) return false // its own explicit word
  const rulings = listRulings(policy)
  const judged = operations.flatMap((operation) => outcomes.map((outcome) => ({ operation, outcome })))
  return !judged.some((kind) => levelKeeps(level, kind.operation, kind.outcome) && mayRecord(kind, rulings, policy))
}

interface Kind {
  readonly operation: Operation
  readonly outcome: Outcome
}

function mayRecord(kind: Kind, rulings: readonly Ruling[], policy: FullPolicy): boolean {
  const possible = rulings.filter(({ patterns }) => mayBe(kind, patterns))
  for (const [order, ruling] of possible.entries()) {
    const isReached = !possible.slice(0, order).some((earlier) => earlier.effect === 'drop' && shadows(earlier, ruling))
    if (ruling.effect !== 'drop' && isReached && (ruling.effect === 'keep' || passesSampling(kind, policy))) return true
    if (ruling.effect !== 'keep' && matchesAll(ruling)) return false
  }
  return passesSampling(kind, policy)
}

function mayBe({ operation, outcome }: Kind, { operation: asked, outcome: ended }: Ruling['patterns']): boolean {
  return (asked?.includes(operation) ?? true) && (ended?.includes(outcome) ?? true)
}

/** Whether an event of this kind can survive sampling. */
function passesSampling({ operation, outcome }: Kind, { sampleRate, sampleReads }: FullPolicy): boolean {
  return outcome === 'failure' || outcome === 'denied' || (operation === 'read' ? sampleReads : sampleRate) > 0
}

/** The conditions that depend on more than operation and outcome. */
const textConditions = conditions.filter((condition) => condition !== 'operation' && condition !== 'outcome')

/** Whether, of the operations and outcomes it is about, it matches every event. An action is always there. */
function matchesAll({ patterns }: Ruling): boolean {
  return textConditions.every((condition) => {
    return patterns[condition] === undefined || (condition === 'action' && patterns.action?.includes('*'))
  })
}

/** Whether an earlier ruling matches every event, of one kind, that a later one does. */
function shadows(earlier: Ruling, later: Ruling): boolean {
  return textConditions.every((condition) => coversCondition(condition, earlier, later))
}

function coversCondition(condition: Condition, earlier: Ruling, later: Ruling): boolean {
  const wide = earlier.patterns[condition]
  if (wide === undefined) return true
  const narrow = later.patterns[condition]
  if (narrow === undefined) return condition === 'action' && wide.includes('*')
  return narrow.every((pattern) => wide.some((one) => covers(one, pattern)))
}

function checkRate(rate: number, setting: string): PolicyFault[] {
  const isShare = typeof rate === 'number' && rate >= 0 && rate <= 1
  return isShare ? [] : [{ setting, value: rate, allowed: 'a share from 0 to 1' }]
}

function checkSecret({ isSampled, sampleRate, sampleSecret }: FullPolicy): PolicyFault[] {
  if (!isSampled || sampleSecret !== '') return []
  const rate = sampleRate < 1 ? 'policy.sampleRate' : 'policy.sampleReads'
  const allowed = `a secret, because ${rate} is below 1: without one a caller who picks trace ids picks what is kept`
  return [{ setting: 'policy.sampleSecret', value: undefined, allowed }]
}
