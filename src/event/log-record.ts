/**
 * The border to OpenTelemetry, in both directions: from a log record to the event in it (docs/formats.md section
 * 1a), and from a record to the log record that carries it (section 4). Members of a body are never touched here;
 * conversion alone reads them. The projection is derived from the record and nothing else, so that anyone can check it.
 */

import { formatTimestamp, nowMs, timestampNanos } from '../clock.ts'
import type { JsonObject, JsonValue } from './canonical.ts'
import { FilledEvent } from './convert.ts'
import type { AuditEvent, TraceReference } from './event.ts'
import { attributeNames } from './names.ts'
import { isObject } from './object-members.ts'
import type { RecordMembers } from './record.ts'

/** Seconds and nanoseconds since the epoch. */
type HrTime = readonly [number, number]

/** What is read of an SDK log record. */
export interface LogRecord {
  readonly body?: unknown
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  readonly eventName?: string | undefined
  readonly hrTime: HrTime
  readonly hrTimeObserved: HrTime
}

/**
 * What `convertEvent` takes, or `undefined` when this is no audit record: one that carries the attribute
 * `audit.action`, or any record of our own provider's loggers (`ours`). The body is the event; attributes,
 * `eventName` and an explicit timestamp fill what it lacks. A body that needs no filling is returned as it is.
 */
export function eventFromLogRecord(record: LogRecord, { ours }: { readonly ours: boolean }): unknown {
  const { body, attributes, eventName } = record
  if (!ours && attributes?.[attributeNames.action] === undefined) return undefined
  const timestamp = explicitTimestamp(record)
  const fill: FillingEvent = {}
  let filled = fillFromAttributes(fill, attributes)
  if (eventName !== undefined && fill.action === undefined) {
    fill.action = eventName
    filled = true
  }
  if (timestamp !== undefined) {
    fill.timestamp = timestamp
    filled = true
  }
  return filled || body === undefined ? new FilledEvent(body, fill) : body
}

/** Trace context of a log record's span, in the record's form. */
export function traceFromSpanContext(
  context: { readonly traceId: string; readonly spanId: string; readonly traceFlags: number } | undefined,
): TraceReference | undefined {
  return context && { flags: context.traceFlags, id: context.traceId, span: context.spanId }
}

type FillingEvent = { -readonly [Member in keyof AuditEvent]?: unknown }
type EventPath = readonly [member: keyof AuditEvent & keyof RecordMembers, part?: string]

/** Where the attributes of a log record go in the event: a member, or a member of a member. */
const eventPaths: ReadonlyMap<string, EventPath> = new Map<string, EventPath>([
  [attributeNames.action, ['action']],
  [attributeNames.operation, ['operation']],
  [attributeNames.outcome, ['outcome']],
  [attributeNames.schema, ['schema']],
  [attributeNames.tenant, ['tenant']],
  [attributeNames.session, ['session']],
  [attributeNames.correlationId, ['correlation_id']],
  [attributeNames.actorId, ['actor', 'id']],
  [attributeNames.actorType, ['actor', 'type']],
  [attributeNames.targetId, ['target', 'id']],
  [attributeNames.targetType, ['target', 'resource_type']],
  [attributeNames.errorClass, ['error', 'class']],
  [attributeNames.sourceIp, ['request', 'source_ip']],
  [attributeNames.userAgent, ['request', 'user_agent']],
  [attributeNames.method, ['request', 'method']],
  [attributeNames.route, ['request', 'route']],
  [attributeNames.status, ['request', 'status']],
])

/** Puts attributes where they belong in a subordinate event; says whether there were any. */
function fillFromAttributes(fill: FillingEvent, attributes: LogRecord['attributes']): boolean {
  const names = attributes === undefined ? [] : Object.keys(attributes)
  for (const name of names) {
    const [member, part] = eventPaths.get(name) ?? ['details', name]
    const value = attributes?.[name]
    if (part === undefined) fill[member] = value
    else {
      fill[member] ??= Object.create(null) // an attribute may be called __proto__
      ;(fill[member] as Record<string, unknown>)[part] = value
    }
  }
  return names.length > 0
}

/** The SDK sets both times to now when none is given; only a time that somebody gave says when it happened. */
function explicitTimestamp({ hrTime, hrTimeObserved }: LogRecord): string | undefined {
  const [seconds, nanos] = hrTime
  const ms = seconds * 1_000 + Math.floor(nanos / 1_000_000)
  const isDefault = seconds === hrTimeObserved[0] && nanos === hrTimeObserved[1] && Math.abs(nowMs() - ms) < 1_000
  if (isDefault || !Number.isInteger(ms) || !Number.isInteger(nanos)) return undefined
  return formatTimestamp(ms, nanos % 1_000_000)
}

/** A record as an OpenTelemetry log record shows it, beside the body, which is the record itself. */
export interface RecordProjection {
  readonly eventName: string
  /** 0 when the record states no time that OTLP can hold. */
  readonly timeUnixNano: bigint
  readonly observedTimeUnixNano: bigint
  readonly severityNumber: number
  readonly severityText: 'INFO' | 'WARN'
  readonly attributes: Record<string, string | number>
  readonly trace: TraceReference | undefined
}

/** The projection of a record and its leaf hash. Total: what a member does not hold is left out. */
export function projectRecord(members: RecordMembers | undefined, hash: string): RecordProjection {
  const { action, outcome, timestamp, recorded, trace } = members ?? {}
  const isWarning = outcome === 'failure' || outcome === 'denied'
  return {
    eventName: action?.toWellFormed() ?? '',
    timeUnixNano: unixNano(timestamp),
    observedTimeUnixNano: unixNano(recorded),
    severityNumber: isWarning ? 13 : 9,
    severityText: isWarning ? 'WARN' : 'INFO',
    attributes: projectAttributes(members ?? {}, hash),
    trace: projectTrace(trace),
  }
}

function projectAttributes(members: RecordMembers, hash: string): Record<string, string | number> {
  const attributes: Record<string, string | number> = { [attributeNames.recordHash]: hash }
  for (const [name, member, part] of projectedPaths) {
    const whole: JsonValue | undefined = members[member]
    const value = part === undefined ? whole : memberOf(whole, part)
    if (typeof value === 'string') attributes[name] = value.toWellFormed()
    else if (typeof value === 'number') attributes[name] = value
  }
  return attributes
}

/**
 * Every attribute that shows a member, or a member of a member, in the order of the projection; before them comes
 * the record's hash. The first are of the record itself: no event can set them.
 */
export const projectedPaths: readonly (readonly [name: string, member: keyof RecordMembers, part?: string])[] = [
  [attributeNames.recordUid, 'id'],
  [attributeNames.recordId, 'id'],
  [attributeNames.streamId, 'stream'],
  [attributeNames.sequence, 'seq'],
  [attributeNames.previousHash, 'prev'],
  [attributeNames.level, 'level'],
  ...Array.from(eventPaths, ([name, path]) => [name, ...path] as const),
]

function memberOf(value: JsonValue | undefined, part: string): JsonValue | undefined {
  return isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined
}

function projectTrace(trace: JsonObject | undefined): TraceReference | undefined {
  const { id, span, flags } = trace ?? {}
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) return undefined
  if (typeof span !== 'string' || !/^[0-9a-f]{16}$/.test(span)) return undefined
  return { flags: typeof flags === 'number' ? flags & 0xff : 0, id, span }
}

const recordTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/
/** OTLP has 64 unsigned bits for nanoseconds: 1970 to 2554. */
export const unixNanoMax = 2n ** 64n - 1n

/** Nanoseconds since the epoch of a record's timestamp; 0 when it states no time that OTLP can hold. */
export function unixNano(timestamp: string | undefined): bigint {
  if (timestamp === undefined || !recordTime.test(timestamp)) return 0n
  try {
    const nanos = timestampNanos(timestamp)
    return nanos >= 0n && nanos <= unixNanoMax ? nanos : 0n
  } catch {
    return 0n // it has the form of a time, but there is no month 13
  }
}
