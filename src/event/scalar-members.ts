/**
 * Typed members that are one value: texts, enumerations, numbers, times.
 * What fits becomes the member. What does not is cut or coerced when that keeps its meaning, else it moves to
 * `details` under the member's dotted name; each such step is listed in `validation`. Nothing is lost in silence.
 * A member that is null, undefined, a function or a symbol is absent.
 */

import { types } from 'node:util'
import { formatTimestamp, normalizeTimestamp } from '../clock.ts'
import { identifierBytesMax, messageBytesMax, userAgentBytesMax, validationsMax } from '../limits.ts'
import { isIntegerLikeKey, type JsonObject, type JsonValue } from './canonical.ts'
import { type Conversion, convertValue, dateText } from './value.ts'

/** What was wrong: a required member `missing`, a text `cut` to its limit, another `type`, no allowed `value`. */
export type ValidationRule = 'missing' | 'cut' | 'type' | 'value'

/** The walk over one event. */
export interface EventWalk extends Conversion {
  /** At most `validationsMax`: what is wrong with an event is told by the first of them. */
  validation: JsonObject[] | undefined
  /** What goes to `details` beside the event's own, in order of arrival. */
  moved: { readonly keys: string[]; readonly values: JsonValue[] } | undefined
}

/** An enumeration: its dotted name, its values, and the one that stands for anything else. */
export interface Enumeration<T extends string> {
  readonly name: string
  readonly values: ReadonlySet<string>
  readonly fallback: T
}

/** A text of this many UTF-16 units fits every limit, whatever it holds. */
export const shortTextMax = Math.floor(identifierBytesMax / 3)

/** Lists a finding about the member of this dotted name: `actor.id` is listed as `/actor/id`. */
export function noteFinding(walk: EventWalk, name: string, rule: ValidationRule): void {
  walk.validation ??= []
  if (walk.validation.length === validationsMax) return
  walk.validation.push({ pointer: `/${name.replaceAll('.', '/')}`, rule })
}

/** Keeps a converted value in `details`. */
export function moveToDetails(walk: EventWalk, key: string, value: JsonValue | undefined): void {
  if (value === undefined) return
  if (isIntegerLikeKey(key)) walk.hasIntegerLikeKey = true
  walk.moved ??= { keys: [], values: [] }
  walk.moved.keys.push(key)
  walk.moved.values.push(value)
}

/** For a value that its member cannot hold: it moves to `details` and is listed; null is simply absent. */
export function refuse(value: unknown, name: string, walk: EventWalk): undefined {
  const converted = convertValue(value, walk)
  if (converted === undefined || converted === null) return
  noteFinding(walk, name, 'type')
  moveToDetails(walk, name, converted)
}

/** An identifier, message or other text, cut to its limit. Numbers, booleans and bigints are printed. */
export function readText(value: unknown, name: string, walk: EventWalk): string | undefined {
  switch (typeof value) {
    case 'string':
      return fitText(value, name, walk)
    case 'number':
    case 'boolean':
    case 'bigint':
      noteFinding(walk, name, 'type')
      return fitText(String(value), name, walk)
    default:
      return refuse(value, name, walk)
  }
}

/** One of the enumeration's values; anything else becomes its fallback and is kept in `details`. */
export function readEnumeration<T extends string>(
  value: unknown,
  enumeration: Enumeration<T>,
  walk: EventWalk,
): T | undefined {
  if (typeof value === 'string' && enumeration.values.has(value)) return value as T
  const converted = convertValue(value, walk)
  if (converted === undefined || converted === null) return undefined
  noteFinding(walk, enumeration.name, 'value')
  moveToDetails(walk, enumeration.name, converted)
  return enumeration.fallback
}

/** A number within ±(2^53 − 1); bigints and numeric strings are taken at their word. */
export function readNumber(value: unknown, name: string, walk: EventWalk): number | undefined {
  if (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value + 0 // −0 becomes 0
  const spoken = typeof value === 'bigint' || (typeof value === 'string' && value.length <= 32 && value.trim() !== '')
  const parsed = spoken ? Number(value) : Number.NaN
  if (!(Math.abs(parsed) <= Number.MAX_SAFE_INTEGER)) return refuse(value, name, walk)
  noteFinding(walk, name, 'type')
  return parsed + 0
}

/** RFC 3339, a Date or milliseconds since the epoch, in the record's nine-digit form. */
export function readTimestamp(value: unknown, name: string, walk: EventWalk): string | undefined {
  if (typeof value === 'string') return normalizeTimestamp(value) ?? refuse(value, name, walk)
  if (types.isDate(value)) return dateText(value) ?? refuse('Invalid Date', name, walk)
  if (typeof value !== 'number') return refuse(value, name, walk)
  const ms = Math.floor(value)
  return formatTimestamp(ms, Math.floor((value - ms) * 1_000_000)) ?? refuse(String(value), name, walk)
}

/** The text, well-formed and cut at a code point to its limit, which is listed. */
function fitText(text: string, name: string, walk: EventWalk): string {
  if (text.length <= shortTextMax) return text.toWellFormed()
  const bytesMax = textBytesMax(name)
  const fitting = cutText(text.slice(0, bytesMax + 1).toWellFormed(), bytesMax)
  if (fitting.length === text.length) return fitting
  noteFinding(walk, name, 'cut')
  return fitting
}

/** The longest beginning of a text that ends at a code point and has at most so many bytes of UTF-8. */
export function cutText(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return text
  let end = bytesMax
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

function textBytesMax(name: string): number {
  if (name === 'reason' || name.endsWith('.message')) return messageBytesMax
  return name.endsWith('.user_agent') ? userAgentBytesMax : identifierBytesMax
}
