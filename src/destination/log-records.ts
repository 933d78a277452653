/**
 * Records as OpenTelemetry's log records, for exporters of the user's own. Resource and scope objects are shared, because
 * exporters group by identity.
 */

import type { SeverityNumber } from '@opentelemetry/api'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { leafHash } from '../chain/hash.ts'
import { projectRecord } from '../event/log-record.ts'
import { parseRecord, type RecordMembers, type StoredRecord } from '../event/record.ts'
import { createResource, type Resource, resourceKey, scope } from './otlp-resource.ts'

/** The records as OpenTelemetry's exporters and serializers take them. */
export function toLogRecords(records: readonly StoredRecord[]): ReadableLogRecord[] {
  const resources = new Map<string, Resource>()
  return records.map(({ bytes }) => {
    const members = parseRecord(bytes)
    return toLogRecord(bytes, members, shareResource(members ?? {}, resources))
  })
}

function toLogRecord(bytes: Buffer, members: RecordMembers | undefined, resource: Resource): ReadableLogRecord {
  const projection = projectRecord(members, leafHash(bytes))
  const { trace } = projection
  return {
    body: bytes.toString('utf8'),
    eventName: projection.eventName,
    hrTime: toHrTime(projection.timeUnixNano),
    hrTimeObserved: toHrTime(projection.observedTimeUnixNano),
    severityNumber: projection.severityNumber as SeverityNumber,
    severityText: projection.severityText,
    attributes: projection.attributes,
    droppedAttributesCount: 0,
    resource,
    instrumentationScope: scope,
    ...(trace && { spanContext: { traceId: trace.id, spanId: trace.span, traceFlags: trace.flags } }),
  }
}

function toHrTime(nanos: bigint): [number, number] {
  return [Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n)]
}

function shareResource({ service, resource: rest }: RecordMembers, resources: Map<string, Resource>): Resource {
  const key = resourceKey(service, rest)
  const resource = resources.get(key) ?? createResource(service, rest)
  resources.set(key, resource)
  return resource
}
