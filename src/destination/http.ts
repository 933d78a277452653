/**
 * Delivery to any HTTP endpoint: one POST a batch, signed per Standard Webhooks when there is a secret. Always holds:
 * one `send` is one request; a batch sent again carries the same id; redirects are not followed, because they would
 * carry records and headers to a host that nobody named. What a status means is judged in `http-format.ts`.
 */

import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { nowMs } from '../clock.ts'
import { errorText } from '../errors.ts'
import { createAgent, readSecrets } from './credentials.ts'
import type { Batch, Destination } from './destination.ts'
import { bodyFormats } from './http-format.ts'
import type { HttpDestinationOptions } from './options.ts'
import { userAgent } from './otlp-resource.ts'
import { post } from './post.ts'
import { nameBatch, parseSecrets, signWebhook } from './webhook.ts'

const timeoutMsDefault = 10_000
const gzip = promisify(zlib.gzip)

/** A destination that posts each batch to `endpoint`. Throws AuditError INVALID_OPTION for a secret that is none. */
export function createHttpDestination(options: HttpDestinationOptions): Destination {
  const url = new URL(options.endpoint)
  const { mediaType, encode, judge } = bodyFormats[options.format ?? 'json']
  const keys = readKeys(options)
  const agent = createAgent(url, options.tls)
  const fixed = {
    ...options.headers,
    'Content-Type': mediaType,
    'User-Agent': userAgent,
    ...(options.compression === 'gzip' && { 'Content-Encoding': 'gzip' }),
  }
  const target = { url, agent, compression: 'none', timeoutMs: options.timeoutMs ?? timeoutMsDefault } as const
  return {
    name: options.name ?? 'http',
    repeatsBatches: true, // the id is made of the records: a receiver knows a repetition by it
    async send(batch, signal) {
      try {
        const encoded = encode(batch.records)
        const body = options.compression === 'gzip' ? await gzip(encoded) : encoded
        const headers = { ...fixed, ...nameAndSign(batch, body, keys()) }
        return judge(await post({ ...target, headers }, body, signal), batch)
      } catch (thrown) {
        return { status: 'retry', reason: signal.aborted ? 'stopped' : `${url.origin}: ${errorText(thrown)}` }
      }
    },
    async close() {
      agent.destroy()
    },
  }
}

function nameAndSign({ records }: Batch, body: Uint8Array, keys: readonly Buffer[]): Record<string, string> {
  const id = nameBatch(records)
  const timestamp = Math.floor(nowMs() / 1_000)
  return {
    'Idempotency-Key': id,
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    ...(keys.length > 0 && { 'webhook-signature': signWebhook(body, { id, timestamp }, keys) }),
  }
}

/** Keys from the options are known for good; a file is asked each time, and one without a secret is no permission. */
function readKeys({ secret = [], secretFile }: HttpDestinationOptions): () => readonly Buffer[] {
  const given = parseSecrets(typeof secret === 'string' ? [secret] : secret, 'destinations.http.secret')
  if (secretFile === undefined) return () => given
  return () => {
    const fromFile = parseSecrets(readSecrets(secretFile), 'destinations.http.secretFile')
    if (fromFile.length === 0) throw new Error(`${secretFile} holds no secret`)
    return [...given, ...fromFile]
  }
}
