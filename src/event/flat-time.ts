/**
 * A record's timestamp as the two halves of OTLP's unsigned 64-bit nanoseconds. Records of one second share their
 * first twenty characters: these are parsed once, and the nanoseconds are added.
 */

import { unixNano, unixNanoMax } from './log-record.ts'

/** `2026-11-22T09:29:59.`; behind it come nine digits and `Z`. */
const prefixLength = 20
const timestampLength = 30
const half = 2 ** 32

export class FlatTime {
  low = 0
  high = 0
  /** The same as seconds and the nanoseconds beyond them. */
  #seconds = 0
  #nanos = 0
  readonly #prefix = Buffer.alloc(prefixLength)
  /** What `#prefix` says. */
  #prefixSeconds = 0
  #secondLow = 0
  #secondHigh = 0

  set(nanos: bigint): void {
    this.low = Number(nanos & 0xffff_ffffn)
    this.high = Number(nanos >> 32n)
    this.#seconds = Number(nanos / 1_000_000_000n)
    this.#nanos = Number(nanos % 1_000_000_000n)
  }

  /** The nanoseconds in decimal digits. */
  get decimal(): string {
    if (this.#seconds === 0) return `${this.#nanos}`
    return `${this.#seconds}${`${this.#nanos}`.padStart(9, '0')}`
  }

  /** Takes the timestamp at `[start, end)`; `false` when it is none that OTLP can hold, or is at the edge of that. */
  read(source: Buffer, start: number, end: number): boolean {
    if (end - start !== timestampLength || source[end - 1] !== 0x5a) return false
    if (!this.#isSameSecond(source, start) && !this.#readSecond(source, start)) return false
    let nanos = 0
    for (let at = start + prefixLength; at < end - 1; at++) {
      const digit = (source[at] ?? 0) - 0x30
      if (digit < 0 || digit > 9) return false
      nanos = nanos * 10 + digit
    }
    this.#seconds = this.#prefixSeconds
    this.#nanos = nanos
    const low = this.#secondLow + nanos
    this.low = low % half
    this.high = this.#secondHigh + (low >= half ? 1 : 0)
    return true
  }

  #isSameSecond(source: Buffer, start: number): boolean {
    for (let index = 0; index < prefixLength; index++) if (source[start + index] !== this.#prefix[index]) return false
    return true
  }

  #readSecond(source: Buffer, start: number): boolean {
    const nanos = unixNano(`${source.toString('latin1', start, start + prefixLength)}000000000Z`)
    if (nanos === 0n || nanos > unixNanoMax - 1_000_000_000n) return false
    this.#prefixSeconds = Number(nanos / 1_000_000_000n)
    this.#secondLow = Number(nanos & 0xffff_ffffn)
    this.#secondHigh = Number(nanos >> 32n)
    source.copy(this.#prefix, 0, start, start + prefixLength)
    return true
  }
}
