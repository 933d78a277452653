/**
 * What of an OpenTelemetry resource goes into a record: `service.name` as the record's `service`, the rest as its
 * `resource`. Left out is what names a process or a host's addresses, because it changes at every start and is
 * personal data on some machines, and what describes the SDK.
 */

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import type { JsonObject } from '../event/canonical.ts'

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

/** The kept ones of plain resource attributes, keys sorted; `undefined` when none is. */
export function keptMembers(attributes: Readonly<Record<string, unknown>>): JsonObject | undefined {
  const members: JsonObject = {}
  for (const name of Object.keys(attributes).sort()) {
    const value = attributes[name]
    if (!leftOut.test(name) && (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')) {
      members[name] = value
    }
  }
  return Object.keys(members).length === 0 ? undefined : members
}
