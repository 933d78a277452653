/**
 * Encodes records as an ExportLogsServiceRequest in OTLP's JSON, in the one shape that ours have (docs/formats.md section
 * 4). Always holds: the text is that of the library's serializer for the same records. Resource and scope, which may hold
 * anything but come once a batch, are still encoded by the library.
 */

import { isUtf8 } from 'node:buffer'
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer'
import { leafHash } from '../chain/hash.ts'
import { FlatProjection, projectedSlots, slots } from '../event/flat-projection.ts'
import { attributeNames } from '../event/names.ts'
import type { StoredRecord } from '../event/record.ts'
import { type RecordGroup, RecordGroups } from './otlp-groups.ts'
import { emptyLogRecord, type Resource } from './otlp-resource.ts'
import { RequestWriter } from './request-writer.ts'

const severities = {
  info: '"severityNumber":9,"severityText":"INFO"',
  warn: '"severityNumber":13,"severityText":"WARN"',
} as const

/** An attribute up to its value. */
const keyText = (name: string) => `{"key":${JSON.stringify(name)},"value":{`
const hashKey = `${keyText(attributeNames.recordHash)}"stringValue":"`
const attributes = projectedSlots.map(({ name, slot }) => ({
  slot,
  text: Buffer.from(`,${keyText(name)}"stringValue":"`),
  number: `,${keyText(name)}`,
}))
const textEnd = Buffer.from('"}}')
const quote = 0x22

/** What a log record takes beside its texts; generous. */
const frameBytesMax = 8_192
/** A byte of a record takes at most six as JSON within JSON. */
const escapedMax = 6
const requestHead = '{"resourceLogs":['
const groupEnd = ']}]}'
const requestEnd = ']}'

/** Encodes requests into one buffer, which it keeps. */
export class JsonRequestEncoder {
  readonly #writer = new RequestWriter()
  readonly #flat = new FlatProjection()

  /**
   * Encodes the records as one request, in their order within each resource. The request lies in the buffer: it
   * changes with the next call.
   */
  encode(records: readonly StoredRecord[]): Buffer {
    const groups = new RecordGroups(encodeHead)
    this.#writer.clear()
    for (const record of records) {
      const start = this.#writer.length
      this.#writeRecord(record.bytes)
      groups.add(this.#flat, start, this.#writer.length)
    }
    return this.#assemble(groups.list())
  }

  /** Of one resource in the writer's own buffer. Each record is written with a comma behind it. */
  #assemble(groups: readonly RecordGroup<string>[]): Buffer {
    const writer = this.#writer
    const [first, ...others] = groups
    const [run] = first?.runs ?? []
    if (first !== undefined && run !== undefined && others.length === 0) {
      writer.unwrite()
      writer.ascii(groupEnd + requestEnd)
      return writer.headed(Buffer.from(requestHead + first.envelope), run.start, writer.length)
    }
    const texts = groups.map(({ envelope, runs }) => {
      const written = Buffer.concat(runs.map(({ start, end }) => writer.slice(start, end)))
      return Buffer.concat([Buffer.from(envelope), written.subarray(0, -1), Buffer.from(groupEnd)])
    })
    const separated = texts.flatMap((text, index) => (index === 0 ? [text] : [Buffer.from(','), text]))
    return Buffer.concat([Buffer.from(requestHead), ...separated, Buffer.from(requestEnd)])
  }

  /** Writes the log record, and a comma; leaves its projection behind. */
  #writeRecord(record: Buffer): void {
    const body = isUtf8(record) ? record : Buffer.from(record.toString('utf8'))
    const writer = this.#writer
    const flat = this.#flat
    flat.read(body)
    writer.reserve(escapedMax * (body.length + 2 * flat.places.source.length) + frameBytesMax)
    writer.ascii(`{"timeUnixNano":"${flat.time.decimal}","observedTimeUnixNano":"${flat.observedTime.decimal}",`)
    writer.ascii(`${flat.isWarning ? severities.warn : severities.info},"body":{"stringValue":`)
    writer.utf8(JSON.stringify(body.toString('utf8')))
    writer.ascii('},"eventName":"')
    if (!flat.places.isAbsent(slots.action)) this.#writeText(slots.action)
    writer.ascii(`","attributes":[${hashKey}${leafHash(record)}"}}`)
    this.#writeAttributes()
    writer.ascii('],"droppedAttributesCount":0')
    this.#writeTrace()
    writer.ascii('},')
  }

  #writeAttributes(): void {
    const { places } = this.#flat
    const writer = this.#writer
    for (const { slot, text, number } of attributes) {
      if (places.isNumber(slot)) {
        const value = places.number(slot)
        writer.ascii(`${number}"${Number.isInteger(value) ? 'int' : 'double'}Value":${JSON.stringify(value)}}}`)
      } else if (!places.isAbsent(slot)) {
        writer.whole(text)
        this.#writeText(slot)
        writer.whole(textEnd)
      }
    }
  }

  #writeTrace(): void {
    if (this.#flat.places.isAbsent(slots.traceId)) return
    this.#writer.ascii(`,"flags":${this.#flat.traceFlags},"traceId":"`)
    this.#writeText(slots.traceId)
    this.#writer.ascii('","spanId":"')
    this.#writeText(slots.traceSpan)
    this.#writer.byte(quote)
  }

  /** A text as it stands within quotes: in a record it stands so already. */
  #writeText(slot: number): void {
    const { places, isVerbatim } = this.#flat
    const [start, end] = [places.start(slot), places.end(slot)]
    if (isVerbatim) this.#writer.copy(places.source, start, end)
    else this.#writer.utf8(JSON.stringify(places.source.toString('utf8', start, end)).slice(1, -1))
  }
}

/** Everything of an envelope before its first log record: cut out of a request of the library. */
function encodeHead(resource: Resource): string {
  const request = JsonLogsSerializer.serializeRequest([emptyLogRecord(resource)])
  if (request === undefined) throw new Error('the OTLP serializer returned nothing')
  const { resourceLogs } = JSON.parse(Buffer.from(request).toString('utf8'))
  const [{ resource: encoded, scopeLogs }] = resourceLogs
  return `{"resource":${JSON.stringify(encoded)},"scopeLogs":[{"scope":${JSON.stringify(scopeLogs[0].scope)},"logRecords":[`
}
