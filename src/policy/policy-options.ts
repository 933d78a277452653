/** The options of a policy and their defaults. What each can be is checked in `check.ts`, what comes of them in `policy.ts`. */

import type { Level } from './level.ts'
import type { PolicyRule } from './rules.ts'

/** What a policy is made of. Absent members have their defaults. */
export interface PolicyOptions {
  /** False: nothing is recorded. Default: true. */
  readonly enabled?: boolean | undefined
  /** Default: `writes_only`. */
  readonly level?: Level | undefined
  /** Actions that are not recorded; each may end in `*`. */
  readonly excludeActions?: readonly string[] | undefined
  /** Resource types of targets that are not recorded; each may end in `*`. */
  readonly excludeResources?: readonly string[] | undefined
  /** Asked in order; the first that matches decides. */
  readonly rules?: readonly PolicyRule[] | undefined
  /** Share of the traces whose events are kept, reads apart, 0 to 1. Failures and denials are always kept. Default: 1. */
  readonly sampleRate?: number | undefined
  /** The same of reads. Default: 1. */
  readonly sampleReads?: number | undefined
  /** Key of the draw; needed when a rate is below 1. */
  readonly sampleSecret?: string | undefined
  /** What is redacted is part of the policy's hash; redaction itself is another stage. */
  readonly redaction?: { readonly rules: readonly string[] } | undefined
}

/** The options with every default in place. */
export interface FullPolicy {
  readonly enabled: boolean
  readonly level: Level
  readonly excludeActions: readonly string[]
  readonly excludeResources: readonly string[]
  readonly rules: readonly PolicyRule[]
  readonly sampleRate: number
  readonly sampleReads: number
  readonly sampleSecret: string
  readonly redactions: readonly string[]
  /** A rate is below 1. */
  readonly isSampled: boolean
}

export function fillPolicy(options: PolicyOptions): FullPolicy {
  const { sampleRate = 1, sampleReads = 1 } = options
  return {
    enabled: options.enabled ?? true,
    level: options.level ?? 'writes_only',
    excludeActions: options.excludeActions ?? [],
    excludeResources: options.excludeResources ?? [],
    rules: options.rules ?? [],
    sampleRate,
    sampleReads,
    sampleSecret: options.sampleSecret ?? '',
    redactions: options.redaction?.rules ?? [],
    isSampled: sampleRate < 1 || sampleReads < 1,
  }
}
