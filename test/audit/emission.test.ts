/** What is made of `emit`: what a child binds, acts with an attempt and an end, contexts and how they travel. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import fc from 'fast-check'
import { readContext, writeContext } from '../../src/audit/carry.ts'
import { eventsIn, freshFolder, openAudit } from './opened.ts'

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const span = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 }
const ofTrace = { id: span.traceId, span: span.spanId, flags: 1 }

test('a child fills in what its events lack; what an event says itself counts', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const job = audit.child({ actor: { type: 'service', id: 'jobs' }, tenant: 'acme', request: { id: 'r-1' } })
  const nested = job.child({ actor: { name: 'Nightly' }, session: 's-1' })
  nested.emit({ action: 'a', actor: { id: 'own' }, request: { source_ip: '203.0.113.9' } })
  job.emit({ action: 'b', tenant: 'other' })
  audit.emit({ action: 'c' })
  await audit.close()
  const [a, b, c] = eventsIn(folder)
  assert.deepEqual(a?.actor, { id: 'own', name: 'Nightly', type: 'service' })
  assert.deepEqual([a?.tenant, a?.session, a?.request], ['acme', 's-1', { id: 'r-1', source_ip: '203.0.113.9' }])
  assert.deepEqual([b?.tenant, b?.actor, b?.session], ['other', { id: 'jobs', type: 'service' }, undefined])
  assert.deepEqual([c?.tenant, c?.actor], [undefined, undefined])
})

test('what a child binds is what policy looks at', async (t) => {
  const rules = [{ id: 'jobs', effect: 'drop', when: { actor: 'jobs' } }] as const
  const audit = openAudit(freshFolder(t), { policy: { level: 'all', rules: [...rules] } })
  assert.equal(audit.child({ actor: { id: 'jobs' } }).emit({ action: 'a' }).status, 'suppressed')
  assert.equal(audit.child({ actor: { id: 'ops' } }).emit({ action: 'a' }).status, 'written')
})

test('run records an attempt before and the outcome behind, both of one correlation id, and returns what was returned', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const result = await audit.run('invoice.delete', { operation: 'delete', target: { id: '42' } }, async () => {
    assert.equal(eventsIn(folder).length, 0, 'not durable yet, but written')
    audit.emit({ action: 'within' })
    return 'done'
  })
  await audit.close()
  const [attempt, within, end] = eventsIn(folder)
  assert.equal(result, 'done')
  assert.deepEqual(
    [attempt?.action, attempt?.outcome, attempt?.details],
    ['invoice.delete', 'unknown', { phase: 'attempt' }],
  )
  assert.deepEqual(
    [end?.action, end?.outcome, end?.details, end?.target],
    ['invoice.delete', 'success', undefined, { id: '42' }],
  )
  assert.ok(typeof end?.duration_ms === 'number')
  assert.deepEqual(new Set([attempt, within, end].map((one) => one?.correlation_id)).size, 1)
})

test('run throws again what was thrown, and records its class', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  const throwing = () => {
    throw refused
  }
  await assert.rejects(audit.run('a', {}, throwing), refused)
  await assert.rejects(
    audit.run('b', {}, () => Promise.reject('a text')),
    (thrown) => thrown === 'a text',
  )
  await audit.close()
  const ends = eventsIn(folder).filter(({ outcome }) => outcome === 'failure')
  assert.deepEqual(
    ends.map(({ error }) => error),
    [
      { class: 'network_error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
      { class: 'unknown', message: 'a text' },
    ],
  )
})

test('a context goes through headers and an environment, and joins the events of both sides', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const carriers =
    trace.getTracer('test') &&
    context.with(trace.setSpanContext(context.active(), span), () =>
      audit.withContext({ correlation_id: 'work, one' }, () => ({
        message: audit.inject({ baggage: 'user=7;p=1, audit.correlation.id=older' }),
        child: audit.inject({ PATH: '/bin' }, 'environment'),
        bound: audit.child({ correlation_id: 'bound' }).inject({}),
      })),
    )
  const traceparent = `00-${span.traceId}-${span.spanId}-01`
  assert.deepEqual(carriers.message, { traceparent, baggage: 'user=7,audit.correlation.id=work%2C%20one' })
  assert.deepEqual(carriers.child, { PATH: '/bin', TRACEPARENT: traceparent, AUDIT_CORRELATION_ID: 'work, one' })
  assert.equal(carriers.bound.baggage, 'audit.correlation.id=bound')
  for (const carrier of [carriers.message, carriers.child])
    assert.deepEqual(audit.extract(carrier), { correlation_id: 'work, one', trace: ofTrace })
  audit.withContext(audit.extract(carriers.message), () => audit.emit({ action: 'a' }))
  await audit.close()
  const [event] = eventsIn(folder)
  assert.deepEqual([event?.correlation_id, event?.trace], ['work, one', ofTrace])
})

test('a trace alone joins too, and nothing is nothing', () => {
  assert.deepEqual(readContext({ Traceparent: `00-${span.traceId}-${span.spanId}-01` }), {
    correlation_id: span.traceId,
    trace: ofTrace,
  })
  for (const carrier of [
    {},
    { traceparent: `00-${'0'.repeat(32)}-${span.spanId}-01` },
    { baggage: 'audit.correlation.id=%E0%A4' },
    { AUDIT_CORRELATION_ID: 'x'.repeat(513) },
    { AUDIT_CORRELATION_ID: '\ud800' },
  ])
    assert.deepEqual(readContext(carrier), {})
})

test('any correlation id survives both ways, and no carrier makes reading throw', () => {
  const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((text) => text.isWellFormed())
  fc.assert(
    fc.property(id, fc.constantFrom('headers', 'environment'), (correlation_id, form) => {
      assert.deepEqual(readContext(writeContext({}, { correlation_id }, form)), { correlation_id })
    }),
  )
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('traceparent', 'baggage', 'TRACEPARENT', 'AUDIT_CORRELATION_ID'), fc.string()),
      (carrier) => void readContext(carrier),
    ),
  )
})

test('a program of its own goes on in the work of whoever started it', async (t) => {
  const folder = freshFolder(t)
  const program = `
    const { createAuditFromEnv } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))})
    const audit = createAuditFromEnv()
    audit.emit({ action: 'child' })
    await audit.close()`
  const traceparent = `00-${span.traceId}-${span.spanId}-01`
  const env = {
    PATH: process.env.PATH,
    AUDIT_SERVICE: 'child',
    AUDIT_SPOOL_DIRECTORY: join(folder, 'spool'),
    AUDIT_CORRELATION_ID: 'the work',
    TRACEPARENT: traceparent,
  }
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], { env, encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
  const [event] = eventsIn(folder)
  assert.deepEqual([event?.correlation_id, event?.trace], ['the work', ofTrace])
  assert.doesNotMatch(run.stderr, /no such setting/)
})
