/**
 * The OTLP request of a batch and the meaning of its answer (docs/formats.md section 4). Always holds: the body of
 * a log record is the sealed text, unchanged; everything else is a projection of it; one envelope a resource.
 */

import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import type { StoredRecord } from '../event/record.ts'
import { JsonRequestEncoder } from './otlp-json.ts'
import { ProtobufRequestEncoder } from './otlp-protobuf.ts'
import type { Answer } from './post.ts'

export type OtlpProtocol = 'http/protobuf' | 'http/json'

/** The media type of a protocol, in requests and in answers. */
export const mediaTypes = {
  'http/protobuf': 'application/x-protobuf',
  'http/json': 'application/json',
} as const satisfies Record<OtlpProtocol, string>

/** Encodes records as ExportLogsServiceRequests, in their order within each resource. */
export interface RequestEncoder {
  /** The request may lie in a buffer of the encoder: it is used up before the next call. */
  encode(records: readonly StoredRecord[]): Uint8Array
}

export function createRequestEncoder(protocol: OtlpProtocol): RequestEncoder {
  return protocol === 'http/json' ? new JsonRequestEncoder() : new ProtobufRequestEncoder()
}

/** What a successful answer says about the records: how many were refused, and why. */
export interface PartialSuccess {
  readonly rejected: number
  readonly message: string
}

/**
 * Reads the body of a 2xx answer. `undefined` when it is no OTLP answer: whatever sent it (a login page, a proxy)
 * is not the peer that keeps the records. An empty body is the answer of a peer with nothing to add.
 */
export function readLogsAnswer(answer: Answer): PartialSuccess | undefined {
  if (answer.body.length === 0) return { rejected: 0, message: '' }
  const partial = readPartialSuccess(answer)
  if (partial === undefined) return undefined
  // JSON carries an int64 as a string.
  const rejected = Number(partial.rejectedLogRecords ?? 0)
  return Number.isSafeInteger(rejected) ? { rejected, message: String(partial.errorMessage ?? '') } : undefined
}

interface ExportedPartialSuccess {
  readonly rejectedLogRecords?: unknown
  readonly errorMessage?: unknown
}

function readPartialSuccess({ headers, body }: Answer): ExportedPartialSuccess | undefined {
  const mediaType = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  try {
    // The library's JSON reader takes unreadable text for success, so it is not used here.
    if (mediaType === mediaTypes['http/json']) return readJsonResponse(JSON.parse(body.toString('utf8')))
    if (mediaType === mediaTypes['http/protobuf']) {
      return ProtobufLogsSerializer.deserializeResponse(body).partialSuccess ?? {}
    }
  } catch {
    // Unreadable: the caller learns it from `undefined`.
  }
  return undefined
}

function readJsonResponse(response: unknown): ExportedPartialSuccess | undefined {
  if (typeof response !== 'object' || response === null || Array.isArray(response)) return undefined
  return (response as { partialSuccess?: ExportedPartialSuccess }).partialSuccess ?? {}
}
