/**
 * Row 17: what is inside a batch of a thousand and refused by the peer, or hostile from the start. Exactly the refused
 * record is set aside, the others arrive, and the trail says so; what is hostile to databases and parsers is trimmed or
 * kept as bytes, and never stops a batch. A real PostgreSQL and a file take the same records beside.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type AuditEvent, createAudit } from '../../src/index.ts'
import { createConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { recordsAt } from '../support/delivered.ts'
import { type Respond, startOtlpBackend } from '../support/otlp-backend.ts'
import { startPostgres } from '../support/postgres.ts'
import type { FaultTest } from './fault.ts'
import type { Lab } from './lab.ts'
import * as trail from './trail.ts'

const batch = 1_000
const badAt = 617
const word = 'the-one-that-is-refused'

/** How a peer refuses every request that holds the word. */
const refusals: Readonly<Record<string, Respond>> = {
  '400': answer(400, '{"message":"mapping conflict"}'),
  '413': answer(413, '{"message":"too large"}'),
  'partial success': answer(200, '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}'),
}

/** What arrives nowhere as it was emitted, and must not stop what is with it. */
const hostile: Readonly<Record<string, () => unknown>> = {
  'NUL bytes': () => 'a\0b',
  'lone surrogates': () => 'a\ud800b\udfff',
  '1e400': () => [Number.parseFloat('1e400'), -1e308 * 10],
  'year 10000': () => new Date('+010000-01-01T00:00:00Z'),
  'JSON 20,000 deep': () => deep(20_000),
  'an event of 1 MB': () => 'x'.repeat(1_000_000),
}

function answer(status: number, body: string): Respond {
  return (response) => {
    response.statusCode = status
    response.setHeader('content-type', 'application/json')
    response.end(body)
  }
}

function deep(depth: number): unknown {
  let value: unknown = 'bottom'
  for (let level = 0; level < depth; level += 1) value = { deeper: value }
  return value
}

function event(index: number, bad: unknown): AuditEvent {
  const details = index === badAt ? { bad } : { index }
  return { action: 'order.place', operation: 'create', outcome: 'success', details }
}

function open(lab: Lab, name: string, destinations: NonNullable<Parameters<typeof createAudit>[0]>['destinations']) {
  return createAudit({
    service: 'shop',
    deployment: 'shop',
    policy: { level: 'all' },
    spool: { directory: lab.path(`${name}/spool`) },
    keys: { signingKeyFile: lab.path('audit.key') },
    destinations,
  })
}

/** A thousand records, one of which the peer refuses. */
async function refuse(lab: Lab, name: string, respond: Respond): Promise<{ delivered: number; set: number }> {
  const backend = await startOtlpBackend()
  lab.onDispose(() => backend.close())
  const accepted = new Set<string>()
  backend.respond = (response, request) => {
    if (request.body.includes(word)) return respond(response, request)
    for (const record of recordsAt({ requests: [request] })) accepted.add(record)
    answer(200, '{}')(response, request)
  }
  const audit = open(lab, name, [
    { type: 'otlp', endpoint: backend.url, protocol: 'http/json', batchRecordsMax: batch, flushIntervalMs: 1_000 },
  ])
  for (let index = 0; index < batch; index += 1) audit.emit(event(index, word))
  await audit.flush()
  await audit.flush() // with the record that says what was set aside
  const quarantined = audit.state.destinations[0]?.quarantined
  await audit.close()
  assert.equal(quarantined, 1, `${name}: exactly the refused record is set aside`)
  const sealed = trail.readSpool(lab.path(`${name}/spool`))
  trail.checkChain(sealed)
  const facts = sealed.filter(({ eventType }) => eventType === 'audit.quarantined')
  assert.equal(facts.length, 1, `${name}: that it was set aside is sealed`)
  const delivered = [...accepted].filter((record) => record.includes('"event_type":"audit"')).length
  assert.equal(delivered, batch - 1, `${name}: all others are delivered`)
  return { delivered, set: 1 }
}

/** A thousand records, one of which is hostile, to a file and a real PostgreSQL. */
async function endure(lab: Lab, name: string, bad: unknown, url: string): Promise<number> {
  const path = lab.path(`${name}.ndjson`)
  const audit = open(lab, name, [
    { type: 'file', path },
    { type: 'postgres', url, batchRecordsMax: batch },
  ])
  const { stream } = audit.state
  for (let index = 0; index < batch; index += 1) {
    assert.equal(audit.emit(event(index, bad)).status, 'written', `${name}: event ${index}`)
  }
  await audit.close()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const events = lines.filter((line) => line.includes('"event_type":"audit"'))
  assert.equal(events.length, batch, `${name}: every record is in the file`)
  const connection = createConnection({ url })
  await connection.open()
  const { rows } = await connection.query<{ count: string }>('select count(*) from audit.record where stream = $1', [
    stream,
  ])
  connection.destroy()
  assert.equal(Number(rows[0]?.count), lines.length, `${name}: every record is in the database`)
  return events.length
}

const poison: FaultTest = {
  name: 'poison',
  row: '17',
  promise:
    'Of a batch of a thousand exactly the refused record is set aside, and sealed as such; a hostile one is trimmed or kept as bytes; all others arrive.',
  needs: [],
  limitSeconds: { short: 300, long: 600 },
  async run(lab) {
    const totals = { delivered: 0, set: 0 }
    for (const [name, respond] of Object.entries(refusals)) {
      const { delivered, set } = await refuse(lab, name.replaceAll(' ', '-'), respond) // one after the other: bounded memory
      totals.delivered += delivered
      totals.set += set
    }
    const server = await startPostgres()
    lab.onDispose(() => server.stop())
    const connection = createConnection({ url: server.url })
    await connection.open()
    await migrateUp(connection)
    connection.destroy()
    let stored = 0
    for (const [name, make] of Object.entries(hostile)) {
      stored += await endure(lab, name.replaceAll(/[ ,]/g, '-'), make(), server.url)
    }
    return {
      injected: {
        'kinds of refusal': Object.keys(refusals).length,
        'kinds of hostile event': Object.keys(hostile).length,
      },
      survived: { 'records delivered': totals.delivered, 'records set aside': totals.set, 'records stored': stored },
    }
  },
}

export const poisonTests: readonly FaultTest[] = [poison]
