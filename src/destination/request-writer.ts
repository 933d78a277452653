/**
 * Writes requests, as protobuf (protobuf.dev/programming-guides/encoding) or as JSON, into one buffer that is kept and
 * grows. Nothing here checks for room: `reserve` is called once for everything a record may take. Varints are shortest.
 */

const growth = 2
/** Left free in front, for what can only be written when all is known. */
const headRoom = 1_024

export class RequestWriter {
  #bytes = Buffer.allocUnsafeSlow(256 * 1024)
  #at = headRoom

  /** Where the next byte goes. */
  get length(): number {
    return this.#at
  }

  clear(): void {
    this.#at = headRoom
  }

  /** Makes room for `length` more bytes. */
  reserve(length: number): void {
    const needed = this.#at + length
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(needed * growth)
    this.#bytes.copy(grown, 0, 0, this.#at)
    this.#bytes = grown
  }

  /** What is written in `[start, end)`, until more is written. */
  slice(start: number, end: number): Buffer {
    return this.#bytes.subarray(start, end)
  }

  /** What is written in `[start, end)` with a head in front of it: in place, when the head has room before `start`. */
  headed(head: Buffer, start: number, end: number): Buffer {
    const from = start - head.length
    if (from < 0) return Buffer.concat([head, this.slice(start, end)])
    head.copy(this.#bytes, from)
    return this.slice(from, end)
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value
  }

  /** An unsigned integer below 2^32. */
  varint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#at++] = rest
  }

  /** An int64, in two's complement. */
  varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value)
    while (rest > 0x7fn) {
      this.#bytes[this.#at++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.#bytes[this.#at++] = Number(rest)
  }

  fixed32(value: number): void {
    this.#at = this.#bytes.writeUInt32LE(value, this.#at)
  }

  double(value: number): void {
    this.#at = this.#bytes.writeDoubleLE(value, this.#at)
  }

  ascii(text: string): void {
    this.#at += this.#bytes.write(text, this.#at, 'latin1')
  }

  utf8(text: string): void {
    this.#at += this.#bytes.write(text, this.#at, 'utf8')
  }

  /** Takes back the last byte. */
  unwrite(): void {
    this.#at -= 1
  }

  /** The bytes of `source` in `[start, end)`. */
  copy(source: Uint8Array, start: number, end: number): void {
    const bytes = this.#bytes
    let at = this.#at
    // Most are short: a call into the runtime costs as much as 60 bytes of this loop.
    if (end - start < shortBytes) for (let from = start; from < end; from++) bytes[at++] = source[from] ?? 0
    else bytes.set(source.subarray(start, end), at)
    this.#at += end - start
  }

  /** All of `source`: no view is made of it, which for a text of 60 bytes costs as much as copying it. */
  whole(source: Uint8Array): void {
    this.#bytes.set(source, this.#at)
    this.#at += source.length
  }

  /** Begins something that states its length first, which is expected to need `lengthBytes`; `end` takes the result. */
  begin(lengthBytes: number): number {
    this.#at += lengthBytes
    return this.#at
  }

  /** Writes the length of what was begun; moves it when its length needs another number of bytes. */
  end(start: number, lengthBytes: number): void {
    const length = this.#at - start
    const needed = varintLength(length)
    const content = start - lengthBytes + needed
    if (needed !== lengthBytes) this.#bytes.copyWithin(content, start, this.#at)
    this.#at = start - lengthBytes
    this.varint(length)
    this.#at = content + length
  }
}

const shortBytes = 64

/** How many bytes a varint below 2^32 takes. */
export function varintLength(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}
