/**
 * The bodies that HTTP endpoints take and what their answers mean. Always holds: a record's bytes stand in the body as
 * they were sealed (in `datadog`, whose messages are texts, as a JSON string of them); what an answer does not blame on
 * the records is `retry`. Which status means what is said once, in `judgeStatus`; a format adds what its API adds.
 */

import { nowMs, timestampNanos } from '../clock.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import type { Batch, Delivery } from './destination.ts'
import type { HttpFormat } from './options.ts'
import { type Answer, describeAnswer, parseRetryAfter } from './post.ts'

export interface BodyFormat {
  readonly mediaType: string
  encode(records: readonly StoredRecord[]): Buffer
  judge(answer: Answer, batch: Batch): Delivery
}

const comma = Buffer.from(',')
const newline = Buffer.from('\n')
const source = 'otel-audit'

export const bodyFormats: Readonly<Record<HttpFormat, BodyFormat>> = {
  json: {
    mediaType: 'application/json',
    encode: (records) => encodeArray(records.map(({ bytes }) => bytes)),
    judge: judgeStatus,
  },
  ndjson: {
    mediaType: 'application/x-ndjson',
    encode: (records) => Buffer.concat(records.flatMap(({ bytes }) => [bytes, newline])),
    judge: judgeStatus,
  },
  'splunk-hec': {
    mediaType: 'application/json',
    encode: (records) => Buffer.concat(records.flatMap(encodeSplunkEvent)),
    judge: judgeSplunk,
  },
  datadog: {
    mediaType: 'application/json',
    encode: (records) => encodeArray(records.map(encodeDatadogLog)),
    judge: judgeStatus,
  },
  'elastic-bulk': {
    mediaType: 'application/x-ndjson',
    encode: (records) => Buffer.concat(records.flatMap(encodeBulkAction)),
    judge: judgeBulk,
  },
}

/** Statuses by which a peer blames the body: too large, or not what it takes. Any other failure may pass. */
const refusals = new Set([400, 413, 422])

/** 2xx is delivered; a refusal is `rejected`; all else, 401, 404 and redirects included, is tried again for ever. */
export function judgeStatus({ status, headers, body }: Answer): Delivery {
  if (status >= 200 && status < 300) return { status: 'delivered' }
  const reason = describeAnswer(status, body)
  if (refusals.has(status)) return { status: 'rejected', reason }
  if (status >= 300 && status < 400) {
    const to = headers.location === undefined ? '' : ` to ${headers.location.slice(0, 200)}`
    return {
      status: 'retry',
      reason: `HTTP ${status} redirects${to}: not followed, set the endpoint to where it leads`,
    }
  }
  return { status: 'retry', reason, afterMs: parseRetryAfter(headers['retry-after'], nowMs()) }
}

function encodeArray(texts: readonly (Buffer | string)[]): Buffer {
  const parts = texts.flatMap((text, index) => [index === 0 ? Buffer.from('[') : comma, Buffer.from(text)])
  return Buffer.concat([...parts, Buffer.from(']')])
}

/** Splunk HTTP Event Collector: JSON objects one after the other, time in seconds. */
function encodeSplunkEvent({ bytes }: StoredRecord): Buffer[] {
  const { timestamp } = parseRecord(bytes) ?? {}
  const time = timestamp === undefined ? '' : `"time":${Number(timestampNanos(timestamp) / 1_000_000n) / 1_000},`
  return [Buffer.from(`{${time}"source":"${source}","sourcetype":"_json","event":`), bytes, Buffer.from('}\n')]
}

/** Codes of HEC that blame an event: invalid data format, event field required or blank, bad indexed fields. */
const splunkRefusals = new Set([6, 12, 13, 15])

/** A wrong index or a disabled token comes as 400 or 403 too: only the codes say whether an event is at fault. */
function judgeSplunk(answer: Answer, batch: Batch): Delivery {
  if (answer.status !== 400) return judgeStatus(answer)
  const said = parseAnswer(answer.body)
  const reason = describeAnswer(answer.status, answer.body)
  if (typeof said?.code !== 'number' || !splunkRefusals.has(said.code)) return { status: 'retry', reason }
  const index = said['invalid-event-number']
  const isKnown = typeof index === 'number' && index >= 0 && index < batch.records.length
  return { status: 'rejected', reason, ...(isKnown && { indexes: [index] }) }
}

/** Datadog's log intake: the record is the message, which its JSON parser reads. */
function encodeDatadogLog({ bytes }: StoredRecord): string {
  const { service } = parseRecord(bytes) ?? {}
  return JSON.stringify({ ddsource: source, message: bytes.toString('utf8'), service })
}

/** `create` under the record's id: a repetition meets itself and is refused with 409, which is success here. */
function encodeBulkAction({ bytes }: StoredRecord): Buffer[] {
  const { id } = parseRecord(bytes) ?? {}
  return [Buffer.from(`${JSON.stringify({ create: { _id: id } })}\n`), bytes, newline]
}

/** The answer is 200 whatever happened; each item tells. */
function judgeBulk(answer: Answer, batch: Batch): Delivery {
  if (answer.status !== 200) return judgeStatus(answer)
  const items = parseAnswer(answer.body)?.items
  if (!Array.isArray(items) || items.length !== batch.records.length)
    return { status: 'retry', reason: 'HTTP 200 whose body is no answer of the bulk API' }
  const results = items.map((one: unknown) => readBulkResult(one))
  const failed = results.find(({ status }) => status >= 300 && status !== 409 && !refusals.has(status))
  if (failed !== undefined) return { status: 'retry', reason: `item ${failed.status}: ${failed.reason}` }
  const indexes = results.flatMap(({ status }, index) => (refusals.has(status) ? [index] : []))
  const [first] = indexes
  if (first === undefined) return { status: 'delivered' }
  return { status: 'rejected', reason: `item ${results[first]?.status}: ${results[first]?.reason}`, indexes }
}

function readBulkResult(one: unknown): { readonly status: number; readonly reason: string } {
  const { create } = (one ?? {}) as { create?: { status?: unknown; error?: { type?: unknown; reason?: unknown } } }
  const { type, reason } = create?.error ?? {}
  const isKnown = typeof create?.status === 'number'
  return { status: isKnown ? Number(create.status) : 500, reason: `${type ?? ''} ${reason ?? ''}`.trim().slice(0, 300) }
}

function parseAnswer(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined
  } catch {
    return undefined // no JSON: whoever asks judges by the status alone
  }
}
