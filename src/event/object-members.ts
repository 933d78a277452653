/**
 * Typed members that are objects: actor, target(s), request, error, trace.
 * Members of theirs that the format does not name stay where they are; the named ones are checked as
 * `scalar-members.ts` says. What is no object at all, and cannot stand for one, moves to `details`.
 */

import { types } from 'node:util'
import type { JsonObject, JsonValue } from './canonical.ts'
import { classifyError } from './error-class.ts'
import { type ActorType, actorTypes, type ErrorClass, errorClasses, type TraceReference } from './event.ts'
import {
  type Enumeration,
  type EventWalk,
  noteFinding,
  readEnumeration,
  readNumber,
  readText,
  refuse,
  shortTextMax,
} from './scalar-members.ts'
import { convertValue, gatherMembers, readMember } from './value.ts'

const actorType: Enumeration<ActorType> = {
  name: 'actor.type',
  values: new Set(actorTypes),
  fallback: 'unknown',
}

const errorClass: Enumeration<ErrorClass> = {
  name: 'error.class',
  values: new Set(errorClasses),
  fallback: 'unknown',
}

/** The texts that the format names in each object, in sorted order; trimming keeps them to the last. */
export const namedTexts = {
  actor: ['id', 'name', 'on_behalf_of', 'type'],
  error: ['class', 'code', 'message'],
  request: ['id', 'method', 'route', 'source_ip', 'user_agent'],
  target: ['id', 'name', 'resource_type'],
} as const

/** Any object, such as `details` or `changes`. */
export function readObject(value: unknown, name: string, walk: EventWalk): JsonObject | undefined {
  const converted = convertValue(value, walk)
  return isObject(converted) ? converted : refuse(converted, name, walk)
}

/** The actor; a bare identifier stands for `{id}`. */
export function readActor(value: unknown, name: string, walk: EventWalk): JsonObject | undefined {
  const actor = readReference(value, name, walk)
  if (actor === undefined) return undefined
  checkTexts(actor, name, walk)
  if (actor.type !== undefined) replaceMember(actor, 'type', readEnumeration(actor.type, actorType, walk))
  if (actor.roles !== undefined) replaceMember(actor, 'roles', readRoles(actor.roles, walk))
  return actor
}

/** The target of this dotted name (`target`, `targets.0`); a bare identifier stands for `{id}`. */
export function readTarget(value: unknown, name: string, walk: EventWalk): JsonObject | undefined {
  const target = readReference(value, name, walk)
  if (target !== undefined) checkTexts(target, name, walk)
  return target
}

/** The list of targets; a single object stands for a list of one. */
export function readTargets(value: unknown, name: string, walk: EventWalk): JsonObject[] | undefined {
  const converted = convertValue(value, walk)
  if (converted === undefined || converted === null) return undefined
  if (!Array.isArray(converted)) noteFinding(walk, name, 'type')
  const list = Array.isArray(converted) ? converted : [converted]
  const targets: JsonObject[] = []
  for (const [index, element] of list.entries()) {
    const target = readTarget(element, `${name}.${index}`, walk)
    if (target !== undefined) targets.push(target)
  }
  return targets
}

export function readRequest(value: unknown, name: string, walk: EventWalk): JsonObject | undefined {
  const request = readObject(value, name, walk)
  if (request === undefined) return undefined
  checkTexts(request, name, walk)
  if (request.status !== undefined) {
    replaceMember(request, 'status', readNumber(request.status, 'request.status', walk))
  }
  return request
}

/** Class, code and message of whatever was given: a class, a message, an Error, or an object of the three. */
export function readError(value: unknown, name: string, walk: EventWalk): JsonObject | undefined {
  if (typeof value === 'string') return classOrMessage(value, walk)
  if (types.isNativeError(value)) return describeError(value, walk)
  const error = readObject(value, name, walk)
  if (error === undefined) return undefined
  checkTexts(error, name, walk)
  const known = readEnumeration(error.class, errorClass, walk) ?? 'unknown'
  if (error.class === undefined) {
    return gatherMembers(['class', ...Object.keys(error)], [known, ...Object.values(error)])
  }
  error.class = known
  return error
}

const traceId = /^(?!0{32})[0-9a-f]{32}$/i
const spanId = /^(?!0{16})[0-9a-f]{16}$/i

/** Trace context in lower case; as a whole it is valid or refused. */
export function readTrace(value: unknown, name: string, walk: EventWalk): TraceReference | undefined {
  const given = readObject(value, name, walk)
  if (given === undefined) return undefined
  const { id, span, flags = 0 } = given
  if (typeof id !== 'string' || !traceId.test(id)) return refuse(given, name, walk)
  if (typeof span !== 'string' || !spanId.test(span)) return refuse(given, name, walk)
  if (!isFlags(flags)) return refuse(given, name, walk)
  return { flags, id: id.toLowerCase(), span: span.toLowerCase() }
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFlags(flags: JsonValue): flags is number {
  return typeof flags === 'number' && Number.isInteger(flags) && flags >= 0 && flags <= 255
}

function readReference(value: unknown, name: string, walk: EventWalk): JsonObject | undefined {
  if (typeof value === 'object') return readObject(value, name, walk)
  if (typeof value === 'string') noteFinding(walk, name, 'type')
  const id = readText(value, `${name}.id`, walk)
  return id === undefined ? undefined : { id }
}

/** Checks, in place, the texts that the format names in an object of this dotted name. */
function checkTexts(members: JsonObject, name: string, walk: EventWalk): void {
  const keys = namedTexts[(name.startsWith('targets.') ? 'target' : name) as keyof typeof namedTexts]
  for (const key of keys) {
    const text = members[key]
    if (text === undefined || (typeof text === 'string' && text.length <= shortTextMax)) continue
    replaceMember(members, key, readText(text, `${name}.${key}`, walk))
  }
}

function readRoles(roles: JsonValue, walk: EventWalk): JsonValue[] | undefined {
  if (typeof roles === 'string') noteFinding(walk, 'actor.roles', 'type')
  const list = typeof roles === 'string' ? [roles] : roles
  if (!Array.isArray(list)) return refuse(list, 'actor.roles', walk)
  for (const [index, role] of list.entries()) {
    if (!isObject(role)) list[index] = readText(role, `actor.roles.${index}`, walk) ?? null
  }
  return list
}

function classOrMessage(text: string, walk: EventWalk): JsonObject {
  if (errorClass.values.has(text)) return { class: text }
  noteFinding(walk, 'error.class', 'value')
  return { class: 'unknown', message: readText(text, 'error.message', walk) ?? '' }
}

function describeError(error: Error, walk: EventWalk): JsonObject {
  const described: JsonObject = { class: classifyError(error) }
  const code = readMember(error, 'code', walk)
  if (typeof code === 'string') replaceMember(described, 'code', readText(code, 'error.code', walk))
  replaceMember(described, 'message', readText(readMember(error, 'message', walk), 'error.message', walk))
  return described
}

function replaceMember(members: JsonObject, key: string, value: JsonValue | undefined): void {
  if (value === undefined) delete members[key]
  else members[key] = value
}
