/**
 * What conversion makes of an event, and what policy, redaction and sealing work on.
 * Every object in it is plain, fresh and mutable, holds only JSON values, and has its keys in sorted (UTF-16)
 * order. Whoever changes one keeps that order, and sets `hasIntegerLikeKey` when adding a key such as `10`.
 */

import type { JsonObject } from './canonical.ts'
import type { Disclosures } from './commit.ts'
import type { Operation, Outcome, TraceReference } from './event.ts'

/** An event that can be sealed. Absent members are `undefined` here and absent from the record. */
export interface ConvertedEvent {
  /** Not empty; `unknown` when none was given. */
  action: string
  actor: JsonObject | undefined
  attempts: number | undefined
  changes: JsonObject | undefined
  correlation_id: string | undefined
  details: JsonObject | undefined
  duration_ms: number | undefined
  /** `{class, code?, message?}` */
  error: JsonObject | undefined
  grant: string | undefined
  operation: Operation | undefined
  outcome: Outcome | undefined
  reason: string | undefined
  request: JsonObject | undefined
  /** Version of the action's own schema; the record's `schema` is made of it. */
  schema: string | undefined
  session: string | undefined
  target: JsonObject | undefined
  targets: JsonObject[] | undefined
  tenant: string | undefined
  /** Nine fractional digits, `Z`; absent means: when it is sealed. */
  timestamp: string | undefined
  /** Valid, lower case. */
  trace: TraceReference | undefined
  /** `[{pointer, rule}]` */
  validation: JsonObject[] | undefined

  // Added between conversion and sealing, never taken from the input:
  /** `{pointer: commitment}`: what stands in the place of personal values. */
  commitments: JsonObject | undefined
  /** Those values. They go beside the record, and into no copy of the event. */
  disclosures: Disclosures | undefined
  /** The policy level under which the event was kept. */
  level: string | undefined
  /** The policy's hash. */
  policy: string | undefined
  /** `[{count, pointer, rule}]` */
  redactions: JsonObject[] | undefined
  /** What the OpenTelemetry resource holds beside `service`; may be shared, as nobody changes it. */
  resource: JsonObject | undefined
  /** `{rate, threshold}` */
  sampling: JsonObject | undefined
  service: string | undefined

  /** Whether some object has an integer-like key: then JSON.stringify does not give the canonical text. */
  hasIntegerLikeKey: boolean
}

/** An event without any member; all of one shape, which keeps property access fast. */
export function emptyEvent(): ConvertedEvent {
  return {
    action: '',
    actor: undefined,
    attempts: undefined,
    changes: undefined,
    correlation_id: undefined,
    details: undefined,
    duration_ms: undefined,
    error: undefined,
    grant: undefined,
    operation: undefined,
    outcome: undefined,
    reason: undefined,
    request: undefined,
    schema: undefined,
    session: undefined,
    target: undefined,
    targets: undefined,
    tenant: undefined,
    timestamp: undefined,
    trace: undefined,
    validation: undefined,
    commitments: undefined,
    disclosures: undefined,
    level: undefined,
    policy: undefined,
    redactions: undefined,
    resource: undefined,
    sampling: undefined,
    service: undefined,
    hasIntegerLikeKey: false,
  }
}
