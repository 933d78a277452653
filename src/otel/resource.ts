/**
 * What of an OpenTelemetry resource goes into a record. `service.name` is a member of its own; what names a process
 * or a host's addresses changes at every start and is personal data on some machines: it is left out.
 */

import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import type { JsonObject } from '../event/canonical.ts'

type Resource = ReadableLogRecord['resource']

const leftOut = /^(?:service\.name|process\.pid|process\.command.*|process\.owner|host\.ip|host\.mac)$/

const cache = new WeakMap<Resource, { readonly members: JsonObject | undefined }>()

/** The kept attributes, or `undefined` when there are none or they are still being detected. */
export function resourceMembers(resource: Resource): JsonObject | undefined {
  const known = cache.get(resource)
  if (known !== undefined) return known.members
  if (resource.asyncAttributesPending === true) return undefined
  const members = keptMembers(resource.attributes)
  cache.set(resource, { members })
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
