/**
 * The policy in force: whether an event is recorded, and by which rule not. Compiled once; a decision makes nothing new
 * and cannot fail. The stages are asked in order (enabled, level, exclusions, rules, sampling) and the first that does
 * not keep the event names the rule, under which its suppression is counted.
 */

import { hash } from 'node:crypto'
import { canonicalize, type JsonObject } from '../event/canonical.ts'
import type { EventFacts } from '../event/facts.ts'
import { checkPolicy, refuseFaults } from './check.ts'
import { type Level, levelKeeps } from './level.ts'
import { type FullPolicy, fillPolicy, type PolicyOptions } from './policy-options.ts'
import { type IndexedRule, indexRules } from './rule-index.ts'
import { listRulings, type Ruling } from './rulings.ts'
import { compileDraw, identifySecret, thresholdOf } from './sample.ts'

/** Kept: whether without `details` and `changes`, and the record's `sampling`. Not kept: what it is counted under. */
export type Decision = Kept | Suppressed

export interface Kept {
  readonly kept: true
  /** The rule that matched; absent when none did. */
  readonly rule: string | undefined
  readonly isMetadata: boolean
  /** `{rate, threshold}` of `sample.ts`; absent where no rate below 1 applied. */
  readonly sampling: JsonObject | undefined
}

export interface Suppressed {
  readonly kept: false
  readonly rule: string
}

export interface Policy {
  /** SHA-256 of the canonical JSON of everything that decides, 64 hex digits: the record's `policy`. */
  readonly hash: string
  readonly level: Level
  /** Whether there may be an event that is not recorded. */
  readonly suppresses: boolean
  /** `correlate` gives the event's correlation id. It is asked only where a draw by it decides. */
  decide(facts: EventFacts, correlate: () => string): Decision
}

/** Throws `INVALID_OPTION` for the first thing that `checkPolicy` finds. */
export function compilePolicy(options: PolicyOptions): Policy {
  refuseFaults(checkPolicy(options))
  const policy = fillPolicy(options)
  const { enabled, level, isSampled } = policy
  const rulings = listRulings(policy)
  return {
    hash: hash('sha256', canonicalize(describePolicy(options)), 'hex'),
    level,
    suppresses: !enabled || level !== 'all' || isSampled || rulings.some(({ effect }) => effect === 'drop'),
    decide: enabled ? compileStages(policy, rulings) : () => disabled,
  }
}

/** What the policy's hash is made of: the same however the policy is written, another one for another policy. */
export function describePolicy(options: PolicyOptions): JsonObject {
  const policy = fillPolicy(options)
  const { enabled, level, sampleRate, sampleReads, sampleSecret, isSampled, redactions } = policy
  const rules = listRulings(policy)
  return {
    enabled,
    level,
    redact: [...redactions],
    rules: rules.map(({ name, effect, patterns }) => ({ effect, name, when: { ...(patterns as JsonObject) } })),
    sampling: isSampled ? { key: identifySecret(sampleSecret), rate: sampleRate, reads: sampleReads } : null,
  }
}

const disabled: Suppressed = { kept: false, rule: 'disabled' }

function compileStages(policy: FullPolicy, rulings: readonly Ruling[]): Policy['decide'] {
  const { level } = policy
  const belowLevel: Suppressed = { kept: false, rule: `level:${level}` }
  const unruled = keepingOf(undefined, policy)
  const findRule = indexRules(rulings.map((ruling) => indexedRuling(ruling, policy)))
  const draw = compileDraw(policy.sampleSecret)
  return (facts, correlate) => {
    const { operation, outcome } = facts
    if (!levelKeeps(level, operation, outcome)) return belowLevel
    const meaning = findRule(facts) ?? unruled
    if ('kept' in meaning) return meaning
    const sampled = operation === 'read' ? meaning.reads : meaning.others
    if (sampled === undefined || outcome === 'failure' || outcome === 'denied') return meaning.whole
    const { threshold } = sampled // 0 needs no draw
    return threshold > 0 && draw(correlate()) < threshold ? sampled.kept : sampled.suppressed
  }
}

/** Every decision that an event can come to which a rule, or none, lets pass. Made beforehand. */
interface Keeping {
  readonly whole: Kept
  /** Absent where sampling keeps everything. */
  readonly reads: Sampled | undefined
  readonly others: Sampled | undefined
}

interface Sampled {
  readonly threshold: number
  readonly kept: Kept
  readonly suppressed: Suppressed
}

/** Of several targets one is enough to keep an event, but each must be named to thin it out. */
function indexedRuling(ruling: Ruling, policy: FullPolicy): IndexedRule<Suppressed | Keeping> {
  const { name, effect, patterns, otherTargets } = ruling
  return {
    patterns,
    otherTargets,
    targets: effect === 'keep' ? 'some' : 'every',
    meaning: effect === 'drop' ? { kept: false, rule: name } : keepingOf(ruling, policy),
  }
}

/** What a rule keeps is not sampled; what it thins out is, like what no rule matches. */
function keepingOf(ruling: Ruling | undefined, { sampleRate, sampleReads }: FullPolicy): Keeping {
  const isMetadata = ruling?.effect === 'metadata'
  const whole: Kept = { kept: true, rule: ruling?.name, isMetadata, sampling: undefined }
  if (ruling?.effect === 'keep') return { whole, reads: undefined, others: undefined }
  const sampledAt = (rate: number, rule: string): Sampled | undefined => {
    if (rate >= 1) return undefined
    const threshold = thresholdOf(rate)
    return { threshold, kept: { ...whole, sampling: { rate, threshold } }, suppressed: { kept: false, rule } }
  }
  return { whole, reads: sampledAt(sampleReads, 'sample_reads'), others: sampledAt(sampleRate, 'sample_rate') }
}
