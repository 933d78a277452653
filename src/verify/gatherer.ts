/**
 * Gathers the records of a source into runs as they are read, and hands each run over as soon as something else comes:
 * a control record, another stream, a record that does not continue it. Always holds: what it hands over, run by run and
 * link by link, is what `readLink` says of each record, in the order of the source.
 */

import { hashBytes, writeLeafHash } from '../chain/hash.ts'
import type { ScannedRecord } from '../event/record-scan.ts'
import { RecordShapes } from '../event/record-shapes.ts'
import { asBuffer, isLeaf, type Link, parseLink } from './link.ts'
import { Run, type Times } from './run.ts'
import type { FoundRecord } from './source.ts'

/** Longest run; checkpoints mostly end it earlier. */
const runRecordsMax = 512

export interface Gathered {
  /** Whether each record must stand behind the one before it; otherwise several may stand in one place. */
  readonly isOrdered: boolean
  readonly onRun: (run: Run) => void
  readonly onLink: (link: Link) => void
}

export class Gatherer {
  readonly #gathered: Gathered
  readonly #shapes = new RecordShapes()
  #stream = ''
  #first = 0
  #prev = ''
  #isPlaced = false
  #leaves: Buffer = Buffer.alloc(0)
  #times = new TimeRow()
  #positions: number[] = []

  constructor(gathered: Gathered) {
    this.#gathered = gathered
  }

  /** Whether the bytes are a record of some stream; what they are is handed over now or later. */
  take(found: FoundRecord): boolean {
    // What the carrier derived is compared with members that only a parser gives.
    const scanned = found.checkProjection === undefined ? this.#shapes.scan(asBuffer(found.bytes)) : undefined
    if (scanned !== undefined && isOrdinary(scanned, found) && this.#gather(scanned, found)) return true
    const link = parseLink(found)
    if (link === undefined) return false
    this.flush()
    this.#gathered.onLink(link)
    return true
  }

  /** Hands over what has been gathered. */
  flush(): void {
    const positions = this.#positions
    if (positions.length === 0) return
    const leaves = this.#leaves.subarray(0, positions.length * hashBytes)
    this.#positions = []
    const own = { stream: this.#stream, first: this.#first, prev: this.#prev, isPlaced: this.#isPlaced }
    this.#gathered.onRun(new Run({ ...own, leaves, recorded: this.#times, positions }))
  }

  #gather(scanned: ScannedRecord, found: FoundRecord): boolean {
    if (!this.#isContinuedBy(scanned, found) && !this.#begin(scanned, found)) return false
    const count = this.#positions.length
    this.#times.set(count, found.bytes, scanned.recordedFrom)
    const offset = count * hashBytes
    if (found.leaf === undefined) writeLeafHash(found.bytes, this.#leaves, offset)
    else this.#leaves.set(found.leaf, offset)
    this.#positions.push(found.position)
    return true
  }

  #isContinuedBy(scanned: ScannedRecord, { bytes, position, place }: FoundRecord): boolean {
    const count = this.#positions.length
    if (count === 0 || count === runRecordsMax) return false
    if (scanned.stream !== this.#stream || scanned.seq !== this.#first + count) return false
    if ((place !== undefined) !== this.#isPlaced) return false
    const before = this.#positions[count - 1] ?? 0
    if (this.#gathered.isOrdered ? position <= before : position < before) return false
    if (!this.#times.isReached(count - 1, bytes, scanned.recordedFrom)) return false
    return namesLeaf(bytes, scanned.prevFrom, { leaves: this.#leaves, at: (count - 1) * hashBytes })
  }

  #begin({ stream, seq, prev }: ScannedRecord, { place }: FoundRecord): boolean {
    if (!isLeaf(prev)) return false
    this.flush()
    this.#stream = stream
    this.#first = seq
    this.#prev = prev
    this.#isPlaced = place !== undefined
    // Its own memory: the run before keeps what it has.
    this.#leaves = Buffer.allocUnsafeSlow(runRecordsMax * hashBytes)
    this.#times = new TimeRow()
    return true
  }
}

/** Whether a record is one of the many that state nothing but what happened, when, and what came before. */
function isOrdinary(scanned: ScannedRecord, { place }: FoundRecord): boolean {
  const { stream, seq, eventType, hasClock } = scanned
  if (stream === '' || seq === 0 || hasClock || scanned.recordedTo - scanned.recordedFrom !== timeBytes) return false
  if (place !== undefined && (place.stream !== stream || place.sequence !== seq)) return false
  return !eventType.startsWith('audit.') && scanned.prevTo - scanned.prevFrom === 2 * hashBytes
}

/** Of `recorded` in its usual form, in which the order of bytes is that of time. */
const timeBytes = '2026-11-22T09:29:59.000000000Z'.length

/** The times of the records of one run, side by side as they stand in them: texts are made of the few that are asked for. */
class TimeRow implements Times {
  readonly #bytes = Buffer.allocUnsafeSlow(runRecordsMax * timeBytes)

  at(index: number): string {
    return this.#bytes.toString('latin1', index * timeBytes, (index + 1) * timeBytes)
  }

  set(index: number, bytes: Uint8Array, from: number): void {
    const own = index * timeBytes
    for (let at = 0; at < timeBytes; at += 1) this.#bytes[own + at] = bytes[from + at] ?? 0
  }

  /** Whether the time in the bytes is not before the one of this place. */
  isReached(index: number, bytes: Uint8Array, from: number): boolean {
    const own = index * timeBytes
    for (let at = 0; at < timeBytes; at += 1) {
      const [one, other] = [this.#bytes[own + at] ?? 0, bytes[from + at] ?? 0]
      if (one !== other) return one < other
    }
    return true
  }
}

/** Both hexadecimal digits of a byte, as they stand in a text. */
const digits = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(Buffer.of(byte).toString('hex')).readUInt16BE(),
)

/** Whether this leaf hash is written there in the bytes: no text is made to find out. */
function namesLeaf(bytes: Uint8Array, from: number, { leaves, at }: { leaves: Buffer; at: number }): boolean {
  for (let index = 0; index < hashBytes; index += 1) {
    const place = from + 2 * index
    if ((((bytes[place] ?? 0) << 8) | (bytes[place + 1] ?? 0)) !== digits[leaves[at + index] ?? 0]) return false
  }
  return true
}
