/**
 * Goes over JSON as bytes, without parsing it: where a value ends. Takes compact JSON alone, with integers, and is strict:
 * where it answers JSON.parse takes the value, and -1 says that a parser must be asked. `look` says which bytes are meant.
 */

export const quote = 0x22
export const comma = 0x2c
export const colon = 0x3a
export const backslash = 0x5c
export const [openBracket, closeBracket] = [0x5b, 0x5d]
export const [openBrace, closeBrace] = [0x7b, 0x7d]
export const minus = 0x2d
export const [zero, nine] = [0x30, 0x39]
/** Deeper values are left to the parser. */
const depthMax = 48
/** Longest run of digits that is exact as a number. */
export const digitsMax = 15
/** 1 for the bytes of a JSON text that end nothing. */
const plain = new Uint8Array(256).fill(1, 0x20)
plain[quote] = 0
plain[backslash] = 0

/** The bytes being read, in words of four from anywhere in the memory that they share with others. */
let words: DataView = new DataView(new ArrayBuffer(0))
let wordsFrom = 0
let lastWordAt = 0

/** Says which bytes are read from here on. */
export function look(bytes: Buffer): void {
  if (bytes.buffer !== words.buffer) words = new DataView(bytes.buffer)
  wordsFrom = bytes.byteOffset
  lastWordAt = bytes.length - 4
}

/** Where the value at `at` ends, or -1 when it is not compact JSON. */
export function skipValue(bytes: Buffer, at: number, depth: number): number {
  switch (bytes[at]) {
    case quote:
      return skipText(bytes, at)
    case openBrace:
      return skipObject(bytes, at, depth)
    case openBracket:
      return skipArray(bytes, at, depth)
    case 0x74:
      return isKey(bytes, at, 'true') ? at + 4 : -1
    case 0x66:
      return isKey(bytes, at, 'false') ? at + 5 : -1
    case 0x6e:
      return isKey(bytes, at, 'null') ? at + 4 : -1
    default:
      return skipNumber(bytes, at)
  }
}

function skipObject(bytes: Buffer, at: number, depth: number): number {
  if (depth === depthMax) return -1
  if (bytes[at + 1] === closeBrace) return at + 2
  let end = at
  do {
    const keyEnd = bytes[end + 1] === quote ? skipText(bytes, end + 1) : -1
    if (keyEnd < 0 || bytes[keyEnd] !== colon) return -1
    end = skipValue(bytes, keyEnd + 1, depth + 1)
    if (end < 0) return -1
  } while (bytes[end] === comma)
  return bytes[end] === closeBrace ? end + 1 : -1
}

function skipArray(bytes: Buffer, at: number, depth: number): number {
  if (depth === depthMax) return -1
  if (bytes[at + 1] === closeBracket) return at + 2
  let end = at
  do {
    end = skipValue(bytes, end + 1, depth + 1)
    if (end < 0) return -1
  } while (bytes[end] === comma)
  return bytes[end] === closeBracket ? end + 1 : -1
}

/** Integers, with a sign or without; fractions and exponents are left to the parser. */
export function skipNumber(bytes: Buffer, at: number): number {
  const start = bytes[at] === minus ? at + 1 : at
  let end = start
  for (let byte = bytes[end] ?? 0; byte >= zero && byte <= nine; byte = bytes[++end] ?? 0) {}
  if (end === start || (bytes[start] === zero && end > start + 1)) return -1
  const next = bytes[end]
  return next === comma || next === closeBrace || next === closeBracket ? end : -1
}

/** Where the text that begins at `at` with its quote ends, behind its closing quote. */
export function skipText(bytes: Buffer, at: number): number {
  let end = at + 1
  for (;;) {
    end = skipPlain(bytes, end)
    if (bytes[end] === quote) return end + 1
    if (bytes[end] !== backslash) return -1
    const escaped = bytes[end + 1] ?? 0
    if (escaped === 0x75) {
      for (let digit = end + 2; digit < end + 6; digit += 1) if (!isHexDigit(bytes[digit] ?? 0)) return -1
      end += 6
    } else if (shortEscapes.has(escaped)) end += 2
    else return -1
  }
}

/**
 * The first byte from `at` on that is `"`, `\` or a control character, or the end. Four bytes are looked at together: a
 * byte below 0x20, or made 0 by xor with what is looked for, borrows from its highest bit. What borrows beside one that
 * does not count is told apart byte by byte. Half the time of a scan in single bytes.
 */
export function skipPlain(bytes: Buffer, at: number): number {
  let end = at
  for (;;) {
    while (end <= lastWordAt && !mayEndText(words.getInt32(wordsFrom + end, true))) end += 4
    const next = Math.min(end + 4, bytes.length)
    while (end < next && plain[bytes[end] as number] === 1) end += 1
    if (end < next || end === bytes.length) return end
  }
}

/** How many bytes from `at` on are those of `other` from `from` on, below `to`; up to three fewer than there are. */
export function countSame(
  at: number,
  other: DataView,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const shift = wordsFrom + at - from
  const end = Math.min(to - 4, lastWordAt - at + from)
  let next = from
  while (next <= end && words.getInt32(next + shift, true) === other.getInt32(next, true)) next += 4
  return next - from
}

function mayEndText(word: number): boolean {
  const quotes = word ^ 0x22222222
  const backslashes = word ^ 0x5c5c5c5c
  const borrowed =
    ((word - 0x20202020) & ~word) | ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes)
  return (borrowed & 0x80808080) !== 0
}

const shortEscapes = new Set(Buffer.from('"\\/bfnrt'))

function isHexDigit(byte: number): boolean {
  return (byte >= zero && byte <= nine) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}

/** Where the text that begins at `at`, behind its quote, has its closing quote; -1 when anything else ends it. */
export function endOfPlain(bytes: Buffer, at: number): number {
  const end = skipPlain(bytes, at)
  return bytes[end] === quote ? end : -1
}

/**
 * Where the text that begins at `at` with its quote ends, behind its closing quote; -1 when it is empty, which is one
 * that is absent here, or holds escapes or what is beyond ASCII: a parser decodes those.
 */
export function endOfAscii(bytes: Buffer, at: number): number {
  if (bytes[at] !== quote) return -1
  let end = at + 1
  for (let byte = bytes[end] ?? 0; plain[byte] === 1 && byte < 0x7f; byte = bytes[++end] ?? 0) {}
  return bytes[end] === quote && end > at + 1 ? end + 1 : -1
}

export function isKey(bytes: Buffer, at: number, key: string): boolean {
  for (let index = 0; index < key.length; index += 1) if (bytes[at + index] !== key.charCodeAt(index)) return false
  return true
}
