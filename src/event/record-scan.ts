/**
 * Reads from the bytes of a record the few members that verification asks of every one, in a single pass and without
 * parsing. Always holds: where it answers, JSON.parse of the same bytes succeeds and gives the same members, whatever
 * the bytes are (a property test, for canonical, damaged and hostile ones). It takes only compact JSON whose keys at
 * depth one stand in the order of their bytes, without escapes in them; everything else it leaves to the parser.
 */

import {
  closeBrace,
  colon,
  comma,
  digitsMax,
  endOfAscii,
  endOfPlain,
  isKey,
  look,
  nine,
  openBrace,
  quote,
  skipText,
  skipValue,
  zero,
} from './json-bytes.ts'

/** What was read of a record. An absent text is ''. */
export interface ScannedRecord {
  readonly stream: string
  readonly seq: number
  readonly eventType: string
  readonly hasClock: boolean
  readonly prev: string
  readonly recorded: string
  /** Where the text of `prev` stands in the bytes; the same place twice where there is none. */
  readonly prevFrom: number
  readonly prevTo: number
  readonly recordedFrom: number
  readonly recordedTo: number
}

/** Taken for one record after the other. Every record differs in `prev` and `recorded`: texts of them are made when asked for. */
export class Scan implements ScannedRecord {
  bytes: Buffer = Buffer.alloc(0)
  stream = ''
  seq = 0
  eventType = ''
  hasClock = false
  prevFrom = 0
  prevTo = 0
  recordedFrom = 0
  recordedTo = 0

  get prev(): string {
    return this.bytes.toString('latin1', this.prevFrom, this.prevTo)
  }

  get recorded(): string {
    return this.bytes.toString('latin1', this.recordedFrom, this.recordedTo)
  }
}

const scanned = new Scan()

/** The same object each time, valid until the next scan; `undefined` where a parser must be asked. */
export function scanRecord(bytes: Buffer): ScannedRecord | undefined {
  scanned.bytes = bytes
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

/** Whether the key at `a` comes before the one at `b` in bytes: then no key comes twice. */
function isSorted(bytes: Buffer, a: number, b: number): boolean {
  for (let index = 0; ; index += 1) {
    const left = bytes[a + index] ?? 0
    const right = bytes[b + index] ?? 0
    if (left !== right) return left === quote || (right !== quote && left < right)
    if (left === quote || left === 0) return false
  }
}
