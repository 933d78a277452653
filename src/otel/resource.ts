/**
 * What of an OpenTelemetry resource goes into a record: `service.name` as the record's `service`, the rest as its
 * `resource`. Left out is what names a process or a host's addresses, because it changes at every start and is
 * personal data on some machines, and what describes the SDK.
 */

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import type { JsonObject } from '../event/canonical.ts'
import { convertEvent } from '../event/convert.ts'

type Resource = ReadableLogRecord['resource']

const leftOut =
  /^(?:service\.name|telemetry\.sdk\..*|process\.pid|process\.command.*|process\.owner|host\.ip|host\.mac)$/

/** Absent parts are not known. */
export interface ResourceMembers {
  readonly service: string | undefined
  readonly resource: JsonObject | undefined
}

const nothing: ResourceMembers = { service: undefined, resource: undefined }

const cache = new WeakMap<Resource, ResourceMembers>()

/** What is known of a resource; nothing while its attributes are still being detected. */
export function resourceMembers(resource: Resource): ResourceMembers {
  const known = cache.get(resource)
  if (known !== undefined) return known
  if (resource.asyncAttributesPending === true) return nothing
  const service = resource.attributes['service.name']
  const isNamed = typeof service === 'string' && !service.startsWith('unknown_service') // the SDK's own default
  const members = { service: isNamed ? service : undefined, resource: keptMembers(resource.attributes) }
  cache.set(resource, members)
  return members
}

/** The kept ones of plain resource attributes, converted like an event's details; `undefined` when none is. */
export function keptMembers(attributes: Readonly<Record<string, unknown>>): JsonObject | undefined {
  const kept = Object.entries(attributes).filter(([name]) => !leftOut.test(name))
  return kept.length === 0 ? undefined : convertEvent({ details: Object.fromEntries(kept) }).details
}
