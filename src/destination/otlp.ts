/**
 * Delivery to an OTLP/HTTP endpoint, in general the sidecar collector. Configuration (`OTEL_EXPORTER_OTLP_*`, TLS,
 * headers) and encoding are OpenTelemetry's own. Its retrying transport is not used: it repeats by itself, cannot be
 * stopped, hides status and Retry-After, and calls a partial success a success; here one `send` is one request.
 */

import { getStringFromEnv } from '@opentelemetry/core'
import { convertLegacyHttpOptions } from '@opentelemetry/otlp-exporter-base/node-http'
import { nowMs } from '../clock.ts'
import { AuditError, errorText } from '../errors.ts'
import { createAgent } from './credentials.ts'
import type { Batch, Delivery, Destination } from './destination.ts'
import type { OtlpDestinationOptions, TlsFiles } from './options.ts'
import {
  createRequestEncoder,
  mediaTypes,
  type OtlpProtocol,
  type RequestEncoder,
  readLogsAnswer,
} from './otlp-request.ts'
import { userAgent } from './otlp-resource.ts'
import { wrongVariable } from './otlp-variables.ts'
import { type Answer, describeAnswer, type PostTarget, parseRetryAfter, post } from './post.ts'

/**
 * A destination that sends each batch as one request to `/v1/logs`. Options win over `OTEL_EXPORTER_OTLP_LOGS_*`,
 * these over `OTEL_EXPORTER_OTLP_*`. Throws AuditError INVALID_OPTION for settings that cannot be meant.
 */
export function createOtlpDestination(options: OtlpDestinationOptions): Destination {
  refuseWrongVariable(options)
  const protocol = chooseProtocol(options)
  const configuration = readConfiguration(options, protocol)
  const url = new URL(configuration.url)
  let target: Promise<PostTarget> | undefined
  const connect = async (): Promise<PostTarget> => ({
    url,
    headers: { ...(await configuration.headers()), 'User-Agent': userAgent },
    agent: createAgent(url, tlsFiles(options)),
    compression: configuration.compression,
    timeoutMs: configuration.timeoutMillis,
  })
  /** Encoders whose buffer no request reads any more. */
  const idle: RequestEncoder[] = []
  return {
    name: options.name ?? 'otlp',
    sendingsMax: 2, // one is encoded while the other is on the wire; a collector keeps no order anyway
    async send(batch, signal) {
      const encoder = idle.pop() ?? createRequestEncoder(protocol)
      const request = encoder.encode(batch.records)
      try {
        target ??= connect()
        const delivery = judgeAnswer(await post(await target, request, signal), batch)
        // Only then is the request known to be read to its end; else a socket may still hold the buffer.
        if (delivery.status === 'delivered') idle.push(encoder)
        return delivery
      } catch (thrown) {
        return { status: 'retry', reason: signal.aborted ? 'stopped' : `${url.origin}: ${errorText(thrown)}` }
      }
    },
    async close() {
      const opened = await target?.catch(() => undefined) // what never opened needs no closing
      opened?.agent.destroy()
    },
  }
}

/** A protocol of the environment that is not ours was meant for the program's other telemetry: else it is refused. */
function chooseProtocol(options: OtlpDestinationOptions): OtlpProtocol {
  const wanted =
    options.protocol ??
    getStringFromEnv('OTEL_EXPORTER_OTLP_LOGS_PROTOCOL') ??
    getStringFromEnv('OTEL_EXPORTER_OTLP_PROTOCOL')
  return wanted === 'http/json' ? wanted : 'http/protobuf'
}

function refuseWrongVariable(options: OtlpDestinationOptions): void {
  const wrong = wrongVariable(options, getStringFromEnv)
  if (wrong === undefined) return
  const { setting, value, allowed, hint } = wrong
  throw new AuditError('INVALID_OPTION', `${setting} is ${JSON.stringify(value)}; allowed: ${allowed}`, {
    setting,
    hint,
  })
}

function readConfiguration(options: OtlpDestinationOptions, protocol: OtlpProtocol) {
  const { endpoint, headers, timeoutMs } = options
  try {
    const configuration = convertLegacyHttpOptions(
      {
        ...(endpoint !== undefined && { url: logsUrl(endpoint) }),
        ...(headers !== undefined && { headers: { ...headers } }),
        ...(timeoutMs !== undefined && { timeoutMillis: timeoutMs }),
      },
      'LOGS',
      'v1/logs',
      { 'Content-Type': mediaTypes[protocol] },
    )
    return { ...configuration, compression: options.compression ?? configuration.compression }
  } catch (thrown) {
    throw new AuditError('INVALID_OPTION', `OTLP destination: ${errorText(thrown)}`, {
      setting: 'destinations.otlp',
      hint: 'The endpoint is a base URL such as http://127.0.0.1:4318, the timeout a positive number of milliseconds.',
      cause: thrown,
    })
  }
}

/** Options win over the variables of the specification; `createAgent` reads the files for each connection. */
function tlsFiles({ tls }: OtlpDestinationOptions): TlsFiles {
  const fromEnv = (name: string) =>
    getStringFromEnv(`OTEL_EXPORTER_OTLP_LOGS_${name}`) ?? getStringFromEnv(`OTEL_EXPORTER_OTLP_${name}`)
  const caFile = tls?.caFile ?? fromEnv('CERTIFICATE')
  if (tls?.certFile !== undefined) return { ...tls, caFile }
  return { ...tls, caFile, certFile: fromEnv('CLIENT_CERTIFICATE'), keyFile: fromEnv('CLIENT_KEY') }
}

/** The base URL with `/v1/logs`; a URL that already ends so is taken as it is. */
function logsUrl(endpoint: string): string {
  const url = new URL(endpoint)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error(`${url.protocol}//… is not HTTP`)
  if (!url.pathname.endsWith('/v1/logs')) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/logs`
  return url.href
}

/**
 * 2xx with nothing refused is delivered. Refused records, 400 and 413 are `rejected`; everything else (401, 403, 404
 * and 500 included) may pass, and is retried.
 */
function judgeAnswer(answer: Answer, batch: Batch): Delivery {
  const { status, headers, body } = answer
  if (status >= 200 && status < 300) return judgeSuccess(answer, batch)
  const reason = describeAnswer(status, body)
  if (status === 400 || status === 413) return { status: 'rejected', reason }
  return { status: 'retry', reason, afterMs: parseRetryAfter(headers['retry-after'], nowMs()) }
}

function judgeSuccess(answer: Answer, batch: Batch): Delivery {
  const partial = readLogsAnswer(answer)
  if (partial === undefined) {
    const mediaType = answer.headers['content-type'] ?? 'no content type'
    return { status: 'retry', reason: `HTTP ${answer.status} with ${mediaType}, which is no OTLP answer` }
  }
  if (partial.rejected === 0) return { status: 'delivered' }
  return {
    status: 'rejected',
    reason: `${partial.rejected} of ${batch.records.length} records refused: ${partial.message}`,
  }
}
