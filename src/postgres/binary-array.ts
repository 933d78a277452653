/**
 * PostgreSQL arrays in the binary wire format (server source `array_send`, one dimension, big-endian):
 *
 *   int32 dimensions · int32 has nulls · int32 element oid · int32 length · int32 lower bound (1)
 *   then per element: int32 byte length (-1: null) · bytes
 *
 * A batch becomes one parameter per column: no limit of 65,535 parameters, no quoting, no text for the server to
 * parse. Elements must be valid for their type: the projection sees to that.
 */

/** How the values of one type are written. */
export interface ElementType<Value> {
  readonly oid: number
  /** No fewer bytes than `write` takes. */
  bytesMax(value: Value): number
  /** Returns how many bytes it took. */
  write(value: Value, target: Buffer, offset: number): number
}

export const bytea: ElementType<Uint8Array> = {
  oid: 17,
  bytesMax: (bytes) => bytes.length,
  write: (bytes, target, offset) => {
    target.set(bytes, offset)
    return bytes.length
  },
}

/** `bytea` from lower-case hex digits. */
export const byteaHex: ElementType<string> = {
  oid: 17,
  bytesMax: (hex) => hex.length / 2,
  write: (hex, target, offset) => target.write(hex, offset, 'hex'),
}

export const int8: ElementType<number> = {
  oid: 20,
  bytesMax: () => 8,
  write: writeInt8,
}

export const text: ElementType<string> = {
  oid: 25,
  bytesMax: (value) => value.length * utf8BytesMax,
  write: (value, target, offset) => {
    // Most are short: a call into the runtime costs as much as 40 characters of this loop.
    if (value.length > shortLength) return target.write(value, offset, 'utf8')
    for (let index = 0; index < value.length; index += 1) {
      const unit = value.charCodeAt(index)
      if (unit > 0x7f) return target.write(value, offset, 'utf8')
      target[offset + index] = unit
    }
    return value.length
  },
}

export const uuid: ElementType<string> = {
  oid: 2950,
  bytesMax: () => 16,
  write: (value, target, offset) => {
    let at = offset
    for (let index = 0; index < value.length; index += 2) {
      if (value.charCodeAt(index) === dash) index += 1
      target[at++] = (hexDigit(value.charCodeAt(index)) << 4) | hexDigit(value.charCodeAt(index + 1))
    }
    return at - offset
  },
}

/** `timestamptz` from RFC 3339 with `Z` and six fractional digits. */
export const timestamptz: ElementType<string> = {
  oid: 1184,
  bytesMax: () => 8,
  write: (value, target, offset) => {
    const second = value.slice(0, secondLength)
    // Records of one second follow each other: it is parsed once.
    if (second !== lastSecond.text) lastSecond = { text: second, ms: Date.parse(`${second}Z`) - year2000Ms }
    const [ms, micros] = [lastSecond.ms, Number(value.slice(secondLength + 1, -1))]
    if (Math.abs(ms) < exactMs) return writeInt8(ms * 1_000 + micros, target, offset)
    return target.writeBigInt64BE(BigInt(ms) * 1_000n + BigInt(micros), offset) - offset
  },
}

const utf8BytesMax = 3
const shortLength = 40
const dash = 0x2d
const year2000Ms = 946_684_800_000
const secondLength = '2026-11-22T09:29:59'.length
let lastSecond = { text: '', ms: 0 }
/** Their microseconds are exact as a number: to the year 2285. */
const exactMs = Number.MAX_SAFE_INTEGER / 1_000 - 1_000

/** A safe integer in two halves: as a bigint it takes three times as long. */
function writeInt8(value: number, target: Buffer, offset: number): number {
  const high = Math.floor(value / 2 ** 32)
  target.writeInt32BE(high, offset)
  target.writeUInt32BE(value - high * 2 ** 32, offset + 4)
  return 8
}

/** Of `0` to `9` and `a` to `f`, by its code. */
function hexDigit(code: number): number {
  return code < 0x61 ? code - 0x30 : code - 0x57
}

const headerBytes = 20
/** What a length takes. */
export const lengthBytes = 4

export function encodeArray<Value>(type: ElementType<Value>, values: readonly (Value | null)[]): Buffer {
  let bytesMax = headerBytes
  for (const value of values) bytesMax += lengthBytes + (value === null ? 0 : type.bytesMax(value))
  const array = Buffer.allocUnsafe(bytesMax)
  writeHeader(array, type.oid, values)
  let offset = headerBytes
  for (const value of values) offset = writeElement(type, value, { target: array, offset })
  // An empty array has no dimension, and its header ends there.
  return array.subarray(0, values.length === 0 ? 12 : offset)
}

/** Writes length and value, as arrays and COPY have them; returns where that ends. */
export function writeElement<Value>(
  type: ElementType<Value>,
  value: Value | null,
  { target, offset }: { readonly target: Buffer; readonly offset: number },
): number {
  if (value === null) return target.writeInt32BE(-1, offset)
  const length = type.write(value, target, offset + lengthBytes)
  return target.writeInt32BE(length, offset) + length
}

function writeHeader(array: Buffer, oid: number, values: readonly unknown[]): void {
  array.writeInt32BE(values.length === 0 ? 0 : 1, 0)
  array.writeInt32BE(values.includes(null) ? 1 : 0, 4)
  array.writeInt32BE(oid, 8)
  array.writeInt32BE(values.length, 12)
  array.writeInt32BE(1, 16)
}
