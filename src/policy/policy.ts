/**
 * The policy in force: whether an event is recorded, and by which rule not. Compiled once; a decision allocates
 * nothing and cannot fail. The stages are asked in order (enabled, level, exclusions, rules, sampling) and the first
 * that does not keep the event names the rule, under which its suppression is counted.
 */

import { hash } from 'node:crypto'
import { canonicalize, type JsonObject } from '../event/canonical.ts'
import type { EventFacts } from '../event/facts.ts'
import { type Level, levelKeeps } from './level.ts'
import type { PolicyRule } from './rules.ts'

/** What a policy is made of. Absent members have their defaults. */
export interface PolicyOptions {
  /** False: nothing is recorded. Default: true. */
  readonly enabled?: boolean | undefined
  /** Default: `writes_only`. */
  readonly level?: Level | undefined
  /** Actions that are not recorded, `*` at the end allowed. */
  readonly excludeActions?: readonly string[] | undefined
  /** Resource types of targets that are not recorded, `*` at the end allowed. */
  readonly excludeResources?: readonly string[] | undefined
  /** Asked in order; the first that matches decides. */
  readonly rules?: readonly PolicyRule[] | undefined
  /** Share of events kept that are no reads, 0 to 1. Failures and denials are always kept. Default: 1. */
  readonly sampleRate?: number | undefined
  /** The same of reads. Default: 1. */
  readonly sampleReads?: number | undefined
  /** Key of the draw; needed when a rate is below 1. */
  readonly sampleSecret?: string | undefined
  /** What is redacted is part of the policy's hash; redaction itself is another stage. */
  readonly redaction?: { readonly rules: readonly string[] } | undefined
}

/** Kept: whether without `details` and `changes`, and the record's `sampling`. Not kept: the rule it is counted under. */
export type Decision =
  | { readonly kept: true; readonly isMetadata: boolean; readonly sampling: JsonObject | undefined }
  | { readonly kept: false; readonly rule: string }

export interface Policy {
  /** SHA-256 of the canonical JSON of everything that decides, 64 hex digits: the record's `policy`. */
  readonly hash: string
  readonly level: Level
  /** Whether there may be an event that is not recorded. */
  readonly suppresses: boolean
  /** `correlate` gives the event's correlation id; asked only where a draw by it decides. */
  decide(facts: EventFacts, correlate: () => string): Decision
}

const kept: Decision = { kept: true, isMetadata: false, sampling: undefined }

/** A stage of the policy; `undefined`: it has nothing against the event. */
type Stage = (facts: EventFacts) => Decision | undefined

export function compilePolicy({ enabled = true, level = 'writes_only', redaction }: PolicyOptions): Policy {
  const stages = [...(enabled ? [] : [disabledStage()]), levelStage(level)]
  return {
    hash: hash('sha256', canonicalize({ enabled, level, redact: redaction?.rules ?? [] }), 'hex'),
    level,
    suppresses: !enabled || level !== 'all',
    decide: (facts) => {
      for (const stage of stages) {
        const decision = stage(facts)
        if (decision !== undefined) return decision
      }
      return kept
    },
  }
}

function disabledStage(): Stage {
  const suppressed: Decision = { kept: false, rule: 'disabled' }
  return () => suppressed
}

function levelStage(level: Level): Stage {
  const suppressed: Decision = { kept: false, rule: `level:${level}` }
  return ({ operation, outcome }) => (levelKeeps(level, operation, outcome) ? undefined : suppressed)
}
