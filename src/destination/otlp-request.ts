/**
 * The OTLP request of a batch and the meaning of its answer (docs/formats.md section 4). Always holds: the body of
 * a log record is the sealed text, unchanged; everything else is a projection of it. Resource and scope objects are
 * shared, because the transformer groups by identity: one envelope per batch and resource.
 */

import { createRequire } from 'node:module'
import type { SeverityNumber } from '@opentelemetry/api'
import { JsonLogsSerializer, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { leafHash } from '../chain/hash.ts'
import { projectRecord } from '../event/log-record.ts'
import { scopeName } from '../event/names.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import type { Answer } from './post.ts'

export type OtlpProtocol = 'http/protobuf' | 'http/json'

/** The media type of a protocol, in requests and in answers. */
export const mediaTypes = {
  'http/protobuf': 'application/x-protobuf',
  'http/json': 'application/json',
} as const satisfies Record<OtlpProtocol, string>

type Resource = ReadableLogRecord['resource']

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
const scope = { name: scopeName, version }

/** Name and version of this package, as HTTP's User-Agent has it. */
export const userAgent = `${scopeName}/${version}`

/** Encodes the records as one ExportLogsServiceRequest, in their order within each resource. */
export function encodeLogsRequest(records: readonly StoredRecord[], protocol: OtlpProtocol): Uint8Array {
  const resources = new Map<string, Resource>()
  const logRecords = records.map((record) => toLogRecord(record, resources))
  const serializer = protocol === 'http/json' ? JsonLogsSerializer : ProtobufLogsSerializer
  const request = serializer.serializeRequest(logRecords)
  if (request === undefined) throw new Error('the OTLP serializer returned nothing')
  return request
}

function toLogRecord(record: StoredRecord, resources: Map<string, Resource>): ReadableLogRecord {
  const members = parseRecord(record.bytes)
  const projection = projectRecord(members, leafHash(record.bytes))
  const { trace } = projection
  return {
    body: record.bytes.toString('utf8'),
    eventName: projection.eventName,
    hrTime: toHrTime(projection.timeUnixNano),
    hrTimeObserved: toHrTime(projection.observedTimeUnixNano),
    severityNumber: projection.severityNumber as SeverityNumber,
    severityText: projection.severityText,
    attributes: projection.attributes,
    droppedAttributesCount: 0,
    resource: shareResource(members?.service, members?.resource, resources),
    instrumentationScope: scope,
    ...(trace && { spanContext: { traceId: trace.id, spanId: trace.span, traceFlags: trace.flags } }),
  }
}

function toHrTime(nanos: bigint): [number, number] {
  return [Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n)]
}

function shareResource(service: unknown, rest: unknown, resources: Map<string, Resource>): Resource {
  const key = JSON.stringify([service, rest])
  let resource = resources.get(key)
  if (resource === undefined) {
    const attributes = { ...(rest as Resource['attributes'] | undefined) }
    if (typeof service === 'string') attributes['service.name'] = service
    resource = createResource(attributes)
    resources.set(key, resource)
  }
  return resource
}

/** A resource as the transformer reads it; merging is for SDKs. */
function createResource(attributes: Resource['attributes']): Resource {
  const resource: Resource = { attributes, merge: () => resource, getRawAttributes: () => Object.entries(attributes) }
  return resource
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
