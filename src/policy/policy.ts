/**
 * The policy in force: whether an event is recorded, and by which rule not. Compiled once; a decision allocates
 * nothing and cannot fail. The stages are asked in order (enabled, then level) and the first that does not keep the
 * event names the rule, under which its suppression is counted.
 */

import { hash } from 'node:crypto'
import { canonicalize } from '../event/canonical.ts'
import type { Operation, Outcome } from '../event/event.ts'
import { type Level, levelKeeps } from './level.ts'
import type { Redaction } from './redact.ts'

export interface PolicyOptions {
  /** False: nothing is recorded. */
  readonly enabled: boolean
  readonly level: Level
  /** What is redacted is part of the policy's hash; redaction itself is another stage. */
  readonly redaction?: Redaction | undefined
}

/** What a decision looks at; a converted event is one. */
export interface EventFacts {
  readonly action: string
  readonly operation: Operation | undefined
  readonly outcome: Outcome | undefined
}

/** `rule` names the stage that did not keep the event: `disabled`, `level:writes_only`. */
export type Decision = { readonly kept: true } | { readonly kept: false; readonly rule: string }

export interface Policy {
  /** SHA-256 of the canonical JSON `{enabled, level, redact}`, 64 hex digits: the record's `policy`. */
  readonly hash: string
  readonly level: Level
  decide(facts: EventFacts): Decision
}

const kept: Decision = { kept: true }

/** A stage of the policy; `undefined`: it has nothing against the event. */
type Stage = (facts: EventFacts) => Decision | undefined

export function compilePolicy({ enabled, level, redaction }: PolicyOptions): Policy {
  const stages = [...(enabled ? [] : [disabledStage()]), levelStage(level)]
  return {
    hash: hash('sha256', canonicalize({ enabled, level, redact: redaction?.rules ?? [] }), 'hex'),
    level,
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
