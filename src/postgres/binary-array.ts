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
  byteLength(value: Value): number
  write(value: Value, target: Buffer, offset: number): void
}

export const bytea: ElementType<Uint8Array> = {
  oid: 17,
  byteLength: (bytes) => bytes.length,
  write: (bytes, target, offset) => target.set(bytes, offset),
}

/** `bytea` from lower-case hex digits. */
export const byteaHex: ElementType<string> = {
  oid: 17,
  byteLength: (hex) => hex.length / 2,
  write: (hex, target, offset) => target.write(hex, offset, 'hex'),
}

export const int8: ElementType<number> = {
  oid: 20,
  byteLength: () => 8,
  write: (value, target, offset) => target.writeBigInt64BE(BigInt(value), offset),
}

export const text: ElementType<string> = {
  oid: 25,
  byteLength: (value) => Buffer.byteLength(value),
  write: (value, target, offset) => target.write(value, offset, 'utf8'),
}

export const uuid: ElementType<string> = {
  oid: 2950,
  byteLength: () => 16,
  write: (value, target, offset) => target.write(value.replaceAll('-', ''), offset, 'hex'),
}

const year2000Ms = 946_684_800_000

/** `timestamptz` from RFC 3339 with `Z` and six fractional digits. */
export const timestamptz: ElementType<string> = {
  oid: 1184,
  byteLength: () => 8,
  write: (value, target, offset) => {
    const ms = Date.parse(`${value.slice(0, 19)}Z`) - year2000Ms
    target.writeBigInt64BE(BigInt(ms) * 1_000n + BigInt(value.slice(20, 26)), offset)
  },
}

const headerBytes = 20

export function encodeArray<Value>(type: ElementType<Value>, values: readonly (Value | null)[]): Buffer {
  let bytes = headerBytes
  for (const value of values) bytes += value === null ? 4 : 4 + type.byteLength(value)
  const array = Buffer.allocUnsafe(bytes)
  writeHeader(array, type.oid, values)
  let offset = headerBytes
  for (const value of values) {
    const length = value === null ? -1 : type.byteLength(value)
    array.writeInt32BE(length, offset)
    offset += 4
    if (value === null) continue
    type.write(value, array, offset)
    offset += length
  }
  // An empty array has no dimension, and its header ends there.
  return values.length === 0 ? array.subarray(0, 12) : array
}

function writeHeader(array: Buffer, oid: number, values: readonly unknown[]): void {
  array.writeInt32BE(values.length === 0 ? 0 : 1, 0)
  array.writeInt32BE(values.includes(null) ? 1 : 0, 4)
  array.writeInt32BE(oid, 8)
  array.writeInt32BE(values.length, 12)
  array.writeInt32BE(1, 16)
}
