/**
 * The record: a sealed event, one canonical JSON text of at most 49,152 bytes (docs/formats.md section 1).
 * `encodeRecord` decides what is in it and in which order; its position in the stream is given by the chain and
 * can never come from the event. After encoding the bytes never change form: whoever needs members parses a
 * copy, whoever needs the record keeps the bytes.
 */

import { recordBytesMax } from '../limits.ts'
import { type JsonObject, type JsonValue, stringifySorted } from './canonical.ts'
import { convertEvent } from './convert.ts'
import type { ConvertedEvent } from './converted-event.ts'
import type { TraceReference } from './event.ts'
import { trimRecord } from './trim.ts'

/** A sealed record as any copy holds it: its canonical bytes and its place, both as the carrier states them. */
export interface StoredRecord {
  readonly stream: string
  /** Counts from 1, gap-free in its stream. */
  readonly sequence: number
  readonly bytes: Buffer
  /** What travels beside it (`commit.ts`), in the hands of the one destination that keeps it. Never a part of `bytes`. */
  readonly disclosures?: Buffer | undefined
}

/** Where and when a record is sealed; all of it is the chain's, none of it the application's. */
export interface Position {
  readonly stream: string
  readonly sequence: number
  /** Leaf hash of the previous record; absent at sequence 1. */
  readonly previousHash: string | undefined
  readonly epoch: number
  /** Nine fractional digits, `Z`. */
  readonly recorded: string
  /** The raw clock, when `recorded` was moved forward. */
  readonly clock?: string | undefined
  /** See `newRecordId`. */
  readonly id: string
}

/** Types of the records that we write about the trail itself (docs/formats.md section 1c). */
export type ControlType =
  | 'audit.stream.opened'
  | 'audit.stream.closed'
  | 'audit.checkpoint'
  | 'audit.suppressed'
  | 'audit.gap'
  | 'audit.policy.changed'
  | 'audit.policy.rejected'
  | 'audit.key.rotated'
  | 'audit.quarantined'
  | 'audit.erased'
  | 'audit.pruned'
  | 'audit.restored'
  | 'audit.verified'
  | 'audit.anchored'
  | 'audit.query'
  | 'audit.exported'
  | 'audit.destination.dropped'
  | 'audit.destination.rewound'
  | 'audit.destination.resent'
  | 'audit.hold.added'
  | 'audit.hold.released'
  | 'audit.quarantine.resolved'
  | 'audit.file.deleted'
  | 'audit.heartbeat'

/** A fact about the trail, to be sealed like any event. */
export interface ControlFact {
  readonly type: ControlType
  readonly details: Readonly<Record<string, unknown>>
  readonly service?: string | undefined
  readonly correlation_id?: string | undefined
}

const recordVersion = '1'
/** Version of the event schema. */
const schemaVersion = '1'

/** The record of an event at a position: canonical, and never over the limit (see `trim.ts`). */
export function encodeRecord(event: ConvertedEvent, position: Position): string {
  return encode(event, position, 'audit')
}

/** The record of a control fact at a position; `action` equals `event_type`. */
export function encodeControl(fact: ControlFact, position: Position): string {
  const { type, details, service, correlation_id } = fact
  const event = convertEvent({ action: type, details, correlation_id })
  event.service = service
  return encode(event, position, type)
}

function encode(event: ConvertedEvent, position: Position, eventType: string): string {
  const record = assemble(event, position, eventType)
  const text = stringifySorted(record, event.hasIntegerLikeKey)
  if (text.length * 3 <= recordBytesMax) return text // a UTF-16 unit takes at most three bytes: no need to count
  const bytes = Buffer.byteLength(text)
  return bytes <= recordBytesMax ? text : trimRecord(record, bytes, event.hasIntegerLikeKey)
}

/** The record's members, keys in sorted order. Absent ones are left out: JSON.stringify is slow to skip them. */
function assemble(event: ConvertedEvent, position: Position, eventType: string): JsonObject {
  const record: JsonObject = { action: event.action }
  if (event.actor !== undefined) record.actor = event.actor
  if (event.attempts !== undefined) record.attempts = event.attempts
  if (event.changes !== undefined) record.changes = event.changes
  if (position.clock !== undefined) record.clock = position.clock
  if (event.commitments !== undefined) record.commitments = event.commitments
  if (event.correlation_id !== undefined) record.correlation_id = event.correlation_id
  if (event.details !== undefined) record.details = event.details
  if (event.duration_ms !== undefined) record.duration_ms = event.duration_ms
  record.epoch = position.epoch
  if (event.error !== undefined) record.error = event.error
  record.event_type = eventType
  if (event.grant !== undefined) record.grant = event.grant
  record.id = position.id
  if (event.level !== undefined) record.level = event.level
  if (event.operation !== undefined) record.operation = event.operation
  if (event.outcome !== undefined) record.outcome = event.outcome
  if (event.policy !== undefined) record.policy = event.policy
  if (position.previousHash !== undefined) record.prev = position.previousHash
  if (event.reason !== undefined) record.reason = event.reason
  record.recorded = position.recorded
  if (event.redactions !== undefined) record.redactions = event.redactions
  if (event.request !== undefined) record.request = event.request
  if (event.resource !== undefined) record.resource = event.resource
  if (event.sampling !== undefined) record.sampling = event.sampling
  record.schema = event.schema === undefined ? schemaVersion : `${schemaVersion};${event.action}=${event.schema}`
  record.seq = position.sequence
  if (event.service !== undefined) record.service = event.service
  if (event.session !== undefined) record.session = event.session
  record.stream = position.stream
  if (event.target !== undefined) record.target = event.target
  if (event.targets !== undefined) record.targets = event.targets
  if (event.tenant !== undefined) record.tenant = event.tenant
  record.timestamp = event.timestamp ?? position.recorded
  if (event.trace !== undefined) record.trace = sortTrace(event.trace)
  record.v = recordVersion
  if (event.validation !== undefined) record.validation = event.validation
  return record
}

/** Trace context comes from several doors; whatever order its members have there, here they are sorted. */
function sortTrace({ flags, id, span }: TraceReference): JsonObject {
  return { flags, id, span }
}

/** Every member of a record (docs/formats.md section 1) and its JSON type. */
const memberTypes = {
  action: 'string',
  actor: 'object',
  attempts: 'number',
  changes: 'object',
  clock: 'string',
  commitments: 'object',
  correlation_id: 'string',
  details: 'object',
  duration_ms: 'number',
  epoch: 'number',
  error: 'object',
  event_type: 'string',
  grant: 'string',
  id: 'string',
  level: 'string',
  operation: 'string',
  outcome: 'string',
  policy: 'string',
  prev: 'string',
  reason: 'string',
  recorded: 'string',
  redactions: 'array',
  request: 'object',
  resource: 'object',
  sampling: 'object',
  schema: 'string',
  seq: 'number',
  service: 'string',
  session: 'string',
  stream: 'string',
  target: 'object',
  targets: 'array',
  tenant: 'string',
  timestamp: 'string',
  trace: 'object',
  v: 'string',
  validation: 'array',
} as const

const typesByName: ReadonlyMap<string, string> = new Map(Object.entries(memberTypes))

interface JsonTypes {
  readonly string: string
  readonly number: number
  readonly object: JsonObject
  readonly array: JsonValue[]
}

/**
 * The members of a record as its bytes state them. The copy may be foreign or damaged: any may be missing, and one
 * of the wrong type counts as missing, so that the types hold. What stands inside objects and arrays is unchecked.
 */
export type RecordMembers = {
  readonly [Member in keyof typeof memberTypes]?: JsonTypes[(typeof memberTypes)[Member]]
}

/** The members in a record's bytes; `undefined` when they are no JSON object. Unknown ones are left in. Never throws. */
export function parseRecord(bytes: Uint8Array): RecordMembers | undefined {
  const parsed = parseJson(bytes)
  if (jsonType(parsed) !== 'object') return undefined
  const members = parsed as Record<string, unknown>
  for (const member of Object.keys(members)) {
    const type = typesByName.get(member)
    if (type !== undefined && jsonType(members[member]) !== type) delete members[member]
  }
  return members
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    return undefined // no JSON, or too deep for the parser: either way no record of ours
  }
}

function jsonType(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
