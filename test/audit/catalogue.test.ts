/** A trail with a catalogue, from `emit` to the record, the receipt and the metrics. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import { Registry } from 'prom-client'
import { z } from 'zod'
import { type Audit, type AuditEvent, type AuditOptions, defineActions } from '../../src/index.ts'
import { eventsIn, freshFolder, openAudit, type RecordJson, recordsIn } from './opened.ts'

const description = 'An invoice was deleted.'
const details = z.object({ amount: z.number(), mail: z.string().optional() })
const catalogue = defineActions({
  'invoice.delete': { version: 3, description, operation: 'delete', details },
  'invoice.read': { version: 1, description, operation: 'read' },
})

/** The records of what was emitted; what is wrong with it is no matter of the compiler here. */
async function emitted(t: TestContext, events: readonly object[], options: AuditOptions = {}): Promise<RecordJson[]> {
  const folder = freshFolder(t)
  const audit: Audit = openAudit(folder, { actions: catalogue, ...options })
  for (const event of events) audit.emit(event as AuditEvent)
  await audit.close()
  return eventsIn(folder)
}

it('a wrong event is recorded with its findings and the version of its action', async (t) => {
  const wrong = { action: 'invoice.delete', details: { amount: 'much' } }
  const [record] = await emitted(t, [wrong])
  assert.deepEqual(record?.validation, [{ pointer: '/details/amount', rule: 'schema:invalid_type' }])
  assert.deepEqual([record?.schema, record?.operation], ['1;invoice.delete=3', 'delete'])
})

it('values are judged before redaction, and hidden all the same', async (t) => {
  const judged: unknown[] = []
  const secret = z.string().refine((value) => judged.push(value) > 0)
  const actions = defineActions({ login: { version: 1, description, details: z.object({ password: secret }) } })
  const [record] = await emitted(t, [{ action: 'login', details: { password: 'hunter2' } }], { actions })
  assert.deepEqual([record?.details, record?.validation], [{ password: '[REDACTED]' }, undefined])
  assert.deepEqual(judged, ['hunter2'])
})

it('no finding names what redaction hides: a key that is an address stands as *', async (t) => {
  const actions = defineActions({
    'mail.send': { version: 1, description, details: z.object({ to: z.record(z.string(), z.number()) }) },
  })
  const [record] = await emitted(t, [{ action: 'mail.send', details: { to: { 'who@example.com': 'x' } } }], { actions })
  assert.deepEqual(record?.validation, [{ pointer: '/details/to/*', rule: 'schema:invalid_type' }])
})

describe('a place that a finding names is redacted as the event is', () => {
  const tree = z.record(z.string(), z.record(z.string(), z.number()))
  const actions = defineActions({ 'team.pay': { version: 1, description, details: tree } })
  const event = { action: 'team.pay', details: { staff: { employee_bob: 'much' } } }
  const rows: readonly (readonly [string, AuditOptions['redact'], string])[] = [
    ['as it is, when nothing hides it', {}, '/details/staff/employee_bob'],
    ['by a rule on content', { rules: [{ id: 'staff', pattern: 'employee_[a-z]+' }] }, '/details/staff/[REDACTED]'],
    ['by a key, below which everything is hidden', { keys: ['staff'] }, '/details/staff'],
    ['by a pointer that removes', { pointers: [{ pointer: '/details/staff', mode: 'remove' }] }, '/details'],
  ]
  for (const [name, redact, pointer] of rows) {
    it(name, async (t) => {
      const [record] = await emitted(t, [event], { actions, redact })
      const findings = record?.validation as { pointer: string }[] | undefined
      assert.equal(findings?.[0]?.pointer, pointer)
      assert.equal(JSON.stringify(record).includes('employee_bob'), name.startsWith('as it is'))
    })
  }
})

it('with onInvalid suppress a wrong event is counted under its rule and leaves no record', async (t) => {
  const folder = freshFolder(t)
  const registry = new Registry()
  const audit: Audit = openAudit(folder, { actions: catalogue, onInvalid: 'suppress', metrics: { registry } })
  const receipt = audit.emit({ action: 'invoice.delete', details: { amount: 'much' } })
  assert.deepEqual([receipt.status, 'rule' in receipt && receipt.rule], ['suppressed', 'schema:invoice.delete'])
  await receipt.durable
  assert.equal(audit.emit({ action: 'invoice.delete', details: { amount: 1 } }).status, 'written')
  assert.match(await registry.metrics(), /audit_events_suppressed_total\{rule="schema:invoice\.delete"\} 1\n/)
  await audit.close()
  assert.equal(eventsIn(folder).length, 1)
  const sealed = recordsIn(folder).find((record) => record.event_type === 'audit.suppressed')
  const rules = [{ id: 'schema:invoice.delete', operation: 'delete', outcome: 'unknown', count: 1 }]
  assert.deepEqual(sealed?.details?.rules, rules)
})

it('catalogued actions are labels of the metrics, beside those that were named', async (t) => {
  const folder = freshFolder(t)
  const registry = new Registry()
  const audit: Audit = openAudit(folder, { actions: catalogue, metrics: { registry, actions: ['own.action'] } })
  for (const action of ['invoice.delete', 'own.action', 'other.action']) audit.emit({ action, outcome: 'success' })
  const text = await registry.metrics()
  for (const action of ['invoice.delete', 'own.action', '_other']) {
    assert.ok(text.includes(`audit_log_entries_total{action="${action}",outcome="success"} 1\n`), action)
  }
})

describe('the operation of a definition', () => {
  it('is what policy looks at, so that a catalogued read is not recorded by writes_only', async (t) => {
    const events = [{ action: 'invoice.read' }, { action: 'invoice.read', outcome: 'denied' }, { action: 'other.read' }]
    const records = await emitted(t, events, { policy: { level: 'writes_only' } })
    assert.deepEqual(
      records.map(({ action, outcome }) => [action, outcome]),
      [
        ['invoice.read', 'denied'],
        ['other.read', undefined],
      ],
    )
  })

  it('is what policy looks at, so that a catalogued deletion is recorded by deletes_only', async (t) => {
    const details = { amount: 1 }
    const events = [{ action: 'invoice.delete', details }, { action: 'other.delete' }]
    const records = await emitted(t, events, { policy: { level: 'deletes_only' } })
    assert.deepEqual(
      records.map(({ action, operation }) => [action, operation]),
      [['invoice.delete', 'delete']],
    )
  })

  it('counts for resources of the defaults too', async (t) => {
    const actions = defineActions({
      poll: { version: 1, description, defaults: { target: { resource_type: 'metric' } } },
    })
    const records = await emitted(t, [{ action: 'poll' }, { action: 'poll', target: { resource_type: 'invoice' } }], {
      actions,
      policy: { level: 'all', excludeResources: ['metric'] },
    })
    assert.deepEqual(
      records.map(({ target }) => target),
      [{ resource_type: 'invoice' }],
    )
  })
})

it('events through a logger of OpenTelemetry are held against the catalogue too', async (t) => {
  const folder = freshFolder(t)
  const audit: Audit = openAudit(folder, { actions: catalogue })
  audit.loggerProvider.getLogger('app').emit({ eventName: 'invoice.delete', attributes: { amount: 'much' } })
  await audit.close()
  const [record] = eventsIn(folder)
  assert.equal(record?.schema, '1;invoice.delete=3')
  assert.deepEqual(record?.validation, [{ pointer: '/details/amount', rule: 'schema:invalid_type' }])
})

it('the catalogue of a trail can be asked for', (t) => {
  const folder = freshFolder(t)
  assert.equal(openAudit(folder, { actions: catalogue }).catalogue, catalogue)
  assert.equal(openAudit(freshFolder(t)).catalogue, undefined)
})

describe('an option that is wrong', () => {
  const rows: readonly (readonly [string, object, string])[] = [
    ['actions without defineActions', { actions: { 'invoice.delete': { version: 1 } } }, 'actions'],
    ['actions in text', { actions: './actions.ts' }, 'actions'],
    ['an unknown onInvalid', { onInvalid: 'drop' }, 'onInvalid'],
    ['onInvalid suppress under the profile strict', { profile: 'strict', onInvalid: 'suppress' }, 'onInvalid'],
  ]
  for (const [name, options, setting] of rows) {
    it(name, (t) => {
      assert.throws(
        () => openAudit(freshFolder(t), options as AuditOptions),
        (error: { setting?: string; code?: string }) => {
          assert.equal(error.code, 'INVALID_OPTION')
          assert.ok(JSON.stringify([error.setting, String(error)]).includes(setting))
          return true
        },
      )
    })
  }
})
