/**
 * Sampling by correlation id: all events of one piece of work are kept or dropped together, in every service that
 * shares the secret. An event is kept when `draw < threshold`, where `draw` is the first 48 bits of
 * HMAC-SHA-256(secret, "otel-audit.sample" 0x00 correlation_id) as an integer and `threshold` = ⌈rate × 2^48⌉; so a
 * lower rate keeps a part of what a higher one keeps, and who does not know the secret cannot pick an id that is kept.
 */

import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

/** A number from 0 to 2^48 − 1, always the same for the same id. */
export type Draw = (correlationId: string) => number

const drawBytes = 6
const drawSpace = 2 ** (drawBytes * 8)

/** The number, 0 to 2^48, that a draw stays below with the probability `rate`. Above 0 for every rate above 0. */
export function thresholdOf(rate: number): number {
  return Math.ceil(rate * drawSpace)
}

export function compileDraw(secret: string): Draw {
  const key = createSecretKey(secret, 'utf8')
  // The events of one piece of work often follow each other: only the first of them pays the microseconds of the HMAC.
  let lastId: string | undefined
  let lastDraw = 0
  return (correlationId) => {
    if (correlationId !== lastId) {
      lastDraw = hmac(key, `otel-audit.sample\0${correlationId}`).readUIntBE(0, drawBytes)
      lastId = correlationId
    }
    return lastDraw
  }
}

/** Tells secrets apart without giving one away: the policy's hash holds it instead of the secret. */
export function identifySecret(secret: string): string {
  return hmac(createSecretKey(secret, 'utf8'), 'otel-audit.policy').toString('hex')
}

function hmac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
