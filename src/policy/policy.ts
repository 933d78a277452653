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
import type { PolicyOptions } from './policy-options.ts'
import { type IndexedRule, indexRules } from './rule-index.ts'
import { listRulings, type Ruling } from './rulings.ts'
import { compileDraw, identifySecret, thresholdOf } from './sample.ts'

/** Kept: whether without `details` and `changes`, and the record's `sampling`. Not kept: the rule it counts under. */
export type Decision = Kept | Suppressed

export interface Kept {
  readonly kept: true
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
  const { enabled = true, level = 'writes_only', sampleRate = 1, sampleReads = 1 } = options
  const rulings = listRulings(options)
  const isSampled = sampleRate < 1 || sampleReads < 1
  return {
    hash: hash('sha256', canonicalize(describePolicy(options, rulings)), 'hex'),
    level,
    suppresses: !enabled || level !== 'all' || isSampled || rulings.some(({ effect }) => effect === 'drop'),
    decide: enabled ? compileStages(options, rulings) : () => disabled,
  }
}

/** What the policy's hash is made of: equal exactly when the same events are decided in the same way. */
export function describePolicy(options: PolicyOptions, rulings: readonly Ruling[] = listRulings(options)): JsonObject {
  const { enabled = true, level = 'writes_only', sampleRate = 1, sampleReads = 1, sampleSecret, redaction } = options
  const isSampled = sampleRate < 1 || sampleReads < 1
  return {
    enabled,
    level,
    redact: [...(redaction?.rules ?? [])],
    rules: rulings.map(({ name, effect, patterns }) => ({ effect, name, when: { ...(patterns as JsonObject) } })),
    sampling: isSampled ? { key: identifySecret(sampleSecret ?? ''), rate: sampleRate, reads: sampleReads } : null,
  }
}

const kept: Kept = { kept: true, isMetadata: false, sampling: undefined }
const keptAsMetadata: Kept = { ...kept, isMetadata: true }
const disabled: Suppressed = { kept: false, rule: 'disabled' }

function compileStages(options: PolicyOptions, rulings: readonly Ruling[]): Policy['decide'] {
  const { level = 'writes_only' } = options
  const belowLevel: Suppressed = { kept: false, rule: `level:${level}` }
  const findRule = indexRules(rulings.map(indexedRuling))
  const sample = compileSampling(options)
  return (facts, correlate) => {
    if (!levelKeeps(level, facts.operation, facts.outcome)) return belowLevel
    const meaning = findRule(facts)
    if (typeof meaning === 'object') return meaning
    return meaning === 'keep' ? kept : sample(facts, meaning === 'metadata', correlate)
  }
}

/** Of several targets one is enough to keep an event, but each must be named to thin it out. */
function indexedRuling({
  name,
  effect,
  patterns,
  otherTargets,
}: Ruling): IndexedRule<Suppressed | 'keep' | 'metadata'> {
  return {
    patterns,
    otherTargets,
    targets: effect === 'keep' ? 'some' : 'every',
    meaning: effect === 'drop' ? { kept: false, rule: name } : effect,
  }
}

type Sample = (facts: EventFacts, isMetadata: boolean, correlate: () => string) => Decision

function compileSampling({ sampleRate = 1, sampleReads = 1, sampleSecret }: PolicyOptions): Sample {
  const draw = compileDraw(sampleSecret ?? '')
  const reads = compileRate(sampleReads, 'sample_reads')
  const others = compileRate(sampleRate, 'sample_rate')
  return ({ operation, outcome }, isMetadata, correlate) => {
    const rate = operation === 'read' ? reads : others
    if (rate === undefined || outcome === 'failure' || outcome === 'denied') return isMetadata ? keptAsMetadata : kept
    // A rate of 0 needs no draw.
    if (rate.threshold === 0 || draw(correlate()) >= rate.threshold) return rate.suppressed
    return isMetadata ? rate.keptAsMetadata : rate.kept
  }
}

/** Every decision that sampling at this rate can come to; `undefined` when it keeps everything. */
function compileRate(rate: number, rule: string) {
  if (rate >= 1) return undefined
  const sampling = { rate, threshold: thresholdOf(rate) }
  return {
    threshold: sampling.threshold,
    kept: { ...kept, sampling },
    keptAsMetadata: { ...keptAsMetadata, sampling },
    suppressed: { kept: false, rule } satisfies Suppressed,
  }
}
