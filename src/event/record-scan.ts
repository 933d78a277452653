/**
 * Reads from the bytes of a record the few members that verification asks of every one, in a single pass and without
 * parsing. Always holds: where it answers, JSON.parse of the same bytes succeeds and gives the same members, whatever
 * the bytes are (a property test, for canonical, damaged and hostile ones). It takes only compact JSON whose keys at
 * depth one stand in the order of their bytes, without escapes in them; everything else it leaves to the parser.
 */

/** What was read last, valid until the next scan; the same object each time. An absent text is ''. */
export interface ScannedRecord {
  stream: string
  seq: number
  eventType: string
  hasClock: boolean
  readonly prev: string
  readonly recorded: string
  /** Where the text of `prev` stands in the bytes; the same place twice where there is none. */
  prevFrom: number
  prevTo: number
  recordedFrom: number
  recordedTo: number
}

/** Every record differs in `prev` and `recorded`: they are made into texts only for those who ask. */
const scanned: ScannedRecord = {
  stream: '',
  seq: 0,
  eventType: '',
  hasClock: false,
  prevFrom: 0,
  prevTo: 0,
  recordedFrom: 0,
  recordedTo: 0,
  get prev() {
    return text.toString('latin1', this.prevFrom, this.prevTo)
  },
  get recorded() {
    return text.toString('latin1', this.recordedFrom, this.recordedTo)
  },
}

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const backslash = 0x5c
const [openBracket, closeBracket] = [0x5b, 0x5d]
const [openBrace, closeBrace] = [0x7b, 0x7d]
const minus = 0x2d
const [zero, nine] = [0x30, 0x39]
/** Deeper values are left to the parser. */
const depthMax = 48
/** Longest run of digits that is exact as a number. */
const digitsMax = 15
/** 1 for the bytes of a JSON text that end nothing. */
const plain = new Uint8Array(256).fill(1, 0x20)
plain[quote] = 0
plain[backslash] = 0

/** The bytes being read: one by one, and in words of four from anywhere in the memory that they share with others. */
let text: Buffer = Buffer.alloc(0)
let words = new DataView(text.buffer)
let wordsFrom = 0
let lastWordAt = 0

function look(bytes: Buffer): void {
  if (bytes.buffer !== words.buffer) words = new DataView(bytes.buffer)
  text = bytes
  wordsFrom = bytes.byteOffset
  lastWordAt = bytes.length - 4
}

/** `undefined` where a parser must be asked. */
export function scanRecord(bytes: Buffer): Readonly<ScannedRecord> | undefined {
  scanned.stream = ''
  scanned.prevFrom = scanned.prevTo = 0
  scanned.recordedFrom = scanned.recordedTo = 0
  scanned.eventType = ''
  scanned.seq = 0
  scanned.hasClock = false
  look(bytes)
  return scanTop(bytes) === bytes.length ? scanned : undefined
}

/** Goes through the members of the record; returns where it ends, or -1. */
function scanTop(bytes: Buffer): number {
  if (bytes[0] !== openBrace) return -1
  let before = -1
  let at = 0
  do {
    const key = at + 2
    const keyEnd = bytes[at + 1] === quote ? endOfPlain(bytes, key) : -1
    if (keyEnd < 0 || bytes[keyEnd + 1] !== colon) return -1
    if (before >= 0 && !isSorted(bytes, before, key)) return -1
    before = key
    at = scanMember(bytes, key, keyEnd)
    if (at < 0) return -1
  } while (bytes[at] === comma)
  return bytes[at] === closeBrace ? at + 1 : -1
}

/** Keys are told apart by length and first byte; the rest is compared. */
function scanMember(bytes: Buffer, key: number, keyEnd: number): number {
  const value = keyEnd + 2
  switch (keyEnd - key) {
    case 3:
      if (isKey(bytes, key, 'seq')) return scanSequence(bytes, value)
      break
    case 4:
      if (isKey(bytes, key, 'prev')) return scanPrev(bytes, value)
      break
    case 5:
      if (isKey(bytes, key, 'clock')) return scanClock(bytes, value)
      break
    case 6:
      if (isKey(bytes, key, 'stream')) return scanUsual(bytes, value, 'stream')
      break
    case 8:
      if (isKey(bytes, key, 'recorded')) return scanRecorded(bytes, value)
      break
    case 10:
      if (isKey(bytes, key, 'event_type')) return scanUsual(bytes, value, 'eventType')
      break
  }
  return skipValue(bytes, value, 0)
}

function isKey(bytes: Buffer, at: number, key: string): boolean {
  for (let index = 0; index < key.length; index += 1) if (bytes[at + index] !== key.charCodeAt(index)) return false
  return true
}

/** The texts that were read last: most records of a copy have the same stream and type, and need none made. */
const last = { stream: '', eventType: '' }

function scanPrev(bytes: Buffer, at: number): number {
  const end = endOfAscii(bytes, at)
  scanned.prevFrom = at + 1
  scanned.prevTo = end - 1
  return end
}

function scanRecorded(bytes: Buffer, at: number): number {
  const end = endOfAscii(bytes, at)
  scanned.recordedFrom = at + 1
  scanned.recordedTo = end - 1
  return end
}

function scanUsual(bytes: Buffer, at: number, member: 'stream' | 'eventType'): number {
  const end = endOfAscii(bytes, at)
  const usual = last[member]
  if (usual.length !== end - at - 2 || !isKey(bytes, at + 1, usual)) {
    if (end < 0) return -1
    last[member] = bytes.toString('latin1', at + 1, end - 1)
  }
  scanned[member] = last[member]
  return end
}

function scanClock(bytes: Buffer, at: number): number {
  scanned.hasClock = true
  return bytes[at] === quote ? skipText(bytes, at) : -1
}

function scanSequence(bytes: Buffer, at: number): number {
  let value = 0
  let end = at
  for (let byte = bytes[end] ?? 0; byte >= zero && byte <= nine; byte = bytes[++end] ?? 0)
    value = value * 10 + byte - zero
  const digits = end - at
  if (digits === 0 || digits > digitsMax || bytes[at] === zero) return -1
  if (bytes[end] !== comma && bytes[end] !== closeBrace) return -1
  scanned.seq = value
  return end
}

/** Where the value at `at` ends, or -1 when it is not compact JSON. */
function skipValue(bytes: Buffer, at: number, depth: number): number {
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
function skipNumber(bytes: Buffer, at: number): number {
  const start = bytes[at] === minus ? at + 1 : at
  let end = start
  for (let byte = bytes[end] ?? 0; byte >= zero && byte <= nine; byte = bytes[++end] ?? 0) {}
  if (end === start || (bytes[start] === zero && end > start + 1)) return -1
  const next = bytes[end]
  return next === comma || next === closeBrace || next === closeBracket ? end : -1
}

/** Where the text that begins at `at` with its quote ends, behind its closing quote. */
function skipText(bytes: Buffer, at: number): number {
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
function skipPlain(bytes: Buffer, at: number): number {
  let end = at
  for (;;) {
    while (end <= lastWordAt && !mayEndText(words.getInt32(wordsFrom + end, true))) end += 4
    const next = Math.min(end + 4, bytes.length)
    while (end < next && plain[bytes[end] as number] === 1) end += 1
    if (end < next || end === bytes.length) return end
  }
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
function endOfPlain(bytes: Buffer, at: number): number {
  const end = skipPlain(bytes, at)
  return bytes[end] === quote ? end : -1
}

/** Whether the key at `a` comes before the one at `b` in bytes: then no key comes twice. */
function isSorted(bytes: Buffer, a: number, b: number): boolean {
  for (let index = 0; ; index += 1) {
    const left = bytes[a + index] ?? 0
    const right = bytes[b + index] ?? 0
    if (left !== right) return left === quote || (right !== quote && left < right)
    if (left === quote || left === 0) return false
  }
}

/**
 * Where the text that begins at `at` with its quote ends, behind its closing quote; -1 when it is empty, which is one
 * that is absent here, or holds escapes or what is beyond ASCII: a parser decodes those.
 */
function endOfAscii(bytes: Buffer, at: number): number {
  if (bytes[at] !== quote) return -1
  let end = at + 1
  for (let byte = bytes[end] ?? 0; plain[byte] === 1 && byte < 0x7f; byte = bytes[++end] ?? 0) {}
  return bytes[end] === quote && end > at + 1 ? end + 1 : -1
}
