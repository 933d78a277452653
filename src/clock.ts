/**
 * The only place that asks for the time, or to be called at one. Times are UTC; a timestamp in a record is RFC 3339 with exactly nine
 * fractional digits and `Z`. Inside the program a wall-clock time is `bigint` nanoseconds or `number`
 * milliseconds since the epoch; intervals are measured with `monotonicMs`.
 */

/** The clocks of the machine, or those of a test. */
export interface Clocks {
  readonly wallMs: () => number
  readonly monotonicMs: () => number
  /** See `afterMs`. */
  readonly after: (delayMs: number, call: () => void) => () => void
}

const machineClocks: Clocks = {
  wallMs: Date.now,
  monotonicMs: () => performance.now(),
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs).unref()
    return () => clearTimeout(timer)
  },
}
let clocks = machineClocks

/** Wall clock, milliseconds since the epoch. */
export function nowMs(): number {
  return clocks.wallMs()
}

/** Monotonic milliseconds, for intervals only. */
export function monotonicMs(): number {
  return clocks.monotonicMs()
}

/** Calls once after this time, in a process that lives so long by itself. The returned function takes that back. */
export function afterMs(delayMs: number, call: () => void): () => void {
  return clocks.after(delayMs, call)
}

/** For tests and simulations, which move the time themselves: takes these clocks until the returned function is called. */
export function useClocks(own: Partial<Clocks>): () => void {
  clocks = { ...machineClocks, ...own }
  return () => {
    clocks = machineClocks
  }
}

// Many records share a millisecond, and almost all a second with the one before.
let cachedSecond = Number.NaN
let cachedPrefix = ''
let cachedMs = Number.NaN
let cachedText = ''

/**
 * RFC 3339 with nine fractional digits, from whole milliseconds plus nanoseconds below the millisecond.
 * Years outside 0000–9999 do not exist in RFC 3339: they give `undefined`.
 */
export function formatTimestamp(ms: number, nanosBelowMs = 0): string | undefined {
  if (ms === cachedMs && nanosBelowMs === 0) return cachedText
  const second = Math.floor(ms / 1_000)
  if (second !== cachedSecond) {
    if (!(second >= -62_167_219_200 && second < 253_402_300_800)) return undefined
    cachedPrefix = new Date(second * 1_000).toISOString().slice(0, 20)
    cachedSecond = second
  }
  const text = `${cachedPrefix}${String((ms - second * 1_000) * 1_000_000 + nanosBelowMs).padStart(9, '0')}Z`
  if (nanosBelowMs === 0) {
    cachedMs = ms
    cachedText = text
  }
  return text
}

const rfc3339 = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,18}))?([Zz]|[+-]\d{2}:\d{2})$/

/** Parses RFC 3339 with any zone and precision into the record's form; `undefined` for anything else. */
export function normalizeTimestamp(text: string): string | undefined {
  const match = rfc3339.exec(text)
  if (match === null) return undefined
  const ms = Date.parse(`${match[1]}T${match[2]}${match[4]?.toUpperCase()}`)
  if (Number.isNaN(ms)) return undefined
  const nanos = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'))
  return formatTimestamp(ms + Math.floor(nanos / 1_000_000), nanos % 1_000_000)
}

/** Nanoseconds since the epoch of a record's timestamp (nine fractional digits, `Z`). */
export function timestampNanos(timestamp: string): bigint {
  return BigInt(Date.parse(`${timestamp.slice(0, 19)}Z`)) * 1_000_000n + BigInt(timestamp.slice(20, 29))
}
