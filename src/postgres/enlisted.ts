/**
 * An event on its way through the outbox, as JSON text. What our own `emit` has put there was judged and redacted
 * before, and fits into a record; reading trusts neither that nor anything else about the bytes: it never throws, and
 * whatever they are, an event comes out that can be sealed.
 */

import type { JsonObject, JsonValue } from '../event/canonical.ts'
import { commitmentTo, decodeDisclosures, encodeDisclosures, readDisclosure } from '../event/commit.ts'
import { convertEvent } from '../event/convert.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import { isObject } from '../event/object-members.ts'
import { encodeRecord, type Position } from '../event/record.ts'
import { commitmentPointerMax, commitmentsMax, disclosuresBytesMax, recordBytesMax } from '../limits.ts'

/** The members of a place at their longest: a record that fits with these fits anywhere. */
const widestPosition: Position = {
  stream: '00000000-0000-0000-0000-000000000000',
  sequence: Number.MAX_SAFE_INTEGER,
  previousHash: '0'.repeat(64),
  epoch: Number.MAX_SAFE_INTEGER,
  recorded: '9999-12-31T23:59:59.999999999Z',
  clock: '9999-12-31T23:59:59.999999999Z',
  id: '00000000-0000-0000-0000-000000000000',
}
/** More than the place and the names of its members take. */
const positionBytesMax = 1_024
const positionMembers = ['clock', 'epoch', 'event_type', 'id', 'prev', 'recorded', 'seq', 'stream', 'v'] as const

/** The text of an event that was admitted; trimmed as its record would be. */
export function encodeEnlisted(event: ConvertedEvent): string {
  const { hasIntegerLikeKey: _, ...members } = event
  const text = JSON.stringify({ ...members, disclosures: printDisclosures(event) })
  return text.length * 3 + positionBytesMax <= recordBytesMax ? text : trimEnlisted(event)
}

function trimEnlisted(event: ConvertedEvent): string {
  const members = JSON.parse(encodeRecord(event, widestPosition)) as Record<string, unknown>
  for (const name of positionMembers) delete members[name]
  const { schema, timestamp } = event
  return JSON.stringify({ ...members, schema, timestamp, disclosures: printDisclosures(event) })
}

/** Until it is sealed the row holds what was taken out of the event: nothing else would know it then. */
function printDisclosures({ disclosures }: ConvertedEvent): string | undefined {
  return disclosures === undefined ? undefined : encodeDisclosures(disclosures)
}

/** The commitments follow from the disclosures, whoever wrote the row. */
function takeDisclosures(event: ConvertedEvent, text: unknown): void {
  if (typeof text !== 'string') return
  const disclosures = decodeDisclosures(text)
  const found = disclosures.list.map(
    (one) => [readDisclosure(one.text)?.pointer ?? '', commitmentTo(one.text)] as const,
  )
  const isOver = found.some(([pointer]) => JSON.stringify(pointer).length > commitmentPointerMax)
  if (found.length === 0 || found.length > commitmentsMax || isOver || disclosures.bytes > disclosuresBytesMax) return
  event.disclosures = disclosures
  event.commitments = Object.fromEntries(found.sort(([one], [other]) => (one < other ? -1 : 1)))
}

/** What plain SQL may have put there: the event as it was given, or the text that is none. */
export function parseEnlisted(bytes: Buffer): JsonValue {
  const text = bytes.toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The event that `encodeEnlisted` was given; of other bytes, what can be made of them. */
export function decodeEnlisted(bytes: Buffer): ConvertedEvent {
  const parsed = parseEnlisted(bytes)
  if (!isObject(parsed)) return convertEvent(parsed)
  const { commitments: _, disclosures, level, policy, redactions, ...others } = parsed
  const { resource, sampling, service, validation, ...members } = others
  const event = convertEvent(members)
  takeDisclosures(event, disclosures)
  event.level = textOf(level)
  event.policy = textOf(policy)
  event.service = textOf(service)
  if ((redactions ?? resource ?? sampling ?? validation) === undefined) return event
  // Read as a part of an event: fresh, sorted and within the limits, whoever wrote it.
  const added = convertEvent({ details: { redactions, resource, sampling, validation } })
  const found: JsonObject = added.details ?? {}
  event.redactions = objectsOf(found.redactions)
  event.resource = isObject(found.resource) ? found.resource : undefined
  event.sampling = isObject(found.sampling) ? found.sampling : undefined
  event.validation = objectsOf(found.validation) ?? event.validation
  event.hasIntegerLikeKey ||= added.hasIntegerLikeKey
  return event
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.toWellFormed() : undefined
}

function objectsOf(value: unknown): JsonObject[] | undefined {
  return Array.isArray(value) && value.every(isObject) ? value : undefined
}
