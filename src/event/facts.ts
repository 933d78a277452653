/**
 * The facts of an event that policy decides by, had from what was emitted without converting it, so that an event that
 * policy does not want costs next to nothing. Always holds: the facts of the cheap look are those of the converted
 * event (of one within `eventSizeMax`); where it is not sure it gives none, and the conversion decides.
 */

import { types } from 'node:util'
import { containerKeysMax } from '../limits.ts'
import type { JsonObject, JsonValue } from './canonical.ts'
import type { ConvertedEvent } from './converted-event.ts'
import { type ActorType, actorTypes, type Operation, type Outcome, operations, outcomes } from './event.ts'
import { shortTextMax } from './scalar-members.ts'

/** One of the things that something was done to. */
export interface TargetFacts {
  readonly targetType: string | undefined
  readonly targetId: string | undefined
}

/** What a policy looks at; what the event does not say is `undefined`. The target is the first where there are several. */
export interface EventFacts extends TargetFacts {
  readonly action: string
  readonly operation: Operation | undefined
  readonly outcome: Outcome | undefined
  readonly actorId: string | undefined
  readonly actorType: ActorType | undefined
  readonly tenant: string | undefined
  /** The targets beyond the first; `undefined` when there are none. */
  readonly otherTargets: readonly TargetFacts[] | undefined
}

/** The facts of anything emitted, by a cheap look; `undefined` when only the conversion can tell. Never throws. */
export function readFacts(input: unknown): EventFacts | undefined {
  try {
    return isPlain(input) ? readEvent(input) : undefined
  } catch {
    return undefined // a getter threw, or the look met what it does not know: the conversion guards each read
  }
}

/** The facts of a converted event. */
export function factsOf(event: ConvertedEvent): EventFacts {
  const { action, operation, outcome, actor, tenant, target, targets = [] } = event
  const [first = noTarget, ...others] = [...(target === undefined ? [] : [target]), ...targets].map(factsOfTarget)
  return {
    action,
    operation,
    outcome,
    actorId: textOf(actor?.id),
    actorType: textOf(actor?.type) as ActorType | undefined, // conversion lets nothing else through
    tenant,
    targetType: first.targetType,
    targetId: first.targetId,
    otherTargets: others.length === 0 ? undefined : others,
  }
}

type Members = Readonly<Record<string, unknown>>
type Draft<T> = { -readonly [Member in keyof T]: T[Member] }

const noTarget: TargetFacts = { targetType: undefined, targetId: undefined }

/** Most targets that the cheap look goes through. */
const targetsMax = 16

/** Thrown to give the look up. Made once: to make an error takes longer than the whole look. */
const unsure = new Error('only the conversion can tell')

const operationSet: ReadonlySet<unknown> = new Set(operations)
const outcomeSet: ReadonlySet<unknown> = new Set(outcomes)
const actorTypeSet: ReadonlySet<unknown> = new Set(actorTypes)

/** Goes by the event's own keys, as the conversion does: what a prototype holds is no member. */
function readEvent(input: Members): EventFacts {
  const facts: Draft<EventFacts> = {
    action: '',
    operation: undefined,
    outcome: undefined,
    actorId: undefined,
    actorType: undefined,
    tenant: undefined,
    targetType: undefined,
    targetId: undefined,
    otherTargets: undefined,
  }
  let target: unknown
  let targets: unknown
  for (const key of Object.keys(input)) {
    if (key === 'action') facts.action = readText(input.action) ?? ''
    else if (key === 'operation') facts.operation = readValue<Operation>(input.operation, operationSet, 'other')
    else if (key === 'outcome') facts.outcome = readValue<Outcome>(input.outcome, outcomeSet, 'unknown')
    else if (key === 'tenant') facts.tenant = readText(input.tenant)
    else if (key === 'actor') readActor(input.actor, input, facts)
    else if (key === 'target') target = input.target
    else if (key === 'targets') targets = input.targets
  }
  if (facts.action === '') throw unsure
  if (isGiven(targets)) readTargets(listTargets(target, targets), input, facts)
  else if (isGiven(target)) readTarget(target, input, facts)
  return facts
}

function readActor(actor: unknown, event: Members, facts: Draft<EventFacts>): void {
  if (!isGiven(actor)) return
  if (typeof actor === 'string') {
    facts.actorId = readText(actor)
    return
  }
  const members = openMembers(actor, event)
  for (const key of keysOf(members)) {
    if (key === 'id') facts.actorId = readText(members.id)
    else if (key === 'type') facts.actorType = readValue<ActorType>(members.type, actorTypeSet, 'unknown')
  }
}

function readTarget(target: unknown, event: Members, facts: Draft<TargetFacts>): void {
  if (typeof target === 'string') {
    facts.targetId = readText(target)
    return
  }
  const members = openMembers(target, event)
  for (const key of keysOf(members)) {
    if (key === 'id') facts.targetId = readText(members.id)
    else if (key === 'resource_type') facts.targetType = readText(members.resource_type)
  }
}

function listTargets(target: unknown, targets: unknown): unknown[] {
  if (!Array.isArray(targets) || types.isProxy(targets) || targets.length > targetsMax) throw unsure
  return isGiven(target) ? [target, ...targets] : [...targets]
}

function readTargets(targets: readonly unknown[], event: Members, facts: Draft<EventFacts>): void {
  const [first = noTarget, ...others] = targets.map((target) => {
    const read = { ...noTarget }
    readTarget(target, event, read)
    return read
  })
  facts.targetType = first.targetType
  facts.targetId = first.targetId
  if (others.length > 0) facts.otherTargets = others
}

/** The members of an object in an event; the event within itself is not for a cheap look. */
function openMembers(value: unknown, event: Members): Members {
  if (!isPlain(value) || value === event) throw unsure
  return value
}

/** The conversion keeps so many keys of an object and no more. */
function keysOf(members: Members): readonly string[] {
  const keys = Object.keys(members)
  if (keys.length > containerKeysMax) throw unsure
  return keys
}

function readText(value: unknown): string | undefined {
  if (!isGiven(value)) return undefined
  if (typeof value === 'string' && value.length <= shortTextMax) return value.toWellFormed()
  if (Number.isSafeInteger(value)) return String(value) // as the conversion prints it
  throw unsure
}

/** A value of an enumeration, or the one that stands for any other. */
function readValue<T extends string>(value: unknown, values: ReadonlySet<unknown>, fallback: T): T | undefined {
  if (!isGiven(value)) return undefined
  if (typeof value !== 'string') throw unsure
  return values.has(value) ? (value as T) : fallback
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** Whether to read it twice is harmless and to read it otherwise than the conversion impossible. */
function isPlain(value: unknown): value is Members {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function factsOfTarget(target: JsonObject): TargetFacts {
  return { targetType: textOf(target.resource_type), targetId: textOf(target.id) }
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
