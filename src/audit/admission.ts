/**
 * What policy makes of an event before it is sealed: a cheap look, conversion, catalogue, then what is left of it. An event
 * that policy does not want is counted here and never becomes a record. Always holds: the policy in force is one object,
 * exchanged whole, so that no event is judged by half of one.
 */

import { isIntegerLikeKey, type JsonObject } from '../event/canonical.ts'
import type { CatalogueCheck } from '../event/catalogue-check.ts'
import { convertEvent } from '../event/convert.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import type { TraceReference } from '../event/event.ts'
import { type EventFacts, factsOf, readFacts } from '../event/facts.ts'
import type { Policy } from '../policy/policy.ts'
import type { Redaction } from '../policy/redact.ts'
import { Correlation } from './correlation.ts'
import { redactPlaces } from './finding-places.ts'
import type { Suppressions } from './suppressions.ts'

/** What judges events, compiled from one configuration. */
export interface PolicyInForce {
  readonly policy: Policy
  readonly redaction: Redaction
}

/** What comes with an event from OpenTelemetry. */
export interface Ambient {
  readonly trace: TraceReference | undefined
  readonly service?: string | undefined
  readonly resource: JsonObject | undefined
  /** The event may go into the spool's reserve. */
  readonly isRequired?: boolean | undefined
  /** A look has been taken at it already (`look`), with this. */
  readonly looked?: Correlation | undefined
}

/** The event as it goes into the record; as it would have, with the rule that suppresses it. */
export interface Judged {
  readonly event: ConvertedEvent
  readonly rule: string | undefined
}

export interface AdmissionParts {
  readonly inForce: PolicyInForce
  readonly catalogue: CatalogueCheck
  readonly suppressions: Suppressions
  readonly service: string
}

export class Admission {
  readonly #catalogue: CatalogueCheck
  readonly #suppressions: Suppressions
  readonly #service: string
  #inForce: PolicyInForce

  constructor({ inForce, catalogue, suppressions, service }: AdmissionParts) {
    this.#inForce = inForce
    this.#catalogue = catalogue
    this.#suppressions = suppressions
    this.#service = service
  }

  /** The policy by which the next event is judged. */
  get inForce(): PolicyInForce {
    return this.#inForce
  }

  /** From the next event on. The counts of the policy before are sealed already. */
  enforce(inForce: PolicyInForce): void {
    this.#inForce = inForce
    this.#suppressions.changePolicy(inForce.policy.hash)
  }

  /** The event to be recorded, or the rule that suppresses it. Without conversion where a look is enough. */
  admit(input: unknown, ambient: Ambient): ConvertedEvent | string {
    const correlation = ambient.looked ?? new Correlation(() => ambient.trace)
    const rule = ambient.looked === undefined ? this.look(input, correlation) : undefined
    if (rule !== undefined) return rule
    const judged = this.#judge(convertEvent(input), ambient, correlation)
    return judged.rule ?? judged.event
  }

  /** The same for whoever sees the event afterwards: redacted, whatever the decision. */
  admitShown(input: unknown, ambient: Ambient): Judged {
    const judged = this.#judge(convertEvent(input), ambient, new Correlation(() => ambient.trace))
    if (judged.rule !== undefined) this.#inForce.redaction.redact(judged.event)
    return judged
  }

  /** The rule that suppresses it, as far as a cheap look can tell; it is counted then. Never throws. */
  look(input: unknown, correlation: Correlation): string | undefined {
    const { policy } = this.#inForce
    const seen = policy.suppresses ? readFacts(input) : undefined
    const facts = seen === undefined ? undefined : this.#catalogue.completeFacts(seen)
    if (facts === undefined) return undefined
    const decision = policy.decide(facts, () => correlation.ofInput(input as object))
    return decision.kept || correlation.isUnsure ? undefined : this.#suppress(decision.rule, facts)
  }

  #judge(event: ConvertedEvent, ambient: Ambient, correlation: Correlation): Judged {
    const { policy, redaction } = this.#inForce
    if (event.trace === undefined && ambient.trace !== undefined) event.trace = ambient.trace
    this.#catalogue.fill(event)
    const facts = factsOf(event)
    const decision = policy.decide(facts, () => correlation.ofEvent(event))
    if (!decision.kept) return { event, rule: this.#suppress(decision.rule, facts) }
    const flaw = this.#catalogue.check(event)
    if (flaw !== undefined) return { event, rule: this.#suppress(flaw, facts) }
    if (decision.isMetadata) stripContents(event)
    if (ambient.resource !== undefined) setResource(event, ambient.resource)
    const id = correlation.ofEvent(event)
    const redactions = redaction.redact(event)
    if (redactions.length > 0) event.redactions = redactions
    if (event.validation !== undefined) redactPlaces(event.validation, redaction)
    event.level = policy.level
    event.policy = policy.hash
    event.sampling = decision.sampling
    event.service = ambient.service ?? this.#service
    event.correlation_id ??= id
    return { event, rule: undefined }
  }

  #suppress(rule: string, { operation, outcome }: EventFacts): string {
    this.#suppressions.count(rule, operation, outcome)
    return rule
  }
}

/** What the rule effect `metadata` leaves out. */
function stripContents(event: ConvertedEvent): void {
  event.details = undefined
  event.changes = undefined
}

/** A copy, because redaction works in place and the resource is shared by all events. */
function setResource(event: ConvertedEvent, resource: JsonObject): void {
  event.resource = { ...resource }
  if (Object.keys(resource).some(isIntegerLikeKey)) event.hasIntegerLikeKey = true
}
