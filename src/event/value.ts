/**
 * Turns any JavaScript value into plain JSON, by the rules of docs/formats.md section 1b.
 * What comes out is fresh and ours: strings well-formed, numbers finite, keys inserted in sorted order, depth,
 * width and total size bounded. The first walk is fast and lets hostile getters and proxies throw; the caller then
 * walks again with `careful`, where each read is guarded and what cannot be read becomes `{"unreadable":true}`.
 */

import { hash } from 'node:crypto'
import { types } from 'node:util'
import { formatTimestamp } from '../clock.ts'
import { binaryBytesMax, containerKeysMax, depthMax, eventSizeMax } from '../limits.ts'
import { isIntegerLikeKey, type JsonObject, type JsonValue, sortKeys } from './canonical.ts'

/** The state of one walk. */
export interface Conversion {
  /** Whether every read is guarded. */
  readonly careful: boolean
  /** Set when any key of the result is integer-like, so that JSON.stringify would not keep the order. */
  hasIntegerLikeKey: boolean
  /** What is left of `eventSizeMax`: shared references could otherwise unfold without end. */
  sizeLeft: number
  /** The containers being walked, outermost first: where a cycle would close. */
  readonly ancestors: object[]
}

export function startConversion(careful: boolean): Conversion {
  return { careful, hasIntegerLikeKey: false, sizeLeft: eventSizeMax, ancestors: [] }
}

/** Counted for each value beside its own length, so that many small values are bounded too. */
const valueSize = 256
const restKey = '…'

/** The JSON form of a value; `undefined` when it has none (undefined, functions, symbols). */
export function convertValue(value: unknown, walk: Conversion): JsonValue | undefined {
  walk.sizeLeft -= valueSize
  switch (typeof value) {
    case 'string':
      return convertText(value, walk)
    case 'number':
      return convertNumber(value)
    case 'boolean':
      return value
    case 'bigint':
      // Printing grows with the square of the length: a million digits would block the process.
      return BigInt.asIntN(4_096, value) === value ? String(value) : unfitting(value.toString(16).length >> 1)
    case 'object':
      return value === null ? null : convertContainer(value, walk)
    default:
      return undefined
  }
}

/** Whether the value is an object that holds members of its own, rather than a list, a date, an error or bytes. */
export function hasMembers(value: object): boolean {
  return isPlain(value) || !(Array.isArray(value) || isBuiltIn(value))
}

/** Sets a member, whatever its key: what the prototype has by that name (`__proto__`, a frozen method) stays out. */
export function setMember(target: JsonObject, key: string, value: JsonValue): void {
  if (key in target) Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  else target[key] = value
}

/** Reads one member; a getter or trap that throws gives `{unreadable: true}` on a careful walk. */
export function readMember(source: object, key: string | number, walk: Conversion): unknown {
  const members = source as Readonly<Record<string | number, unknown>>
  if (!walk.careful) return members[key]
  try {
    return members[key]
  } catch {
    return { unreadable: true } // what stands in the record says that there was something
  }
}

/** Makes keys well-formed and distinct, in their order: a second `a` becomes `a#2`, a third `a#3`. */
export function distinctKeys(keys: readonly string[]): string[] {
  const taken = new Set<string>()
  const copies = new Map<string, number>()
  return keys.map((given) => {
    const key = given.toWellFormed()
    let copy = copies.get(key) ?? 0
    let name: string
    do name = ++copy === 1 ? key : `${key}#${copy}`
    while (taken.has(name))
    copies.set(key, copy)
    taken.add(name)
    return name
  })
}

/** One object of these members, keys sorted; of two equal keys the later one gets `#2`. */
export function gatherMembers(keys: readonly string[], values: readonly JsonValue[]): JsonObject {
  const byKey = new Map(distinctKeys(keys).map((key, index) => [key, values[index] as JsonValue]))
  const gathered: JsonObject = {}
  for (const key of [...byKey.keys()].sort()) setMember(gathered, key, byKey.get(key) as JsonValue)
  return gathered
}

/** RFC 3339 with nine digits; `undefined` for an invalid date and for years RFC 3339 lacks. */
export function dateText(date: Date): string | undefined {
  return formatTimestamp(Date.prototype.getTime.call(date))
}

function convertText(text: string, walk: Conversion): JsonValue {
  if (text.length > walk.sizeLeft) return unfitting(Buffer.byteLength(text))
  walk.sizeLeft -= text.length
  return text.toWellFormed()
}

function convertNumber(value: number): JsonValue {
  if (value <= 9_007_199_254_740_992 && value >= -9_007_199_254_740_992) return value + 0 // −0 becomes 0
  if (!Number.isFinite(value)) return null
  return BigInt(value).toString() // every double beyond 2^53 is an integer
}

function convertContainer(value: object, walk: Conversion): JsonValue {
  const { ancestors } = walk
  if (ancestors.includes(value)) return { truncated: 'cycle' }
  const depth = ancestors.length
  if (depth > depthMax) return { truncated: 'depth' }
  ancestors.push(value)
  const converted = walk.careful ? convertCarefully(value, walk) : convertByKind(value, walk)
  ancestors.length = depth
  return converted
}

function convertCarefully(value: object, walk: Conversion): JsonValue {
  try {
    return convertByKind(value, walk)
  } catch {
    return { unreadable: true } // a revoked proxy, or a trap that throws: said in its place
  }
}

function convertByKind(value: object, walk: Conversion): JsonValue {
  if (isPlain(value)) return convertMembers(value, 0, walk)
  if (Array.isArray(value)) return convertElements(value, value.length, walk)
  if (!isBuiltIn(value)) return convertMembers(value, 0, walk)
  if (types.isDate(value)) return dateText(value) ?? null
  if (types.isMap(value)) return convertMap(value, walk)
  if (types.isSet(value)) return convertSet(value, walk)
  if (ArrayBuffer.isView(value))
    return convertBytes(Buffer.from(value.buffer, value.byteOffset, value.byteLength), walk)
  if (types.isAnyArrayBuffer(value)) return convertBytes(Buffer.from(value), walk)
  return convertError(value, walk)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function isBuiltIn(value: object): boolean {
  return (
    types.isDate(value) ||
    types.isMap(value) ||
    types.isSet(value) ||
    ArrayBuffer.isView(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isNativeError(value) ||
    value instanceof Error
  )
}

function convertMembers(source: object, uncounted: number, walk: Conversion): JsonObject {
  const keys = Object.keys(source)
  let rest = uncounted
  if (keys.length > containerKeysMax) {
    rest += keys.length - containerKeysMax
    keys.length = containerKeysMax
  }
  sortKeys(keys)
  const converted: JsonObject = {}
  let wellFormed = true
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as string
    if (key.length > walk.sizeLeft) {
      rest += keys.length - index
      break
    }
    const value = convertMember(source, key, walk)
    if (value === undefined) continue
    if (!key.isWellFormed()) wellFormed = false
    setMember(converted, key, value)
  }
  if (rest > 0) return gatherMembers([...Object.keys(converted), restKey], [...Object.values(converted), unread(rest)])
  return wellFormed ? converted : gatherMembers(Object.keys(converted), Object.values(converted))
}

function convertMember(source: object, key: string, walk: Conversion): JsonValue | undefined {
  walk.sizeLeft -= key.length
  if (key.charCodeAt(0) <= 57 && isIntegerLikeKey(key)) walk.hasIntegerLikeKey = true
  return convertValue(readMember(source, key, walk), walk)
}

function convertElements(source: readonly unknown[], length: unknown, walk: Conversion): JsonValue[] {
  const claimed = countOf(length)
  const kept = Math.min(claimed, containerKeysMax)
  const converted: JsonValue[] = []
  while (converted.length < kept && walk.sizeLeft > 0) {
    converted.push(convertValue(readMember(source, converted.length, walk), walk) ?? null)
  }
  if (claimed > converted.length) converted.push(unread(claimed - converted.length))
  return converted
}

function convertSet(set: ReadonlySet<unknown>, walk: Conversion): JsonValue[] {
  const elements: unknown[] = []
  for (const element of Set.prototype.values.call(set)) {
    if (elements.length === containerKeysMax) break
    elements.push(element)
  }
  return convertElements(elements, set.size, walk)
}

function convertMap(map: ReadonlyMap<unknown, unknown>, walk: Conversion): JsonObject {
  const keys: string[] = []
  const values: unknown[] = []
  for (const [key, value] of Map.prototype.entries.call(map)) {
    if (keys.length === containerKeysMax) break
    keys.push(mapKey(key))
    values.push(value)
  }
  const members: Record<string, unknown> = Object.create(null)
  for (const [index, key] of distinctKeys(keys).entries()) members[key] = values[index]
  return convertMembers(members, Math.max(0, countOf(map.size) - keys.length), walk)
}

function mapKey(key: unknown): string {
  if (typeof key === 'object' && key !== null) return types.isDate(key) ? (dateText(key) ?? 'null') : 'object'
  return typeof key === 'function' || typeof key === 'symbol' ? typeof key : String(key)
}

function convertError(error: object, walk: Conversion): JsonObject {
  const name = readMember(error, 'name', walk)
  const message = readMember(error, 'message', walk)
  return {
    class: convertText(typeof name === 'string' ? name : 'Error', walk),
    message: convertText(typeof message === 'string' ? message : '', walk),
  }
}

function convertBytes(bytes: Buffer, walk: Conversion): JsonObject {
  if (bytes.length <= binaryBytesMax) return { base64: bytes.toString('base64') }
  walk.sizeLeft -= bytes.length >> 4
  return walk.sizeLeft < 0 ? unfitting(bytes.length) : { bytes: bytes.length, sha256: hash('sha256', bytes, 'hex') }
}

/** A length or size as the value states it: proxies and subclasses may claim anything. */
function countOf(length: unknown): number {
  return typeof length === 'number' && length > 0 ? Math.floor(Math.min(length, Number.MAX_SAFE_INTEGER)) : 0
}

function unread(count: number): JsonObject {
  return { count, truncated: 'keys' }
}

/** In place of what `eventSizeMax` has no room for; it could not stay in any record. */
function unfitting(bytes: number): JsonObject {
  return { bytes, trimmed: true }
}
