/** The options of a policy. What each can be is checked in `check.ts`, what comes of them in `policy.ts`. */

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
