/** Log records that agree by their bytes against the comparison of every text: neither takes what the other refuses. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { leafHash } from '../../src/chain/hash.ts'
import { createRequestEncoder } from '../../src/destination/otlp-request.ts'
import { attributeNames } from '../../src/event/names.ts'
import { parseRecord } from '../../src/event/record.ts'
import type { FoundRecord } from '../../src/verify/source.ts'
import { createOtlpSource, findMismatch } from '../../src/verify/sources/otlp.ts'
import type { LogRecord } from '../../src/verify/sources/otlp-comparison.ts'
import { recordBytes } from '../support/record-chain.ts'
import { canonical } from '../support/trail.ts'

const stream = '019b7c2f-1111-7000-8000-000000000001'
const request = { id: 'r', method: 'GET', route: '/x', source_ip: '203.0.113.7', status: 200, user_agent: 'Firefox' }
const unusual = [
  { request, session: 's', tenant: 't', level: 'all', error: { class: 'timeout' }, outcome: 'denied' },
  { trace: undefined },
  { action: 'é', actor: { id: '', type: 'user' } },
  { tenant: 'a"b', timestamp: '1969-12-31T23:59:59.000000000Z' },
  { actor: { id: 7, type: null }, request: { status: '200' }, action: undefined },
]
const texts = unusual.map((members, index) =>
  canonical({
    ...JSON.parse(recordBytes({ stream, seq: index + 1, prev: 'ab'.repeat(32) }).toString()),
    ...JSON.parse(JSON.stringify(members, (_, value: unknown) => (value === undefined ? null : value))),
    ...(members.trace === undefined && 'trace' in members ? { trace: {} } : {}),
  }),
)

/** What our destination sends of each record, as a collector's file has it: long integers are texts there. */
const sent = texts.map((text, index): LogRecord => {
  const line = createRequestEncoder('http/json').encode([{ bytes: Buffer.from(text), stream, sequence: index + 1 }])
  return JSON.parse(
    Buffer.from(line)
      .toString()
      .replace(/"intValue":(\d+)/g, '"intValue":"$1"'),
  ).resourceLogs[0].scopeLogs[0].logRecords[0]
})

type Attributes = readonly { readonly key?: unknown; readonly value?: unknown }[]

const values = fc.constantFrom<unknown>(
  { stringValue: 'x' },
  { stringValue: '' },
  { intValue: '200' },
  { intValue: 200 },
  { intValue: [200] },
  { doubleValue: 200 },
  { boolValue: true },
  { stringValue: '200', intValue: 200 },
  {},
  null,
  undefined,
  'x',
)
const act = fc.record({
  what: fc.constantFrom('value', 'remove', 'repeat', 'swap', 'add', 'foreign', 'nothing', 'field'),
  at: fc.nat(40),
  value: values,
  field: fc.constantFrom(
    'timeUnixNano',
    'observedTimeUnixNano',
    'severityNumber',
    'eventName',
    'traceId',
    'spanId',
    'attributes',
  ),
  held: fc.constantFrom<unknown>('', '0', 0, undefined, null, 'x', 9, '9', 13),
})

type Act = typeof act extends fc.Arbitrary<infer One> ? One : never

function change(log: LogRecord, { what, at, value, field, held }: Act): LogRecord {
  if (what === 'field') return { ...log, [field]: held }
  const attributes = (Array.isArray(log.attributes) ? log.attributes : []) as Attributes
  const place = at % Math.max(1, attributes.length)
  const one = attributes[place] ?? {}
  const changed: Readonly<Record<string, () => Attributes>> = {
    value: () => attributes.with(place, { ...one, value }),
    remove: () => attributes.toSpliced(place, 1),
    repeat: () => attributes.toSpliced(at % 7, 0, { ...one, value }),
    swap: () => attributes.toSpliced(place, 1).toSpliced(0, 0, one),
    add: () => [...attributes, { key: Object.values(attributeNames)[at % 24], value }],
    foreign: () => attributes.toSpliced(place, 0, { key: 'host.name', value }),
  }
  if (attributes.length === 0) return log
  return { ...log, attributes: (changed[what]?.() ?? attributes) as NonNullable<LogRecord['attributes']> }
}

async function read(log: LogRecord): Promise<FoundRecord | undefined> {
  const line = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ scope: { name: 'otel-audit' }, logRecords: [log] }] }] })
  const source = createOtlpSource('collector.jsonl', async function* () {
    yield Buffer.from(`${line}\n`)
  })
  for await (const group of source.read()) for (const one of group) if (one.damage === undefined) return one
  return undefined
}

it('takes a log record for its record only where no attribute and no field says anything else', async () => {
  let taken = 0
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...sent), fc.array(act, { maxLength: 3 }), async (log, acts) => {
      const changed = JSON.parse(JSON.stringify(acts.reduce(change, log))) as LogRecord
      const found = await read(changed)
      assert.ok(found !== undefined)
      if (found.checkProjection !== undefined) return
      taken += 1
      const [members, leaf] = [parseRecord(found.bytes), leafHash(found.bytes)]
      assert.equal(Buffer.from(found.leaf ?? []).toString('hex'), leaf)
      assert.deepEqual(found.place, { stream: members?.stream, sequence: members?.seq })
      assert.equal(findMismatch(changed, members ?? {}, leaf), undefined)
    }),
    { numRuns: 2_000 },
  )
  assert.ok(taken > 50, `only ${taken} log records were compared as bytes`)
})

it('takes what is delivered as it is', async () => {
  for (const log of sent.slice(0, 2)) assert.equal((await read(log))?.checkProjection, undefined)
})

it('takes none of which a single value is another, though as long', async () => {
  const [log] = sent
  const attributes = (log?.attributes ?? []) as readonly {
    key: string
    value: { stringValue?: string; intValue?: string }
  }[]
  for (const [place, { key, value }] of attributes.entries()) {
    const { stringValue, intValue } = value
    const others =
      stringValue === undefined
        ? [{ intValue: [intValue] }, { intValue: `${Number(intValue) + 1}` }]
        : [{ stringValue: `${stringValue.slice(0, -1)}~` }, { stringValue: [stringValue] }]
    for (const other of others) {
      const changed = { ...log, attributes: attributes.with(place, { key, value: other as typeof value }) } as LogRecord
      const isTaken = (await read(changed))?.checkProjection === undefined
      assert.equal(isTaken, false, `${key} ${JSON.stringify(other)}`)
    }
  }
})
