/**
 * Whether a row holds what its record says, in every column, told from the bytes of both: no text is made and nothing is
 * parsed. Always holds: where it says so, `compareColumns` finds nothing, and the key is that of the record, as long as
 * the record is JSON at all. Whatever is unusual it leaves to that.
 */

import { findMembers, Places, type Wanted } from '../event/member-places.ts'
import { identifierBytesMax } from '../limits.ts'
import { timestamptz } from './binary-array.ts'
import { type ColumnType, derivedMembers, deriveTime } from './projection.ts'
import { columnPlace, type RowPlaces } from './row-places.ts'

/** A derived column: where it stands in a row, and the slot of the member that it shows. */
interface Column {
  readonly place: number
  readonly slot: number
  readonly type: ColumnType
}

const columns: readonly Column[] = derivedMembers.map(({ name, type }, slot) => ({
  place: columnPlace(name),
  slot,
  type,
}))
const [streamSlot, sequenceSlot] = [columns.length, columns.length + 1]
const [hashPlace, underivedPlace] = [columnPlace('hash'), columnPlace('underived')]
const wanted = wantMembers()

export class RowComparison {
  readonly #members = new Places(columns.length + 2)
  readonly #time = new TimeForm()

  /** Whether all of the row is what its record says, `leaf` being the hash of that. */
  agrees(row: RowPlaces, { record, leaf }: { readonly record: Buffer; readonly leaf: Buffer }): boolean {
    if (!row.isNull(underivedPlace) || !isAt(row, hashPlace, leaf)) return false
    if (!findMembers(record, wanted, this.#members) || !this.#isKey(row)) return false
    for (const column of columns) if (!this.#isDerived(row, column)) return false
    return true
  }

  #isKey(row: RowPlaces): boolean {
    const { bytes } = row
    const at = row.start(2)
    const sequence = bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
    if (!this.#members.isNumber(sequenceSlot) || this.#members.number(sequenceSlot) !== sequence) return false
    return this.#isUuid(row, 1, streamSlot)
  }

  #isDerived(row: RowPlaces, { place, slot, type }: Column): boolean {
    if (this.#members.isAbsent(slot)) return row.isNull(place) && type !== 'timestamptz'
    if (row.isNull(place)) return false
    if (type === 'text') return this.#isText(row, place, slot)
    if (type === 'uuid') return this.#isUuid(row, place, slot)
    return type === 'bytea' ? this.#isHex(row, place, slot) : this.#isTime(row, place, slot)
  }

  #isText(row: RowPlaces, place: number, slot: number): boolean {
    const { source } = this.#members
    const [from, to, at] = [this.#members.start(slot), this.#members.end(slot), row.start(place)]
    if (row.length(place) !== to - from || to - from > identifierBytesMax) return false
    for (let index = from; index < to; index += 1) if (source[index] !== row.bytes[at + index - from]) return false
    return true
  }

  /** Of a trace the digits alone, elsewhere with dashes. */
  #isUuid(row: RowPlaces, place: number, slot: number): boolean {
    const { source } = this.#members
    const [from, to] = [this.#members.start(slot), this.#members.end(slot)]
    if (row.length(place) !== 16 || from < 0 || (to - from !== 36 && to - from !== 32)) return false
    const hasDashes = to - from === 36
    let at = from
    for (let index = 0; index < 16; index += 1) {
      const isBehindDash = hasDashes && (index === 4 || index === 6 || index === 8 || index === 10)
      if (isBehindDash && source[at++] !== dash) return false
      if (byteOfHex(source, at) !== row.bytes[row.start(place) + index]) return false
      at += 2
    }
    return true
  }

  #isHex(row: RowPlaces, place: number, slot: number): boolean {
    const { source } = this.#members
    const [from, to, at] = [this.#members.start(slot), this.#members.end(slot), row.start(place)]
    if (to - from !== 64 || row.length(place) !== 32) return false
    for (let index = 0; index < 32; index += 1)
      if (byteOfHex(source, from + 2 * index) !== row.bytes[at + index]) return false
    return true
  }

  #isTime(row: RowPlaces, place: number, slot: number): boolean {
    const { source } = this.#members
    if (row.length(place) !== 8) return false
    if (!this.#time.read(source, this.#members.start(slot), this.#members.end(slot))) return false
    const at = row.start(place)
    return row.bytes.readInt32BE(at) === this.#time.high && row.bytes.readUInt32BE(at + 4) === this.#time.low
  }
}

/** A time of a record as the two halves of a `timestamptz`. Records of one second follow each other: it is read once. */
class TimeForm {
  high = 0
  low = 0
  readonly #second = Buffer.alloc(20)
  #secondMicros = 0

  /** `false` for what has no form in that type. */
  read(source: Buffer, from: number, to: number): boolean {
    if (to - from !== 30 || source[to - 1] !== letterZ) return false
    for (let index = 0; index < 20; index += 1)
      if (source[from + index] !== this.#second[index] && !this.#readSecond(source, from)) return false
    let micros = 0
    for (let at = from + 20; at < to - 1; at += 1) {
      const digit = (source[at] ?? 0) - zero
      if (digit < 0 || digit > 9) return false
      if (at < from + 26) micros = micros * 10 + digit
    }
    const value = this.#secondMicros + micros
    this.high = Math.floor(value / 2 ** 32)
    this.low = value - this.high * 2 ** 32
    return true
  }

  #readSecond(source: Buffer, from: number): boolean {
    const derived = deriveTime(`${source.toString('latin1', from, from + 20)}000000000Z`)
    if (derived === undefined) return false
    const form = Buffer.alloc(8)
    timestamptz.write(derived, form, 0)
    const micros = form.readBigInt64BE(0)
    if (micros > exactMicros || micros < -exactMicros) return false
    this.#secondMicros = Number(micros)
    source.copy(this.#second, 0, from, from + 20)
    return true
  }
}

const [dash, zero, letterZ] = [0x2d, 0x30, 0x5a]
/** Below this a second more is still exact as a number. */
const exactMicros = BigInt(Number.MAX_SAFE_INTEGER) - 1_000_000n

/** What each byte says as a hexadecimal digit, in lower case; more than a byte can hold for all others. */
const hexDigits = new Int16Array(256).fill(0x1000)
for (const [value, digit] of [...Buffer.from('0123456789abcdef')].entries()) hexDigits[digit] = value

/** Of the two digits at a place; no byte where they are none. */
function byteOfHex(source: Buffer, at: number): number {
  return ((hexDigits[source[at] ?? 0] ?? 0x1000) << 4) | (hexDigits[source[at + 1] ?? 0] ?? 0x1000)
}

function isAt(row: RowPlaces, place: number, expected: Buffer): boolean {
  const at = row.start(place)
  return row.length(place) === expected.length && expected.compare(row.bytes, at, at + expected.length) === 0
}

function wantMembers(): Wanted[] {
  const members: Wanted[] = [
    { key: Buffer.from('seq'), type: 'integer', slot: sequenceSlot, parts: [] },
    { key: Buffer.from('stream'), type: 'text', slot: streamSlot, parts: [] },
  ]
  const inObjects = new Map<string, Wanted[]>()
  for (const [slot, { path }] of derivedMembers.entries()) {
    const [member, part] = path as readonly [string, string?]
    const one = { key: Buffer.from(part ?? member), type: 'text', slot, parts: [] } as const
    if (part === undefined) members.push(one)
    else inObjects.set(member, [...(inObjects.get(member) ?? []), one])
  }
  for (const [member, parts] of inObjects)
    members.push({ key: Buffer.from(member), type: 'object', slot: -1, parts: parts.sort(byKey) })
  return members.sort(byKey)
}

function byKey(one: Wanted, other: Wanted): number {
  return Buffer.compare(one.key, other.key)
}
