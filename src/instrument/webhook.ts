/**
 * Authentication of webhooks that come in, success and failure recorded (`webhook.authenticate`): why one was refused,
 * where it came from, what it said it was. Never its body, never a signature. Always holds: a request that was not
 * accepted is recorded before the caller hears of it.
 */

import { createHash } from 'node:crypto'
import { nowMs } from '../clock.ts'
import type { WebhookHeaders } from '../destination/webhook.ts'
import { AuditError } from '../errors.ts'
import type { AuditEvent } from '../event/event.ts'
import type { Emits } from './emits.ts'
import { ReplayWindow } from './replay.ts'
import { type Shown, type ShownOr, type WebhookScheme, webhookSchemes } from './webhook-schemes.ts'

/** Why a webhook was not accepted. `unknown_key`: it names a key that we do not have. */
export type WebhookRejection =
  | 'missing'
  | 'malformed'
  | 'bad_signature'
  | 'stale'
  | 'future'
  | 'replayed'
  | 'unknown_key'

export interface WebhookAuthOptions {
  readonly scheme: WebhookScheme
  /** Secrets, any of which may have signed; or by the name that `keyName` finds in a request. */
  readonly keys: readonly string[] | Readonly<Record<string, string>>
  /** Which of the named keys a request says it is signed with. */
  readonly keyName?: ((request: WebhookRequest) => string | undefined) | undefined
  /** How far the sender's clock may be from ours, where the scheme signs a time. Default 300. */
  readonly toleranceSeconds?: number | undefined
}

export interface WebhookRequest {
  /** As it came, before any parsing. */
  readonly body: string | Uint8Array
  readonly headers: WebhookHeaders
  readonly sourceIp?: string | undefined
  /** What it is about, where that can be read off: a project, a repository. */
  readonly target?: AuditEvent['target']
}

export type WebhookAuthentication =
  | { readonly accepted: true; readonly id: string | undefined; readonly eventType: string | undefined }
  | { readonly accepted: false; readonly reason: WebhookRejection }

export type AuthenticateWebhook = (request: WebhookRequest) => WebhookAuthentication

/** What checks and records each webhook of one sender; it remembers ids, so keep it. Throws AuditError INVALID_OPTION. */
export function auditWebhooks(audit: Emits, options: WebhookAuthOptions): AuthenticateWebhook {
  const { scheme, keys, toleranceSeconds = 300 } = options
  if (Object.values(keys).filter((key) => key !== '').length === 0) throw noKeys()
  const replays = new ReplayWindow({ seconds: 2 * toleranceSeconds })
  return (request) => {
    const body = typeof request.body === 'string' ? Buffer.from(request.body) : request.body
    const shown = webhookSchemes[scheme](body, request.headers)
    const reason = rejectionOf(shown, { body, request, options, toleranceSeconds, replays })
    const known: Partial<Shown> = typeof shown === 'string' ? {} : shown
    record(audit, { request, reason, eventType: known.eventType, isSigned: reason === undefined || isLate(reason) })
    if (reason !== undefined) return { accepted: false, reason }
    return { accepted: true, id: known.id, eventType: known.eventType }
  }
}

interface Judging {
  readonly body: Uint8Array
  readonly request: WebhookRequest
  readonly options: WebhookAuthOptions
  readonly toleranceSeconds: number
  readonly replays: ReplayWindow
}

/** The signature is judged first: what nobody signed tells nothing of its time. */
function rejectionOf(shown: ShownOr, { body, request, options, toleranceSeconds, replays }: Judging) {
  if (typeof shown === 'string') return shown
  const keys = keysFor(request, options)
  if (keys === undefined) return 'unknown_key'
  if (!shown.isSignedBy(keys)) return 'bad_signature'
  const age = shown.seconds === undefined ? 0 : Math.floor(nowMs() / 1_000) - shown.seconds
  if (age > toleranceSeconds) return 'stale'
  if (-age > toleranceSeconds) return 'future'
  return replays.isNew(nameMessage(body, shown)) ? undefined : 'replayed'
}

/** The same for the same signed bytes: a sender that tries again signs another time, and is no replay. */
function nameMessage(body: Uint8Array, { seconds = 0, id = '', isIdSigned = false }: Shown): string {
  const hash = createHash('sha256').update(`${seconds}.${isIdSigned ? id : ''}.`)
  return hash.update(body).digest('base64')
}

/** Whether a rejection of this kind comes behind a valid signature. */
function isLate(reason: WebhookRejection): boolean {
  return reason === 'stale' || reason === 'future' || reason === 'replayed'
}

function keysFor(request: WebhookRequest, { keys, keyName }: WebhookAuthOptions): readonly string[] | undefined {
  const isNamed = !Array.isArray(keys)
  if (!isNamed || keyName === undefined) return Object.values(keys)
  const name = keyName(request)
  const key = name !== undefined && Object.hasOwn(keys, name) ? (keys as Record<string, string>)[name] : undefined
  return key === undefined ? undefined : [key]
}

interface Judged {
  readonly request: WebhookRequest
  readonly reason: WebhookRejection | undefined
  readonly eventType: string | undefined
  readonly isSigned: boolean
}

function record(audit: Emits, { request, reason, eventType, isSigned }: Judged): void {
  const { sourceIp, target } = request
  const isDenied = reason !== undefined
  audit.emit({
    action: 'webhook.authenticate',
    operation: 'login',
    actor: { type: 'webhook_event', id: audit.correlationId },
    outcome: isDenied ? 'denied' : 'success',
    ...(isDenied ? { reason, error: { class: 'auth_failure' } } : {}),
    ...(target === undefined ? {} : { target }),
    ...(sourceIp === undefined ? {} : { request: { source_ip: sourceIp } }),
    details: {
      hmac: isSigned ? 'valid' : 'invalid',
      ...(eventType === undefined ? {} : { webhook_event_type: eventType }),
      ...(isDenied ? { rejection_reason: reason } : {}),
    },
  })
}

function noKeys(): AuditError {
  return new AuditError('INVALID_OPTION', 'keys holds no secret; allowed: at least one', {
    setting: 'keys',
    hint: 'Give the secret that is set at the sender; during a rotation, the old one and the new one.',
  })
}
