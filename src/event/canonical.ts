/**
 * Canonical JSON (RFC 8785, JCS): keys sorted by UTF-16 code units, ECMAScript numbers, no white space.
 * `canonicalize` is strict and takes anything; what is not plain JSON is refused, never guessed at.
 * `stringifySorted` is the fast path for trees that `value.ts` has built: there `JSON.stringify` already gives
 * the canonical text (2.5 µs a record against 6), except where JavaScript reorders integer-like keys.
 */

/** A plain JSON value. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject

/** A plain JSON object: own enumerable members only, all of them JSON values. */
export interface JsonObject {
  [key: string]: JsonValue
}

/** Deeper than this a value counts as cyclic; a record never comes near it. */
const nestingMax = 1_000

/**
 * The RFC 8785 text of a plain JSON value.
 * @throws TypeError naming the JSON pointer (RFC 6901) of the first value that is not plain JSON: undefined, a
 * function, symbol or bigint, NaN or an infinity, a lone surrogate, a hole, a cycle, an object with a prototype.
 */
export function canonicalize(value: unknown): string {
  return writeValue(value, [])
}

/** The canonical text of a tree whose keys were inserted in sorted order, and that holds nothing but JSON. */
export function stringifySorted(tree: JsonValue, hasIntegerLikeKey: boolean): string {
  // A program may have put a toJSON on a built-in prototype (some old libraries do): JSON.stringify would call it.
  return hasIntegerLikeKey || 'toJSON' in Array.prototype ? canonicalize(tree) : JSON.stringify(tree)
}

const integerLike = /^(?:0|[1-9]\d{0,9})$/

/** Whether JavaScript may move this key to the front of its object, whatever the order of insertion. */
export function isIntegerLikeKey(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 48 && first <= 57 && integerLike.test(key)
}

/** Sorts keys in place by UTF-16 code units. Keys that are in order, the common case, cost one pass. */
export function sortKeys(keys: string[]): string[] {
  if (keys.length > 16) return isSorted(keys) ? keys : keys.sort()
  // Insertion sort is a single pass over sorted keys and beats the built-in sort threefold on short lists.
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i] as string
    let j = i
    for (; j > 0 && (keys[j - 1] as string) > key; j--) keys[j] = keys[j - 1] as string
    if (j !== i) keys[j] = key
  }
  return keys
}

/** A pointer's reference token (RFC 6901). */
export function pointerToken(key: string): string {
  return key.includes('~') || key.includes('/') ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key
}

function isSorted(keys: readonly string[]): boolean {
  for (let i = 1; i < keys.length; i++) if ((keys[i] as string) < (keys[i - 1] as string)) return false
  return true
}

function writeValue(value: unknown, path: string[]): string {
  switch (typeof value) {
    case 'string':
      return writeString(value, path)
    case 'number':
      if (!Number.isFinite(value)) throw refusal(path, `${value} is not a JSON number`)
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (path.length > nestingMax) throw refusal(path.slice(0, 8), `nesting beyond ${nestingMax}, or a cycle`)
      return Array.isArray(value) ? writeArray(value, path) : writeObject(value, path)
    default:
      throw refusal(path, `a value of type ${typeof value} is not JSON`)
  }
}

function writeString(text: string, path: readonly string[]): string {
  if (!text.isWellFormed()) throw refusal(path, 'a lone surrogate is not JSON text')
  return JSON.stringify(text)
}

function writeArray(elements: readonly unknown[], path: string[]): string {
  let text = '['
  for (let index = 0; index < elements.length; index++) {
    path.push(String(index))
    text += index === 0 ? writeValue(elements[index], path) : `,${writeValue(elements[index], path)}`
    path.pop()
  }
  return `${text}]`
}

function writeObject(object: object, path: string[]): string {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype !== null && prototype !== Object.prototype) throw refusal(path, 'not a plain object')
  const members = object as Readonly<Record<string, unknown>>
  let text = '{'
  for (const key of sortKeys(Object.keys(members))) {
    path.push(key)
    if (text.length > 1) text += ','
    text += `${writeString(key, path)}:${writeValue(members[key], path)}`
    path.pop()
  }
  return `${text}}`
}

function refusal(path: readonly string[], reason: string): TypeError {
  const pointer = path.map((key) => `/${pointerToken(key)}`).join('')
  return new TypeError(`not canonical JSON at "${pointer}": ${reason}`)
}
