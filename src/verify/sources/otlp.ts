/**
 * OTLP JSON lines as the collector's file exporter writes them: each line a `resourceLogs` batch, each record the
 * string body of a log record. Neither order nor uniqueness is promised there. Log records of others are passed
 * over. Where a line is no JSON any more, its bodies are still looked for one by one, so that one changed byte
 * names one record and not a batch.
 */

import { isUtf8 } from 'node:buffer'
import { leafHash } from '../../chain/hash.ts'
import { projectRecord } from '../../event/log-record.ts'
import { attributeNames, scopeName } from '../../event/names.ts'
import { parseRecord, type RecordMembers } from '../../event/record.ts'
import type { Damage, FoundRecord, Place, ProjectionMismatch, Source } from '../source.ts'
import { type Line, splitLines } from './lines.ts'
import { type KeyValue, type LogRecord, OtlpComparison } from './otlp-comparison.ts'

/** A collector may join batches; one line is held in memory at a time. */
const lineBytesMax = 128 * 2 ** 20

export function createOtlpSource(name: string, openBytes: () => AsyncIterable<Buffer>): Source {
  return {
    kind: 'otlp',
    name,
    ordered: false,
    beginsLater: false,
    locate: (position) => `line ${position}`,
    async *read() {
      let isDamaged = false
      for await (const lines of splitLines(openBytes(), lineBytesMax)) {
        for (const line of lines) {
          const group = readBatch(line, isDamaged)
          isDamaged = group.some(({ damage }) => damage !== undefined)
          yield group
        }
      }
    },
  }
}

interface Scope {
  readonly name?: unknown
}

/** `isRest`: the line before was damaged, so that this one may be what a newline cut off it. */
function readBatch(line: Line, isRest: boolean): (FoundRecord | Damage)[] {
  const { bytes, number: position, isEnded, tooLong } = line
  if (tooLong !== undefined) return [{ damage: 'the line is too long to be read', position, found: tooLong }]
  const batch = isUtf8(bytes) ? parseJson(bytes.toString('utf8')) : undefined
  const logRecords = batch === undefined ? [] : logRecordsOf(batch)
  if (batch !== undefined && countBodies(bytes) <= logRecords.length)
    return logRecords.flatMap(([log, scope]) => readLogRecord(log, scope, position))
  if (bytes.length === 0) return []
  const salvaged = salvageBodies(bytes, position)
  if (!isEnded) salvaged.push({ damage: 'the last line is cut off', position, cutOff: true })
  if (salvaged.length === 0) return [{ damage: 'the line is no JSON', position, found: leafHash(bytes) }]
  return !isRest && salvaged.every(isRecord) ? withMismatch(salvaged, bytes) : salvaged
}

function isRecord(one: FoundRecord | Damage): one is FoundRecord {
  return one.damage === undefined && parseRecord(one.bytes) !== undefined
}

/** Where every record of a damaged line stands, the damage is in what stands beside one: said of the first one. */
function withMismatch(found: readonly FoundRecord[], line: Buffer): FoundRecord[] {
  const mismatch = { name: 'the batch', expected: 'log records in JSON', found: `leaf ${leafHash(line)}` }
  return found.map((one, index) => (index === 0 ? { ...one, checkProjection: () => mismatch } : one))
}

/** Every log record of a batch with its scope; whatever has another shape is passed over. */
function logRecordsOf(batch: unknown): [LogRecord, Scope][] {
  return listIn(batch, 'resourceLogs').flatMap((resource) =>
    listIn(resource, 'scopeLogs').flatMap((one) => {
      const { scope } = (one ?? {}) as { scope?: Scope }
      return listIn(one, 'logRecords').map((log): [LogRecord, Scope] => [(log ?? {}) as LogRecord, scope ?? {}])
    }),
  )
}

function listIn(holder: unknown, member: string): readonly unknown[] {
  const list = (holder as Readonly<Record<string, unknown>> | null)?.[member]
  return Array.isArray(list) ? list : []
}

const comparison = new OtlpComparison()

function readLogRecord(log: LogRecord, scope: Scope, position: number): (FoundRecord | Damage)[] {
  const text = log.body?.stringValue
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : undefined
  const shown = bytes && readShown(log, bytes, position)
  if (shown !== undefined) return [shown]
  const place = placeOf(attributesOf(log))
  const isOurs = place !== undefined || scope.name === scopeName
  if (bytes === undefined) return isOurs ? [{ damage: 'the log record has no text as body', position, place }] : []
  if (!isOurs && parseRecord(bytes) === undefined) return []
  return [{ bytes, position, place, checkProjection: (members, leaf) => findMismatch(log, members, leaf) }]
}

/** A record of ours that is shown as it was delivered, which most are: nothing is left to compare. */
function readShown(log: LogRecord, bytes: Buffer, position: number): FoundRecord | undefined {
  const leaf = leafHash(bytes)
  const place = comparison.placeOf(log, { bytes, leaf })
  return place && { bytes, position, place, leaf: Buffer.from(leaf, 'hex') }
}

function attributesOf({ attributes }: LogRecord): ReadonlyMap<unknown, string> {
  const texts = new Map<unknown, string>()
  if (!Array.isArray(attributes)) return texts
  for (const attribute of attributes as readonly (KeyValue | null)[]) {
    const { stringValue, intValue, doubleValue, boolValue } = attribute?.value ?? {}
    // OTLP JSON carries an integer as a string.
    const held = stringValue ?? intValue ?? doubleValue ?? boolValue
    texts.set(attribute?.key, typeof held === 'string' ? held : (JSON.stringify(held) ?? ''))
  }
  return texts
}

function placeOf(attributes: ReadonlyMap<unknown, string>): Place | undefined {
  const stream = attributes.get(attributeNames.streamId)
  const sequence = Number(attributes.get(attributeNames.sequence))
  return stream !== undefined && Number.isSafeInteger(sequence) ? { stream, sequence } : undefined
}

export function findMismatch(log: LogRecord, members: RecordMembers, leaf: string): ProjectionMismatch | undefined {
  const attributes = attributesOf(log)
  const derived = projectRecord(members, leaf)
  for (const name of Object.values(attributeNames)) {
    const [expected, found] = [textOf(derived.attributes[name]), attributes.get(name) ?? '']
    if (expected !== found) return { name, expected, found }
  }
  const fields = {
    eventName: derived.eventName,
    timeUnixNano: derived.timeUnixNano,
    observedTimeUnixNano: derived.observedTimeUnixNano,
    severityNumber: derived.severityNumber,
    traceId: derived.trace?.id,
    spanId: derived.trace?.span,
  }
  for (const [name, value] of Object.entries(fields)) {
    const [expected, found] = [textOf(value), textOf(log[name])]
    // A field that holds its default, nothing but zeros, may be left out.
    if (expected !== found && !(found === '' && /^0+$/.test(expected))) return { name, expected, found }
  }
  return undefined
}

function textOf(value: unknown): string {
  return value === undefined || value === null ? '' : String(value)
}

const bodyStart = Buffer.from('"body":{"stringValue":')
const [quote, backslash] = [0x22, 0x5c]

/** How many log records stand in a line, whatever the names of the lists that hold them: inside a text quotes are escaped. */
function countBodies(line: Buffer): number {
  let count = 0
  for (let at = line.indexOf(bodyStart); at !== -1; at = line.indexOf(bodyStart, at + bodyStart.length)) count += 1
  return count
}

/** The bodies of a damaged line, each up to its closing quote. A body that cannot be decoded is damage itself. */
function salvageBodies(line: Buffer, position: number): (FoundRecord | Damage)[] {
  const found: (FoundRecord | Damage)[] = []
  let next: number
  for (let at = line.indexOf(bodyStart); at !== -1; at = next) {
    const start = at + bodyStart.length
    next = line.indexOf(bodyStart, start)
    const rest = line.subarray(start, next === -1 ? line.length : next)
    const raw = rest.subarray(0, stringEnd(rest))
    const text = isUtf8(raw) ? parseJson(raw.toString('utf8')) : undefined
    const place = salvagePlace(rest)
    if (typeof text === 'string') found.push({ bytes: Buffer.from(text, 'utf8'), position, place })
    else found.push({ damage: 'the body is no text any more', position, place, found: leafHash(raw) })
  }
  return found
}

/** Inside a body every quote is escaped, so that attributes can be told from a record that speaks of them. */
function salvagePlace(logRecord: Buffer): Place | undefined {
  const [, stream] = streamAttribute.exec(logRecord.toString('latin1')) ?? []
  const [, sequence] = sequenceAttribute.exec(logRecord.toString('latin1')) ?? []
  return stream === undefined || sequence === undefined ? undefined : { stream, sequence: Number(sequence) }
}

const streamAttribute = new RegExp(`"${attributeNames.streamId}","value":{"stringValue":"([^"\\\\]+)"`)
const sequenceAttribute = new RegExp(`"${attributeNames.sequence}","value":{"intValue":"(\\d{1,15})"`)

/** Where the string ends with which the bytes begin. */
function stringEnd(bytes: Buffer): number {
  for (let at = 1; at < bytes.length; at += 1) {
    if (bytes[at] === backslash) at += 1
    else if (bytes[at] === quote) return at + 1
  }
  return bytes.length
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
