/** Against the rules that the vendors publish for their APIs (docs/destinations.md says which): no live service. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyFormats } from '../../src/destination/http-format.ts'
import type { HttpFormat } from '../../src/destination/options.ts'
import { parseRecord } from '../../src/event/record.ts'
import { batchOf } from './records.ts'

const batch = batchOf(1, 3)
const ids = batch.records.map(({ bytes }) => parseRecord(bytes)?.id)
const judge = (format: HttpFormat, status: number, body: unknown = '') =>
  bodyFormats[format].judge(
    { status, headers: {}, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) },
    batch,
  )

test('every format holds the bytes of each record as they were sealed', () => {
  for (const [name, { encode }] of Object.entries(bodyFormats)) {
    const body = encode(batch.records).toString()
    for (const { bytes } of batch.records) {
      const text = name === 'datadog' ? JSON.stringify(bytes.toString()) : bytes.toString()
      assert.ok(body.includes(text), name)
    }
  }
})

test('Splunk gets one event after the other, each with its time in seconds', () => {
  const lines = bodyFormats['splunk-hec'].encode(batch.records).toString().trimEnd().split('\n')
  const events = lines.map((line) => JSON.parse(line))
  assert.deepEqual(
    events.map(({ event }) => event.id),
    ids,
  )
  assert.equal(events[0].time, Date.parse('2026-11-22T09:00:00Z') / 1_000)
  assert.equal(events[0].sourcetype, '_json')
})

test('Splunk blames an event by its number; a wrong index or token is tried again', () => {
  const invalid = { text: 'Invalid data format', code: 6, 'invalid-event-number': 1 }
  assert.partialDeepStrictEqual(judge('splunk-hec', 400, invalid), { status: 'rejected', indexes: [1] })
  assert.equal(judge('splunk-hec', 400, { text: 'Incorrect index', code: 7 }).status, 'retry')
  assert.equal(judge('splunk-hec', 400, 'no JSON').status, 'retry')
  assert.equal(judge('splunk-hec', 403, { text: 'Invalid token', code: 4 }).status, 'retry')
  assert.equal(judge('splunk-hec', 503, { text: 'Server is busy', code: 9 }).status, 'retry')
  assert.equal(judge('splunk-hec', 413).status, 'rejected')
  assert.deepEqual(judge('splunk-hec', 200, { text: 'Success', code: 0 }), { status: 'delivered' })
})

test('Datadog gets an array of messages with their source and service', () => {
  const logs = JSON.parse(bodyFormats.datadog.encode(batch.records).toString())
  assert.deepEqual(logs[0], {
    ddsource: 'otel-audit',
    message: batch.records[0]?.bytes.toString(),
    service: 'billing',
  })
  assert.equal(judge('datadog', 202, '{}').status, 'delivered')
  assert.equal(judge('datadog', 403, '{}').status, 'retry')
})

test('Elasticsearch creates each record under its own id', () => {
  const lines = bodyFormats['elastic-bulk'].encode(batch.records).toString().trimEnd().split('\n')
  assert.deepEqual(
    lines.filter((_, index) => index % 2 === 0).map((line) => JSON.parse(line)),
    ids.map((id) => ({ create: { _id: id } })),
  )
  assert.equal(lines[1], batch.records[0]?.bytes.toString())
})

const created = { create: { status: 201 } }
const conflict = { create: { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'exists' } } }
const unparsable = { create: { status: 400, error: { type: 'mapper_parsing_exception', reason: 'bad field' } } }
const busy = { create: { status: 429, error: { type: 'es_rejected_execution_exception', reason: 'queue full' } } }

test('Elasticsearch says of each record what became of it', () => {
  const bulk = (...items: unknown[]) => judge('elastic-bulk', 200, { errors: true, items })
  assert.deepEqual(bulk(created, conflict, created), { status: 'delivered' })
  assert.deepEqual(bulk(created, unparsable, created), {
    status: 'rejected',
    reason: 'item 400: mapper_parsing_exception bad field',
    indexes: [1],
  })
  assert.equal(bulk(unparsable, busy, created).status, 'retry')
  assert.equal(bulk(created, created).status, 'retry', 'an item is missing')
  assert.equal(bulk(created, created, {}).status, 'retry', 'an item says nothing')
  assert.equal(judge('elastic-bulk', 200, '<html>').status, 'retry')
  assert.equal(judge('elastic-bulk', 413).status, 'rejected')
})
