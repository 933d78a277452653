/**
 * What the log records of one service share: the resource and the scope, as the library has them and as it encodes
 * them. Whoever groups by resource asks for the same one with `resourceKey`.
 */

import { createRequire } from 'node:module'
import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import type { JsonObject } from '../event/canonical.ts'
import { scopeName } from '../event/names.ts'

export type Resource = ReadableLogRecord['resource']

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

export const scope = { name: scopeName, version }

/** Name and version of this package, as HTTP's User-Agent has it. */
export const userAgent = `${scopeName}/${version}`

/** The resource of records with these members. */
export function createResource(service: string | undefined, rest: JsonObject | undefined): Resource {
  const attributes = { ...(rest as Resource['attributes'] | undefined) }
  if (service !== undefined) attributes['service.name'] = service
  // As the transformer reads it; merging is for SDKs.
  const resource: Resource = { attributes, merge: () => resource, getRawAttributes: () => Object.entries(attributes) }
  return resource
}

/** Equal for members that give the same resource. */
export function resourceKey(service: string | undefined, rest: JsonObject | undefined): string {
  return JSON.stringify([service, rest])
}

/** Fields of an ExportLogsServiceRequest, each with tag and length. */
export interface EncodedResource {
  /** `resource` of ResourceLogs. */
  readonly resource: Buffer
  /** `scope` of ScopeLogs. */
  readonly scope: Buffer
}

/** A log record of a resource and our scope that holds nothing. */
export function emptyLogRecord(resource: Resource): ReadableLogRecord {
  const times = { hrTime: [0, 0] as [number, number], hrTimeObserved: [0, 0] as [number, number] }
  return { resource, instrumentationScope: scope, ...times, attributes: {}, droppedAttributesCount: 0 }
}

/** Encodes a resource and our scope: cut out of the request that the library makes of an empty log record. */
export function encodeResource(resource: Resource): EncodedResource {
  const request = ProtobufLogsSerializer.serializeRequest([emptyLogRecord(resource)])
  if (request === undefined) throw new Error('the OTLP serializer returned nothing')
  const resourceLogs = contentOf(Buffer.from(request))
  const field = resourceLogs.subarray(0, fieldLength(resourceLogs))
  const scopeLogs = contentOf(resourceLogs.subarray(field.length))
  return { resource: field, scope: scopeLogs.subarray(0, fieldLength(scopeLogs)) }
}

/** What the first field of a message holds; it has a tag of one byte and states its length. */
function contentOf(message: Buffer): Buffer {
  const [start, length] = readLength(message)
  return message.subarray(start, start + length)
}

/** The first field's length, with tag and length. */
function fieldLength(message: Buffer): number {
  const [start, length] = readLength(message)
  return start + length
}

function readLength(message: Buffer): [start: number, length: number] {
  let length = 0
  for (let at = 1; ; at++) {
    const byte = message.readUInt8(at)
    length += (byte & 0x7f) * 2 ** (7 * (at - 1))
    if (byte < 0x80) return [at + 1, length]
  }
}
