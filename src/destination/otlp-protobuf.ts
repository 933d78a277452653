/**
 * Encodes records as an ExportLogsServiceRequest (opentelemetry/proto/collector/logs/v1) in the one shape that ours
 * have: a sealed text as the body and its projection (docs/formats.md section 4). Always holds: the bytes are those
 * of the library's serializer for the same records. Resource and scope, which may hold anything but come once a
 * batch, are still encoded by the library.
 */

import { isUtf8 } from 'node:buffer'
import { leafHash } from '../chain/hash.ts'
import { FlatProjection, projectedSlots, slots } from '../event/flat-projection.ts'
import type { FlatTime } from '../event/flat-time.ts'
import { attributeNames } from '../event/names.ts'
import type { StoredRecord } from '../event/record.ts'
import { type RecordGroup, RecordGroups } from './otlp-groups.ts'
import { type EncodedResource, encodeResource } from './otlp-resource.ts'
import { RequestWriter, varintLength } from './request-writer.ts'

/** Field numbers and wire types (opentelemetry/proto/logs/v1/logs.proto, common/v1/common.proto). */
const tags = {
  resourceLogs: 0x0a,
  scopeLogs: 0x12,
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

/** Encodes requests into one buffer, which it keeps. */
export class ProtobufRequestEncoder {
  readonly #writer = new RequestWriter()
  readonly #flat = new FlatProjection()

  /**
   * Encodes the records as one request, in their order within each resource. The request lies in the buffer: it
   * changes with the next call.
   */
  encode(records: readonly StoredRecord[]): Buffer {
    const groups = new RecordGroups(encodeResource)
    this.#writer.clear()
    for (const record of records) {
      const start = this.#writer.length
      this.#writeRecord(record.bytes)
      groups.add(this.#flat, start, this.#writer.length)
    }
    return this.#assemble(groups.list())
  }

  /** The request: of one resource in the writer's own buffer, where copying a megabyte cost 1.5 µs a record. */
  #assemble(groups: readonly RecordGroup<EncodedResource>[]): Buffer {
    const [first, ...others] = groups
    const [run] = first?.runs ?? []
    if (first !== undefined && run !== undefined && others.length === 0)
      return this.#writer.headed(encodeHead(first), run.start, run.end)
    return Buffer.concat(
      groups.flatMap((group) => [
        encodeHead(group),
        ...group.runs.map(({ start, end }) => this.#writer.slice(start, end)),
      ]),
    )
  }

  /** Writes the log record, with its tag in ScopeLogs; leaves its projection behind. */
  #writeRecord(record: Buffer): void {
    // What is no UTF-8 is no record of ours; a string field may not hold it.
    const body = isUtf8(record) ? record : Buffer.from(record.toString('utf8'))
    const writer = this.#writer
    this.#flat.read(body)
    writer.reserve(body.length + 2 * this.#flat.places.source.length + frameBytesMax)
    writer.byte(tags.scopeLogsRecord)
    const start = writer.begin(recordLengthBytes)
    this.#writeTime(tags.time, this.#flat.time)
    const severity = this.#flat.isWarning ? severities.warn : severities.info
    writer.copy(severity, 0, severity.length)
    this.#writeBody(body)
    this.#writeAttributes(leafHash(record))
    writer.byte(tags.droppedAttributes)
    writer.byte(0)
    this.#writeTrace()
    this.#writeTime(tags.observedTime, this.#flat.observedTime)
    this.#writeEventName()
    writer.end(start, recordLengthBytes)
  }

  #writeTime(tag: number, { low, high }: FlatTime): void {
    this.#writer.byte(tag)
    this.#writer.fixed32(low)
    this.#writer.fixed32(high)
  }

  #writeBody(body: Buffer): void {
    const writer = this.#writer
    writer.byte(tags.body)
    writer.varint(1 + varintLength(body.length) + body.length)
    writer.byte(tags.stringValue)
    writer.varint(body.length)
    writer.copy(body, 0, body.length)
  }

  #writeAttributes(hash: string): void {
    const { places } = this.#flat
    this.#beginText(hashKey, hash.length)
    this.#writer.ascii(hash)
    for (const { key, slot } of attributes) {
      if (places.isNumber(slot)) this.#writeNumber(key, places.number(slot))
      else if (!places.isAbsent(slot)) this.#writeText(key, places.start(slot), places.end(slot))
    }
  }

  #writeText(key: Buffer, start: number, end: number): void {
    this.#beginText(key, end - start)
    this.#writer.copy(this.#flat.places.source, start, end)
  }

  /** An attribute up to its text, of which `length` bytes are to follow. */
  #beginText(key: Buffer, length: number): void {
    const writer = this.#writer
    const value = 1 + varintLength(length) + length
    writer.byte(tags.attribute)
    writer.varint(key.length + varintLength(value) + value)
    writer.copy(key, 0, key.length)
    writer.varint(value)
    writer.byte(tags.stringValue)
    writer.varint(length)
  }

  #writeNumber(key: Buffer, value: number): void {
    const writer = this.#writer
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

  #writeTrace(): void {
    if (this.#flat.places.isAbsent(slots.traceId)) return
    if (this.#flat.traceFlags !== 0) {
      this.#writer.byte(tags.flags)
      this.#writer.fixed32(this.#flat.traceFlags)
    }
    this.#writeHex(tags.traceId, slots.traceId)
    this.#writeHex(tags.spanId, slots.traceSpan)
  }

  /** The lower-case hex digits of a slot, as the bytes that they stand for. */
  #writeHex(tag: number, slot: number): void {
    const { places } = this.#flat
    const end = places.end(slot)
    this.#writer.byte(tag)
    this.#writer.byte((end - places.start(slot)) / 2)
    for (let at = places.start(slot); at < end; at += 2) {
      this.#writer.byte((hexDigit(places.source[at]) << 4) | hexDigit(places.source[at + 1]))
    }
  }

  #writeEventName(): void {
    const { places } = this.#flat
    const start = places.start(slots.action)
    const end = places.end(slots.action)
    if (start < 0 || start === end) return
    this.#writer.byte(tags.eventName)
    this.#writer.varint(end - start)
    this.#writer.copy(places.source, start, end)
  }
}

function hexDigit(byte = 0): number {
  return byte < 0x61 ? byte - 0x30 : byte - 0x61 + 10
}

/** Everything of an envelope before its first log record. */
function encodeHead({ envelope, runs }: RecordGroup<EncodedResource>): Buffer {
  const recordsLength = runs.reduce((length, { start, end }) => length + end - start, 0)
  const scopeLogsLength = envelope.scope.length + recordsLength
  const scopeLogs = encodeTagAndLength(tags.scopeLogs, scopeLogsLength)
  const resourceLogsLength = envelope.resource.length + scopeLogs.length + scopeLogsLength
  return Buffer.concat([
    encodeTagAndLength(tags.resourceLogs, resourceLogsLength),
    envelope.resource,
    scopeLogs,
    envelope.scope,
  ])
}

function encodeTagAndLength(tag: number, length: number): Buffer {
  const bytes = [tag]
  let rest = length
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}
