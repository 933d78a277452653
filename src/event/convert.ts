/**
 * From whatever an application emitted to an event that can be sealed: docs/formats.md section 1b.
 * Never throws and never refuses: the result is a fresh tree of plain JSON, owned by the caller, that shares
 * nothing with the input. Members of an event are only ever members of an event: one called `seq`, `stream` or
 * `event_type` is data, and goes to `details` like every name the format does not know.
 */

import { types } from 'node:util'
import { containerKeysMax } from '../limits.ts'
import type { JsonObject, JsonValue } from './canonical.ts'
import { type ConvertedEvent, emptyEvent } from './converted-event.ts'
import { type AuditEvent, type Operation, type Outcome, operations, outcomes } from './event.ts'
import {
  isObject,
  readActor,
  readError,
  readObject,
  readRequest,
  readTarget,
  readTargets,
  readTrace,
} from './object-members.ts'
import {
  type Enumeration,
  type EventWalk,
  moveToDetails,
  noteFinding,
  readEnumeration,
  readNumber,
  readText,
  readTimestamp,
} from './scalar-members.ts'
import { convertValue, gatherMembers, hasMembers, readMember, startConversion } from './value.ts'

const operation: Enumeration<Operation> = {
  name: 'operation',
  values: new Set(operations),
  fallback: 'other',
}

const outcome: Enumeration<Outcome> = {
  name: 'outcome',
  values: new Set(outcomes),
  fallback: 'unknown',
}

type Reader<T> = (value: unknown, name: string, walk: EventWalk) => T

/** How each member of an event is read; what has no reader goes to `details`. */
const readers = {
  action: (value, name, walk) => readText(value, name, walk) ?? '',
  actor: readActor,
  attempts: readNumber,
  changes: readObject,
  correlation_id: readText,
  details: readObject,
  duration_ms: readNumber,
  error: readError,
  grant: readText,
  operation: (value, _name, walk) => readEnumeration(value, operation, walk),
  outcome: (value, _name, walk) => readEnumeration(value, outcome, walk),
  reason: readText,
  request: readRequest,
  schema: readText,
  session: readText,
  target: readTarget,
  targets: readTargets,
  tenant: readText,
  timestamp: readTimestamp,
  trace: readTrace,
} satisfies { readonly [Member in keyof AuditEvent]-?: Reader<ConvertedEvent[Member]> }

const readersByName: ReadonlyMap<string, Reader<unknown>> = new Map(Object.entries(readers))

/**
 * An event with a second, subordinate one, whose members fill what the first lacks: one level deep in actor,
 * error, request and target. What the format has no name for goes to `details`. `convertEvent` takes it as it is.
 */
export class FilledEvent {
  readonly #event: unknown
  readonly #fill: Readonly<Record<string, unknown>>

  constructor(event: unknown, fill: Readonly<Record<string, unknown>>) {
    this.#event = event
    this.#fill = fill
  }

  /** The two parts of anything emitted. A private member cannot be feigned, and asking for it runs no trap. */
  static open(input: unknown): { event: unknown; fill: Readonly<Record<string, unknown>> | undefined } {
    const filled = typeof input === 'object' && input !== null && #fill in input
    return filled ? { event: input.#event, fill: input.#fill } : { event: input, fill: undefined }
  }
}

/** The event in anything that was emitted; never throws. An input that is no object is kept as `details.body`. */
export function convertEvent(input: unknown): ConvertedEvent {
  try {
    return convertWith(input, false)
  } catch {
    // A getter or proxy threw. The second walk guards each read, so that only what throws is missing.
  }
  try {
    return convertWith(input, true)
  } catch {
    // Nothing left to guard, such as an exhausted stack: that something was emitted is still recorded.
    return { ...emptyEvent(), action: 'unknown', validation: [{ pointer: '', rule: 'unreadable' }] }
  }
}

function convertWith(input: unknown, careful: boolean): ConvertedEvent {
  const walk: EventWalk = { ...startConversion(careful), validation: undefined, moved: undefined }
  const event = emptyEvent()
  const given = FilledEvent.open(input)
  readEvent(event, given.event, walk)
  if (given.fill !== undefined) fillEvent(event, given.fill, walk)
  if (event.action === '') {
    noteFinding(walk, 'action', 'missing')
    event.action = 'unknown'
  }
  if (walk.moved !== undefined) event.details = addMembers(event.details, walk.moved)
  event.validation = walk.validation
  event.hasIntegerLikeKey = walk.hasIntegerLikeKey
  return event
}

function readEvent(event: ConvertedEvent, input: unknown, walk: EventWalk): void {
  if (input === undefined || input === null) return
  if (typeof input !== 'object' || !canHoldMembers(input, walk)) {
    const converted = convertValue(input, walk)
    if (types.isMap(input) && isObject(converted)) readEvent(event, converted, walk)
    else moveToDetails(walk, 'body', converted)
    return
  }
  walk.ancestors.push(input)
  const keys = Object.keys(input)
  for (const key of keys.length > containerKeysMax ? firstKeys(keys, walk) : keys) {
    const reader = readersByName.get(key)
    const value = readMember(input, key, walk)
    if (reader === undefined) moveToDetails(walk, key, convertValue(value, walk))
    else setEventMember(event, key, reader(value, key, walk))
  }
  walk.ancestors.pop()
}

/** Whether it has members to be read as an event's; to ask a revoked proxy throws. */
function canHoldMembers(input: object, walk: EventWalk): boolean {
  if (!walk.careful) return hasMembers(input)
  try {
    return hasMembers(input) && Object.keys(input).length >= 0
  } catch {
    return false // it becomes `details.body`, which says that it cannot be read
  }
}

/** Of very many keys, all that the format names and the first of the others. */
function firstKeys(keys: readonly string[], walk: EventWalk): string[] {
  const named = keys.filter((key) => readersByName.has(key))
  const others = keys.filter((key) => !readersByName.has(key))
  const kept = others.slice(0, containerKeysMax)
  if (others.length > kept.length) {
    moveToDetails(walk, '…', { count: others.length - kept.length, truncated: 'keys' })
  }
  return [...named, ...kept]
}

function fillEvent(event: ConvertedEvent, fill: Readonly<Record<string, unknown>>, walk: EventWalk): void {
  const filling = emptyEvent()
  readEvent(filling, fill, walk)
  event.actor = fillObject(event.actor, filling.actor)
  event.error = fillObject(event.error, filling.error)
  event.request = fillObject(event.request, filling.request)
  event.target = fillObject(event.target, filling.target)
  for (const [key, value] of Object.entries(filling.details ?? {})) moveToDetails(walk, key, value)
  filling.details = undefined
  for (const member of readersByName.keys() as MapIterator<keyof typeof readers>) {
    if (event[member] === undefined || event[member] === '') setEventMember(event, member, filling[member])
  }
}

function fillObject(given: JsonObject | undefined, missing: JsonObject | undefined): JsonObject | undefined {
  if (given === undefined || missing === undefined) return given ?? missing
  const keys = Object.keys(missing).filter((key) => !Object.hasOwn(given, key))
  return addMembers(given, { keys, values: keys.map((key) => missing[key] as JsonValue) })
}

function addMembers(
  members: JsonObject = {},
  added: { readonly keys: readonly string[]; readonly values: readonly JsonValue[] },
): JsonObject {
  return gatherMembers([...Object.keys(members), ...added.keys], [...Object.values(members), ...added.values])
}

function setEventMember(event: ConvertedEvent, member: string, value: unknown): void {
  // Each reader gives its own member's type (see `readers`); the compiler cannot follow a key that varies.
  const members = event as unknown as Record<string, unknown>
  members[member] = value
}
