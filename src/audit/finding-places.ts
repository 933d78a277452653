/**
 * Redacts the places that a catalogue's findings name: keys are redacted as well as values, and a finding must not keep
 * what its event no longer holds. Asks redaction itself, by an event that holds nothing but the place.
 */

import type { JsonObject, JsonValue } from '../event/canonical.ts'
import { emptyEvent } from '../event/converted-event.ts'
import { isObject } from '../event/object-members.ts'
import { setMember } from '../event/value.ts'
import type { Redaction } from '../policy/redact.ts'

/** Changes the findings of a catalogue in place. Their pointers have no escapes: see `standard-schema.ts`. */
export function redactPlaces(findings: readonly JsonObject[], redaction: Redaction): void {
  for (const finding of findings) {
    const { pointer, rule } = finding
    if (typeof pointer !== 'string' || typeof rule !== 'string' || !rule.startsWith('schema:')) continue
    const [, member = '', ...keys] = pointer.split('/')
    if (keys.length > 0) finding.pointer = `/${member}${redactPath(member, keys, redaction)}`
  }
}

/** The keys as they are after redaction, up to the first below which everything is hidden. */
function redactPath(member: string, keys: readonly string[], redaction: Redaction): string {
  const event = emptyEvent()
  setMember(event as unknown as JsonObject, member, nest(keys))
  redaction.redact(event)
  let path = ''
  let holder: JsonValue | undefined = (event as unknown as JsonObject)[member]
  while (isObject(holder)) {
    const [key] = Object.keys(holder)
    if (key === undefined) break
    path += `/${key}`
    holder = holder[key]
  }
  return path
}

function nest(keys: readonly string[]): JsonObject {
  const root: JsonObject = {}
  let holder = root
  for (const key of keys.slice(0, -1)) {
    const below: JsonObject = {}
    setMember(holder, key, below)
    holder = below
  }
  setMember(holder, keys.at(-1) ?? '', true)
  return root
}
