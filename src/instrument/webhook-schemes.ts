/**
 * How senders of webhooks prove themselves, by the rules that each of them publishes. A scheme reads the headers and
 * says what was given; the comparison is one for all. Always holds: comparing takes the same time wherever two
 * signatures differ, and every key is tried.
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { parseSecret, type WebhookHeaders } from '../destination/webhook.ts'

export type WebhookScheme = 'github' | 'gitlab' | 'stripe' | 'slack' | 'standard-webhooks'

/** What a request shows of itself. */
export interface Shown {
  /** Of the sender's clock, where the scheme signs it. */
  readonly seconds?: number | undefined
  /** What names the message, where the scheme has it. */
  readonly id?: string | undefined
  /** The id is part of what was signed. */
  readonly isIdSigned?: boolean | undefined
  /** The kind of event, as the sender calls it. */
  readonly eventType?: string | undefined
  /** Whether one of these keys has made the signature. */
  readonly isSignedBy: (keys: readonly string[]) => boolean
}

/** `missing`: nothing that could be checked; `malformed`: not in the scheme's form. */
export type ShownOr = Shown | 'missing' | 'malformed'

export type ReadScheme = (body: Uint8Array, headers: WebhookHeaders) => ShownOr

export const webhookSchemes: Readonly<Record<WebhookScheme, ReadScheme>> = {
  github: (body, headers) => {
    const signature = readHeader(headers, 'x-hub-signature-256')
    if (signature === undefined) return 'missing'
    if (!/^sha256=[\da-f]{64}$/i.test(signature)) return 'malformed'
    return {
      id: readHeader(headers, 'x-github-delivery'),
      eventType: readHeader(headers, 'x-github-event'),
      isSignedBy: anyHmac([signature.slice('sha256='.length)], [body], 'hex'),
    }
  },
  // GitLab signs nothing: the token itself comes with each request.
  gitlab: (_body, headers) => {
    const token = readHeader(headers, 'x-gitlab-token')
    if (token === undefined) return 'missing'
    return {
      id: readHeader(headers, 'x-gitlab-event-uuid'),
      isIdSigned: true, // as much as anything in the request
      eventType: readHeader(headers, 'x-gitlab-event'),
      isSignedBy: (keys) => tryAll(keys, (key) => isSame(token, key)),
    }
  },
  stripe: (body, headers) => {
    const header = readHeader(headers, 'stripe-signature')
    if (header === undefined) return 'missing'
    const parts = header.split(',').map((part) => part.trim().split('=', 2))
    const [, time] = parts.find(([name]) => name === 't') ?? []
    const signatures = parts.flatMap(([name, value = '']) => (name === 'v1' ? [value] : []))
    const seconds = readSeconds(time)
    if (time === undefined || seconds === undefined || signatures.length === 0) return 'malformed'
    return { seconds, isSignedBy: anyHmac(signatures, [`${time}.`, body], 'hex') }
  },
  slack: (body, headers) => {
    const [signature, time] = [
      readHeader(headers, 'x-slack-signature'),
      readHeader(headers, 'x-slack-request-timestamp'),
    ]
    if (signature === undefined || time === undefined) return 'missing'
    const seconds = readSeconds(time)
    if (seconds === undefined || !/^v0=[\da-f]{64}$/i.test(signature)) return 'malformed'
    return { seconds, isSignedBy: anyHmac([signature.slice('v0='.length)], [`v0:${time}:`, body], 'hex') }
  },
  'standard-webhooks': (body, headers) => {
    const [id, time] = [readHeader(headers, 'webhook-id'), readHeader(headers, 'webhook-timestamp')]
    const header = readHeader(headers, 'webhook-signature')
    if (id === undefined || time === undefined || header === undefined) return 'missing'
    const signatures = header.split(' ').flatMap((one) => (one.startsWith('v1,') ? [one.slice('v1,'.length)] : []))
    const seconds = readSeconds(time)
    if (seconds === undefined || signatures.length === 0) return 'malformed'
    const signed = [`${id}.${time}.`, body]
    return {
      seconds,
      id,
      isIdSigned: true,
      isSignedBy: (keys) => tryAll(keys, (key) => anyHmac(signatures, signed, 'base64')([parseSecret(key) ?? key])),
    }
  },
}

function anyHmac(signatures: readonly string[], signed: readonly (string | Uint8Array)[], form: 'hex' | 'base64') {
  return (keys: readonly (string | Buffer)[]): boolean =>
    tryAll(keys, (key) => {
      const hmac = createHmac('sha256', key)
      for (const part of signed) hmac.update(part)
      const own = hmac.digest(form)
      return tryAll(signatures, (signature) => isSame(form === 'hex' ? signature.toLowerCase() : signature, own))
    })
}

/** Every one is tried, so that the time says nothing of which one it was. */
function tryAll<T>(all: readonly T[], test: (one: T) => boolean): boolean {
  return all.map(test).includes(true)
}

/** By their digests: two texts of any length are compared in the same time. */
function isSame(given: string, own: string): boolean {
  return timingSafeEqual(createHash('sha256').update(given).digest(), createHash('sha256').update(own).digest())
}

function readSeconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Node gives header names in lower case; whoever else asks may not. */
export function readHeader(headers: WebhookHeaders, name: string): string | undefined {
  const value =
    headers instanceof Headers
      ? headers.get(name)
      : (headers[name] ?? Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1])
  return typeof value === 'string' && value !== '' ? value : undefined
}
