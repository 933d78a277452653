/**
 * The signature of Standard Webhooks (docs/formats.md section 8): what the http destination puts beside a body, and
 * what a receiver checks. Always holds: the bytes signed are the bytes sent; every secret signs, so that a receiver
 * which knows one of them accepts; comparing takes the same time wherever two signatures differ.
 *   webhook-signature = "v1," base64(HMAC-SHA256(key, id "." seconds "." body)), several separated by spaces
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { leafHash } from '../chain/hash.ts'
import { nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'

const prefix = 'whsec_'
const keyBytes = { min: 24, max: 64 }
const base64 = /^[A-Za-z0-9+/]+={0,2}$/
const toleranceSecondsDefault = 300

/** What makes a secret one. */
export const secretRule = `${prefix} and the base64 of ${keyBytes.min} to ${keyBytes.max} random bytes`

/** The key of a secret; `undefined` when it is none. */
export function parseSecret(secret: string): Buffer | undefined {
  const text = secret.slice(prefix.length)
  if (!secret.startsWith(prefix) || !base64.test(text)) return undefined
  const key = Buffer.from(text, 'base64')
  return key.length >= keyBytes.min && key.length <= keyBytes.max ? key : undefined
}

/** The keys of secrets. Throws AuditError INVALID_OPTION, never with the secret in it. */
export function parseSecrets(secrets: readonly string[], setting: string): Buffer[] {
  return secrets.map((secret) => {
    const key = parseSecret(secret)
    if (key !== undefined) return key
    throw new AuditError('INVALID_OPTION', `${setting} is no secret of Standard Webhooks; allowed: ${secretRule}`, {
      setting,
      hint: `Make one: echo "${prefix}$(openssl rand -base64 32)"`,
    })
  })
}

/**
 * What names a batch, the same each time it is sent: stream, first and last sequence, and the start of the last leaf
 * hash. It holds no full stop, which separates it from what else is signed.
 */
export function nameBatch(records: readonly StoredRecord[]): string {
  const [first] = records
  const last = records.at(-1)
  if (first === undefined || last === undefined) return ''
  const end = last.stream === first.stream ? `${last.sequence}` : `${last.stream}_${last.sequence}`
  return `${first.stream}_${first.sequence}_${end}_${leafHash(last.bytes).slice(0, 16)}`
}

export interface WebhookHead {
  readonly id: string
  /** Seconds since the epoch. */
  readonly timestamp: number
}

/** The header `webhook-signature`. */
export function signWebhook(body: Uint8Array, { id, timestamp }: WebhookHead, keys: readonly Buffer[]): string {
  const signed = `${id}.${timestamp}.`
  return keys.map((key) => `v1,${createHmac('sha256', key).update(signed).update(body).digest('base64')}`).join(' ')
}

/**
 * Headers as `fetch` has them, or as Node's `http` has them.
 */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>

/** What a webhook turned out to be. `missing`: a header is absent; `stale`, `future`: its time is too far from ours. */
export type WebhookCheck =
  | ({ readonly valid: true } & WebhookHead)
  | { readonly valid: false; readonly reason: 'missing' | 'malformed' | 'stale' | 'future' | 'bad_signature' }

export interface WebhookCheckOptions {
  /** Any of them may have signed. */
  readonly secrets: string | readonly string[]
  /** How far the sender's clock may be from ours. Default 300. */
  readonly toleranceSeconds?: number | undefined
}

/**
 * For receivers: whether one of the secrets signed this body. `body` is the request's body as it came, before any
 * parsing or decompression. Throws AuditError INVALID_OPTION for a secret that is none. A body that is sent again
 * has the same id: keep the ids of the last `toleranceSeconds` to refuse it.
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  { secrets, toleranceSeconds = toleranceSecondsDefault }: WebhookCheckOptions,
): WebhookCheck {
  const keys = parseSecrets(typeof secrets === 'string' ? [secrets] : secrets, 'secrets')
  const id = readHeader(headers, 'webhook-id')
  const seconds = readHeader(headers, 'webhook-timestamp')
  const signatures = readHeader(headers, 'webhook-signature')
  if (id === undefined || seconds === undefined || signatures === undefined) return { valid: false, reason: 'missing' }
  if (!/^\d{1,15}$/.test(seconds)) return { valid: false, reason: 'malformed' }
  const timestamp = Number(seconds)
  const ageSeconds = Math.floor(nowMs() / 1_000) - timestamp
  if (ageSeconds > toleranceSeconds) return { valid: false, reason: 'stale' }
  if (-ageSeconds > toleranceSeconds) return { valid: false, reason: 'future' }
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const expected = signWebhook(bytes, { id, timestamp }, keys).split(' ')
  const given = signatures.split(' ').filter((signature) => signature.startsWith('v1,'))
  if (given.length === 0) return { valid: false, reason: 'malformed' }
  const isSigned = given.some((signature) => expected.some((own) => isEqual(signature, own)))
  return isSigned ? { valid: true, id, timestamp } : { valid: false, reason: 'bad_signature' }
}

function isEqual(given: string, own: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(own)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function readHeader(headers: WebhookHeaders, name: string): string | undefined {
  const value = headers instanceof Headers ? headers.get(name) : headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
