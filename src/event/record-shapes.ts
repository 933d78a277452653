/**
 * `scanRecord` for many records of one kind: those of a stream mostly differ in a few texts and numbers, and all else of them
 * is compared with one that was scanned before, four bytes together. Always holds: what it answers is what `scanRecord`
 * answers for the same bytes. A text may become any other without escapes, an integer any other; what differs elsewhere,
 * or stands in no known shape, is scanned.
 */

import {
  backslash,
  closeBrace,
  closeBracket,
  colon,
  countSame,
  digitsMax,
  endOfAscii,
  look,
  minus,
  nine,
  openBrace,
  openBracket,
  quote,
  skipNumber,
  skipPlain,
  skipText,
  zero,
} from './json-bytes.ts'
import { Scan, type ScannedRecord, scanRecord } from './record-scan.ts'

/** How many shapes are known at a time, and records longer than that make none. */
const shapesMax = 4
const shapeBytesMax = 8_192
/** Where no shape fits, so many records are scanned before shapes are tried again, at most. */
const restMax = 256

export class RecordShapes {
  readonly #scan = new Scan()
  /** The one that fitted last comes first. */
  readonly #shapes: Shape[] = []
  #rest = 0
  #resting = 0

  /** As `scanRecord`; its answer is valid until the next one. */
  scan(bytes: Buffer): ScannedRecord | undefined {
    if (this.#resting > 0) {
      this.#resting -= 1
      return scanRecord(bytes)
    }
    look(bytes)
    const place = this.#placeOf(bytes)
    if (place < 0) return this.#learn(bytes)
    if (place > 0) this.#shapes.unshift(...this.#shapes.splice(place, 1))
    this.#rest = 0
    return this.#scan
  }

  /** Of the shape that fits, or -1. */
  #placeOf(bytes: Buffer): number {
    for (let place = 0; place < this.#shapes.length; place += 1)
      if (this.#shapes[place]?.fits(bytes, this.#scan)) return place
    return -1
  }

  #learn(bytes: Buffer): ScannedRecord | undefined {
    const scanned = scanRecord(bytes)
    if (scanned === undefined || !isShaped(scanned) || bytes.length > shapeBytesMax) return scanned
    // Where every record has a shape of its own, to look for one is in vain.
    this.#rest = Math.min(restMax, Math.max(1, 2 * this.#rest))
    if (this.#rest > shapesMax) this.#resting = this.#rest
    if (this.#shapes.length === shapesMax) this.#shapes.pop()
    this.#shapes.unshift(new Shape(bytes, scanned))
    return scanned
  }
}

/** Whether a record has what an ordinary one has behind the first of a stream, in the order of the keys. */
function isShaped({ stream, seq, eventType, prevFrom, prevTo, recordedFrom, recordedTo }: ScannedRecord): boolean {
  if (stream === '' || seq === 0 || eventType.startsWith('audit.')) return false
  return prevTo > prevFrom && recordedTo > recordedFrom && recordedFrom > prevTo
}

class Shape {
  readonly #bytes: Buffer
  readonly #words: DataView
  /** Behind the text in which a byte stands, counted down from 0 behind the number; 0 where nothing else may stand. */
  readonly #ends: Int16Array
  readonly #prevFrom: number
  readonly #prevEnd: number
  readonly #recordedFrom: number
  readonly #recordedEnd: number
  readonly #sequenceFrom: number
  readonly #sequenceEnd: number
  readonly #stream: string
  readonly #eventType: string
  readonly #hasClock: boolean
  /** How far a record is behind this shape, as far as they were compared. */
  #shift = 0

  constructor(bytes: Buffer, scanned: ScannedRecord) {
    const own = new Uint8Array(bytes)
    this.#bytes = Buffer.from(own.buffer)
    this.#words = new DataView(own.buffer)
    this.#prevFrom = scanned.prevFrom
    this.#prevEnd = scanned.prevTo + 1
    this.#recordedFrom = scanned.recordedFrom
    this.#recordedEnd = scanned.recordedTo + 1
    this.#stream = scanned.stream
    this.#eventType = scanned.eventType
    this.#hasClock = scanned.hasClock
    look(this.#bytes)
    const { ends, sequenceFrom } = readEnds(this.#bytes)
    this.#ends = ends
    this.#sequenceFrom = sequenceFrom
    this.#sequenceEnd = sequenceFrom + String(scanned.seq).length
  }

  /** Whether the bytes, which are being looked at, have this shape; what was read of them then stands in `scan`. */
  fits(bytes: Buffer, scan: Scan): boolean {
    this.#shift = 0
    if (!this.#isAlike(bytes, 0, this.#prevFrom)) return false
    const prevFrom = this.#prevFrom + this.#shift
    const prevEnd = endOfAscii(bytes, prevFrom - 1)
    if (prevEnd < 0) return false
    this.#shift = prevEnd - this.#prevEnd
    if (!this.#isAlike(bytes, this.#prevEnd, this.#recordedFrom)) return false
    const recordedFrom = this.#recordedFrom + this.#shift
    const recordedEnd = endOfAscii(bytes, recordedFrom - 1)
    if (recordedEnd < 0) return false
    this.#shift = recordedEnd - this.#recordedEnd
    if (!this.#isAlike(bytes, this.#recordedEnd, this.#sequenceFrom)) return false
    if (!this.#readSequence(bytes, scan)) return false
    if (!this.#isAlike(bytes, this.#sequenceEnd, this.#bytes.length)) return false
    if (this.#bytes.length + this.#shift !== bytes.length) return false
    scan.bytes = bytes
    scan.stream = this.#stream
    scan.eventType = this.#eventType
    scan.hasClock = this.#hasClock
    scan.prevFrom = prevFrom
    scan.prevTo = prevEnd - 1
    scan.recordedFrom = recordedFrom
    scan.recordedTo = recordedEnd - 1
    return true
  }

  #readSequence(bytes: Buffer, scan: Scan): boolean {
    const from = this.#sequenceFrom + this.#shift
    let value = 0
    let end = from
    for (let byte = bytes[end] ?? 0; byte >= zero && byte <= nine; byte = bytes[++end] ?? 0)
      value = value * 10 + byte - zero
    if (end === from || end - from > digitsMax || bytes[from] === zero) return false
    scan.seq = value
    this.#shift = end - this.#sequenceEnd
    return true
  }

  /** Compares the bytes with those of the shape in `[from, to)`, where the bytes are `#shift` behind it. */
  #isAlike(bytes: Buffer, from: number, to: number): boolean {
    let at = from
    for (;;) {
      at += countSame(at + this.#shift, this.#words, { from: at, to })
      while (at < to && bytes[at + this.#shift] === this.#bytes[at]) at += 1
      if (at >= to) return at === to
      at = this.#passOver(bytes, at)
      if (at < 0) return false
    }
  }

  /** Goes on behind the text or the number in which both differ; returns where that is in the shape, or -1. */
  #passOver(bytes: Buffer, at: number): number {
    const own = this.#ends[at] ?? 0
    if (own > 0) {
      const end = skipPlain(bytes, at + this.#shift)
      if (bytes[end] !== quote) return -1
      this.#shift = end + 1 - own
      return own
    }
    if (own === 0) return -1
    let start = at
    while (this.#ends[start - 1] === own) start -= 1
    const end = skipNumber(bytes, start + this.#shift)
    if (end < 0 || bytes[end] !== this.#bytes[-own - 1]) return -1
    this.#shift = end + 1 + own
    return -own
  }
}

/** What `#ends` holds, and where the digits of `seq` begin. A number counts with what stands behind it. */
function readEnds(bytes: Buffer): { ends: Int16Array; sequenceFrom: number } {
  const ends = new Int16Array(bytes.length)
  let sequenceFrom = 0
  let depth = 0
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0
    if (byte === openBrace || byte === openBracket) depth += 1
    else if (byte === closeBrace || byte === closeBracket) depth -= 1
    else if (byte === minus || (byte >= zero && byte <= nine)) {
      const end = skipNumber(bytes, at)
      ends.fill(-end - 1, at, end + 1)
      at = end - 1
    } else if (byte === quote) {
      const end = skipText(bytes, at)
      const isKey = bytes[end] === colon
      const key = isKey && depth === 1 ? bytes.toString('latin1', at + 1, end - 1) : ''
      if (key === 'seq') sequenceFrom = end + 1
      if (!isKey && !bytes.subarray(at, end).includes(backslash)) ends.fill(end, at + 1, end)
      // Of these two a shape has one text; what comes behind a key is its value.
      at = (key === 'stream' || key === 'event_type' ? skipText(bytes, end + 1) : end) - 1
    }
  }
  return { ends, sequenceFrom }
}
