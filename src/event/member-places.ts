/**
 * Finds a few members in canonical JSON bytes (RFC 8785: sorted keys, no white space) in one pass, without parsing.
 * Always holds: a member that is found is what JSON.parse would give. Whatever is unusual where it looks (an escape,
 * a key out of order, a number that is no plain integer, another type) is left to a parser: it answers `false`. Skips
 * what is not wanted by its strings and brackets alone, so the bytes must be JSON.
 */

/** A member to be found, at the top or in an object at the top. */
export interface Wanted {
  readonly key: Buffer
  /** `scalar`: a text or an integer; `object`: its bytes, or only its `parts` where there are some. */
  readonly type: 'text' | 'integer' | 'scalar' | 'object'
  readonly slot: number
  /** By key; empty unless it is an object. */
  readonly parts: readonly Wanted[]
}

const absent = -1
const integer = -2

/** Where the values of a record stand, by slot. */
export class Places {
  /** What the places lie in; UTF-8. */
  source: Buffer = Buffer.alloc(0)
  readonly #starts: Int32Array
  readonly #ends: Int32Array
  readonly #numbers: Float64Array

  constructor(slots: number) {
    this.#starts = new Int32Array(slots)
    this.#ends = new Int32Array(slots)
    this.#numbers = new Float64Array(slots)
  }

  clear(source: Buffer): void {
    this.source = source
    this.#starts.fill(absent)
  }

  isAbsent(slot: number): boolean {
    return this.#starts[slot] === absent
  }

  isNumber(slot: number): boolean {
    return this.#starts[slot] === integer
  }

  /** Of a text without its quotes, of an object with its braces. */
  start(slot: number): number {
    return this.#starts[slot] ?? absent
  }

  end(slot: number): number {
    return this.#ends[slot] ?? absent
  }

  number(slot: number): number {
    return this.#numbers[slot] ?? Number.NaN
  }

  setPlace(slot: number, start: number, end: number): void {
    this.#starts[slot] = start
    this.#ends[slot] = end
  }

  setNumber(slot: number, value: number): void {
    this.#starts[slot] = integer
    this.#numbers[slot] = value
  }
}

const quote = 0x22
const comma = 0x2c
const zero = 0x30
const nine = 0x39
const colon = 0x3a
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** 1 for the bytes of a text that neither end it nor need a look. */
const plain = new Uint8Array(256).fill(1, 0x20)
plain[quote] = 0
plain[backslash] = 0

/** Longest run of digits that is exact as a number. */
const digitsMax = 15

/** Where the search has come to; -1 when it has failed. */
type Offset = number

/** Finds the wanted members of the object that `bytes` are; `false` when a parser must be asked. `wanted` is sorted. */
export function findMembers(bytes: Buffer, wanted: readonly Wanted[], places: Places): boolean {
  places.clear(bytes)
  return findIn(0, wanted, places) === bytes.length
}

/** Goes through the object at `at`; returns where it ends. */
function findIn(at: Offset, wanted: readonly Wanted[], places: Places): Offset {
  const bytes = places.source
  if (bytes[at] !== openBrace) return -1
  if (bytes[at + 1] === closeBrace) return at + 2
  let before = -1
  let next = 0
  let position = at
  do {
    const key = position + 2
    const keyEnd = bytes[position + 1] === quote ? endOfPlainText(bytes, key) : -1
    if (keyEnd < 0 || bytes[keyEnd + 1] !== colon) return -1
    if (before >= 0 && !isSorted(bytes, before, key)) return -1
    before = key
    let one = wanted[next]
    let order = one === undefined ? 1 : compareKey(one.key, bytes, key)
    while (one !== undefined && order < 0) {
      one = wanted[++next]
      order = one === undefined ? 1 : compareKey(one.key, bytes, key)
    }
    const value = keyEnd + 2
    position = one !== undefined && order === 0 ? findValue(value, one, places) : skipValue(bytes, value)
    if (position < 0) return -1
  } while (bytes[position] === comma)
  return bytes[position] === closeBrace ? position + 1 : -1
}

/** Finds one wanted value at `at`; returns where it ends. */
function findValue(at: Offset, one: Wanted, places: Places): Offset {
  if (one.parts.length > 0) return findIn(at, one.parts, places)
  const bytes = places.source
  if (one.type === 'object') {
    const end = bytes[at] === openBrace ? skipValue(bytes, at) : -1
    places.setPlace(one.slot, at, end)
    return end
  }
  if (bytes[at] !== quote) return one.type === 'text' ? -1 : findInteger(at, one.slot, places)
  if (one.type === 'integer') return -1
  const end = endOfPlainText(bytes, at + 1)
  places.setPlace(one.slot, at + 1, end)
  return end < 0 ? -1 : end + 1
}

function findInteger(at: Offset, slot: number, places: Places): Offset {
  const bytes = places.source
  let value = 0
  let end = at
  for (let byte = bytes[end]; byte !== undefined && byte >= zero && byte <= nine; byte = bytes[++end]) {
    value = value * 10 + byte - zero
  }
  const digits = end - at
  const isWhole = bytes[end] === comma || bytes[end] === closeBrace
  if (!isWhole || digits === 0 || digits > digitsMax || (digits > 1 && bytes[at] === zero)) return -1
  places.setNumber(slot, value)
  return end
}

/** Where the text that begins at `at` has its closing quote; -1 when there is an escape before it. */
function endOfPlainText(bytes: Buffer, at: Offset): Offset {
  let end = at
  while (plain[bytes[end] ?? 0] === 1) end += 1
  return bytes[end] === quote ? end : -1
}

/** Where the value at `at` ends, whatever it is. */
function skipValue(bytes: Buffer, at: Offset): Offset {
  if (bytes[at] === quote) return skipText(bytes, at)
  let depth = 0
  for (let end = at; end < bytes.length; end += 1) {
    const byte = bytes[end]
    if (byte === quote) {
      end = skipText(bytes, end) - 1
      if (end < 0) return -1
    } else if (byte === openBrace || byte === openBracket) depth += 1
    else if (byte === closeBrace || byte === closeBracket) {
      if (depth === 0) return byte === closeBrace ? end : -1
      depth -= 1
      if (depth === 0) return end + 1
    } else if (depth === 0 && byte === comma) return end
  }
  return -1
}

/** Where the text that begins at `at` with its quote ends, behind its closing quote. */
function skipText(bytes: Buffer, at: Offset): Offset {
  let end = at + 1
  for (;;) {
    while (plain[bytes[end] ?? 0] === 1) end += 1
    if (bytes[end] === quote) return end + 1
    if (bytes[end] !== backslash) return -1
    end += 2
  }
}

/** Negative when a wanted key comes before the one in the bytes, 0 when they are equal. Wanted keys are a-z and _. */
function compareKey(key: Buffer, bytes: Buffer, at: Offset): number {
  for (let index = 0; index < key.length; index++) {
    const difference = (key[index] ?? 0) - (bytes[at + index] ?? 0)
    if (difference !== 0) return difference
  }
  return bytes[at + key.length] === quote ? 0 : -1
}

/** Whether the key at `a` comes before the one at `b` in bytes; beyond ASCII the canonical order may differ. */
function isSorted(bytes: Buffer, a: Offset, b: Offset): boolean {
  for (let index = 0; ; index++) {
    const left = bytes[a + index]
    const right = bytes[b + index]
    if (left !== right) return left === quote || (right !== quote && Number(left) < Number(right))
    if (left === quote || left === undefined) return false
  }
}
