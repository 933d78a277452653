/**
 * Encodes records as an ExportLogsServiceRequest (opentelemetry/proto/collector/logs/v1) in the one shape that ours
 * have: a sealed text as the body and its projection (docs/formats.md section 4). Always holds: the bytes are those
 * of the library's serializer for the same records. Resource and scope, which may hold anything but come once a
 * batch, are still encoded by the library.
 */

import { isUtf8 } from 'node:buffer'
import { leafHash } from '../chain/hash.ts'
import { FlatProjection, projectedSlots, slots } from '../event/flat-projection.ts'
import { attributeNames } from '../event/names.ts'
import type { StoredRecord } from '../event/record.ts'
import { RecordGroups } from './otlp-groups.ts'
import { ProtobufWriter, varintLength } from './protobuf-writer.ts'

/** Field numbers and wire types (opentelemetry/proto/logs/v1/logs.proto, common/v1/common.proto). */
const tags = {
  scopeLogsRecord: 0x12,
  time: 0x09,
  severityNumber: 0x10,
  severityText: 0x1a,
  body: 0x2a,
  attribute: 0x32,
  droppedAttributes: 0x38,
  flags: 0x45,
  traceId: 0x4a,
  spanId: 0x52,
  observedTime: 0x59,
  eventName: 0x62,
  key: 0x0a,
  value: 0x12,
  stringValue: 0x0a,
  intValue: 0x18,
  doubleValue: 0x21,
} as const
const severities = {
  info: Buffer.from([tags.severityNumber, 9, tags.severityText, 4, ...Buffer.from('INFO')]),
  warn: Buffer.from([tags.severityNumber, 13, tags.severityText, 4, ...Buffer.from('WARN')]),
}

/** The key of an attribute as its field, with the tag of the value behind it. */
function encodeKey(name: string): Buffer {
  return Buffer.from([tags.key, name.length, ...Buffer.from(name), tags.value])
}

const hashKey = encodeKey(attributeNames.recordHash)
const attributes = projectedSlots.map(({ name, slot }) => ({ key: encodeKey(name), slot }))

/** What a log record takes beside its body and its texts, each at most twice there; generous. */
const frameBytesMax = 4_096
/** What the lengths of a typical record take. */
const recordLengthBytes = 2

const writer = new ProtobufWriter()
const flat = new FlatProjection()

/** Encodes the records as one request, in their order within each resource. */
export function encodeProtobufRequest(records: readonly StoredRecord[]): Buffer {
  const groups = new RecordGroups()
  writer.clear()
  for (const record of records) {
    const start = writer.length
    writeRecord(record.bytes)
    groups.add(flat, start, writer.length)
  }
  return groups.assemble(writer)
}

/** Writes the log record, with its tag in ScopeLogs; leaves its projection in `flat`. */
function writeRecord(record: Buffer): void {
  // What is no UTF-8 is no record of ours; a string field may not hold it.
  const body = isUtf8(record) ? record : Buffer.from(record.toString('utf8'))
  flat.read(body)
  const { places, time, observedTime } = flat
  writer.reserve(body.length + 2 * places.source.length + frameBytesMax)
  writer.byte(tags.scopeLogsRecord)
  const start = writer.begin(recordLengthBytes)
  writer.byte(tags.time)
  writer.fixed32(time.low)
  writer.fixed32(time.high)
  const severity = flat.isWarning ? severities.warn : severities.info
  writer.copy(severity, 0, severity.length)
  writeBody(body)
  writeHash(leafHash(record))
  for (const { key, slot } of attributes) {
    if (places.isNumber(slot)) writeNumber(key, places.number(slot))
    else if (!places.isAbsent(slot)) writeText(key, places.start(slot), places.end(slot))
  }
  writer.byte(tags.droppedAttributes)
  writer.byte(0)
  if (!places.isAbsent(slots.traceId)) writeTrace()
  writer.byte(tags.observedTime)
  writer.fixed32(observedTime.low)
  writer.fixed32(observedTime.high)
  writeEventName(places.start(slots.action), places.end(slots.action))
  writer.end(start, recordLengthBytes)
}

function writeBody(body: Buffer): void {
  writer.byte(tags.body)
  writer.varint(1 + varintLength(body.length) + body.length)
  writer.byte(tags.stringValue)
  writer.varint(body.length)
  writer.copy(body, 0, body.length)
}

function writeHash(hash: string): void {
  beginText(hashKey, hash.length)
  writer.ascii(hash)
}

function writeText(key: Buffer, start: number, end: number): void {
  beginText(key, end - start)
  writer.copy(flat.places.source, start, end)
}

/** An attribute up to its text, of which `length` bytes are to follow. */
function beginText(key: Buffer, length: number): void {
  const value = 1 + varintLength(length) + length
  writer.byte(tags.attribute)
  writer.varint(key.length + varintLength(value) + value)
  writer.copy(key, 0, key.length)
  writer.varint(value)
  writer.byte(tags.stringValue)
  writer.varint(length)
}

function writeNumber(key: Buffer, value: number): void {
  writer.byte(tags.attribute)
  const attribute = writer.begin(1)
  writer.copy(key, 0, key.length)
  const anyValue = writer.begin(1)
  if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63) {
    writer.byte(tags.intValue)
    if (value >= 0 && value < 2 ** 32) writer.varint(value)
    else writer.varint64(BigInt(value))
  } else {
    writer.byte(tags.doubleValue)
    writer.double(value)
  }
  writer.end(anyValue, 1)
  writer.end(attribute, 1)
}

function writeTrace(): void {
  if (flat.traceFlags !== 0) {
    writer.byte(tags.flags)
    writer.fixed32(flat.traceFlags)
  }
  writeHex(tags.traceId, slots.traceId)
  writeHex(tags.spanId, slots.traceSpan)
}

/** The lower-case hex digits of a slot, as the bytes that they stand for. */
function writeHex(tag: number, slot: number): void {
  const { places } = flat
  const end = places.end(slot)
  writer.byte(tag)
  writer.byte((end - places.start(slot)) / 2)
  for (let at = places.start(slot); at < end; at += 2) {
    writer.byte((hexDigit(places.source[at]) << 4) | hexDigit(places.source[at + 1]))
  }
}

function hexDigit(byte = 0): number {
  return byte < 0x61 ? byte - 0x30 : byte - 0x61 + 10
}

function writeEventName(start: number, end: number): void {
  if (start < 0 || start === end) return
  writer.byte(tags.eventName)
  writer.varint(end - start)
  writer.copy(flat.places.source, start, end)
}
