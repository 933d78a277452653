/**
 * How long the forwarder waits, and by which clock. Behind an interface so that tests move the time themselves.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { monotonicMs, nowMs } from '../clock.ts'
import { retryDelayMsMax } from '../limits.ts'

/** Longest pause after the first failure, in milliseconds; it doubles with each further one. */
const firstRetryDelayMs = 100

export interface Pace {
  /** Wall clock, for people. */
  nowMs(): number
  /** For intervals. */
  monotonicMs(): number
  /** Resolves after `ms`, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** In [0, 1). */
  random(): number
}

/** The real time. A pending sleep keeps the process alive. */
export const systemPace: Pace = {
  nowMs,
  monotonicMs,
  random: Math.random,
  sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(wokenEarly),
}

function wokenEarly(thrown: unknown): void {
  if ((thrown as Error).name !== 'AbortError') throw thrown
}

/**
 * Pause before the next try: full jitter, so that many forwarders of one dead collector do not return together
 * (random × min(60 s, 100 ms × 2^(pauses − 1))), and at least what the peer asked for, up to the same 60 s.
 * `pauses` counts from 1 since the last success.
 */
export function retryDelayMs(pauses: number, afterMs: number | undefined, random: number): number {
  const jitterMs = random * Math.min(retryDelayMsMax, firstRetryDelayMs * 2 ** (pauses - 1))
  return Math.max(jitterMs, Math.min(afterMs ?? 0, retryDelayMsMax))
}
