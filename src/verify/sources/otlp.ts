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

/** A collector may join batches; one line is held in memory at a time. */
const lineBytesMax = 128 * 2 ** 20

export function createOtlpSource(name: string, openBytes: () => AsyncIterable<Buffer>): Source {
  return {
    kind: 'otlp',
    name,
    ordered: false,
    beginsLater: false,
    unit: 'line',
    async *read() {
      for await (const lines of splitLines(openBytes(), lineBytesMax)) {
        for (const line of lines) yield readBatch(line)
      }
    },
  }
}

interface Scope {
  readonly name?: unknown
}

interface LogRecord {
  readonly body?: { readonly stringValue?: unknown }
  readonly attributes?: readonly KeyValue[]
}

interface KeyValue {
  readonly key?: unknown
  readonly value?: Readonly<Record<string, unknown>>
}

function readBatch(line: Line): (FoundRecord | Damage)[] {
  const { bytes, number: position, isEnded, tooLong } = line
  if (tooLong !== undefined) return [{ damage: 'the line is too long to be read', position, found: tooLong }]
  const batch = isUtf8(bytes) ? parseJson(bytes.toString('utf8')) : undefined
  if (batch !== undefined) return logRecordsOf(batch).flatMap(([log, scope]) => readLogRecord(log, scope, position))
  if (bytes.length === 0) return []
  const salvaged = salvageBodies(bytes, position)
  if (!isEnded) salvaged.push({ damage: 'the last line is cut off', position, cutOff: true })
  return salvaged.length > 0 ? salvaged : [{ damage: 'the line is no JSON', position, found: leafHash(bytes) }]
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

function readLogRecord(log: LogRecord, scope: Scope, position: number): (FoundRecord | Damage)[] {
  const attributes = attributesOf(log)
  const place = placeOf(attributes)
  const text = log.body?.stringValue
  const isOurs = place !== undefined || scope.name === scopeName
  if (typeof text !== 'string') return isOurs ? [{ damage: 'the log record has no text as body', position, place }] : []
  const bytes = Buffer.from(text, 'utf8')
  if (!isOurs && parseRecord(bytes) === undefined) return []
  return [{ bytes, position, place, checkProjection: (members, leaf) => findMismatch(members, leaf, attributes) }]
}

function attributesOf({ attributes }: LogRecord): ReadonlyMap<unknown, string> {
  const texts = new Map<unknown, string>()
  if (!Array.isArray(attributes)) return texts
  for (const { key, value } of attributes as readonly KeyValue[]) {
    // OTLP JSON carries an integer as a string.
    const held = Object.values(value ?? {})[0]
    texts.set(key, typeof held === 'string' ? held : JSON.stringify(held))
  }
  return texts
}

function placeOf(attributes: ReadonlyMap<unknown, string>): Place | undefined {
  const stream = attributes.get(attributeNames.streamId)
  const sequence = Number(attributes.get(attributeNames.sequence))
  return stream !== undefined && Number.isSafeInteger(sequence) ? { stream, sequence } : undefined
}

function findMismatch(
  members: RecordMembers,
  leaf: string,
  attributes: ReadonlyMap<unknown, string>,
): ProjectionMismatch | undefined {
  const derived = projectRecord(members, leaf).attributes
  for (const name of Object.values(attributeNames)) {
    const value = derived[name]
    const [expected, found] = [value === undefined ? '' : String(value), attributes.get(name) ?? '']
    if (expected !== found) return { name, expected, found }
  }
  return undefined
}

const bodyStart = Buffer.from('"body":{"stringValue":')
const [quote, backslash] = [0x22, 0x5c]

/** The bodies of a damaged line, each up to its closing quote. A body that cannot be decoded is damage itself. */
function salvageBodies(line: Buffer, position: number): (FoundRecord | Damage)[] {
  const found: (FoundRecord | Damage)[] = []
  for (let at = line.indexOf(bodyStart); at !== -1; at = line.indexOf(bodyStart, at + 1)) {
    const start = at + bodyStart.length
    const raw = line.subarray(start, stringEnd(line, start))
    const text = isUtf8(raw) ? parseJson(raw.toString('utf8')) : undefined
    if (typeof text === 'string') found.push({ bytes: Buffer.from(text, 'utf8'), position })
    else found.push({ damage: 'the body is no text any more', position, found: leafHash(raw) })
  }
  return found
}

function stringEnd(line: Buffer, start: number): number {
  for (let at = start + 1; at < line.length; at += 1) {
    if (line[at] === backslash) at += 1
    else if (line[at] === quote) return at + 1
  }
  return line.length
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
