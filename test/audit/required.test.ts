import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AuditError } from '../../src/index.ts'
import { Spool } from '../../src/spool/spool.ts'
import { SpoolRefusal } from '../../src/spool/state.ts'
import { answer, startOtlpBackend } from '../support/otlp-backend.ts'
import { eventsIn, freshFolder, openAudit, recordsIn } from './opened.ts'

const event = { action: 'key.export', operation: 'export', outcome: 'success' } as const

test('until durable: it resolves with the receipt when the record survives power loss', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const receipt = await audit.emitRequired(event, { until: 'durable' })
  assert.ok(receipt.status === 'written')
  assert.ok(audit.state.durable >= receipt.sequence)
  assert.deepEqual(
    recordsIn(folder).map(({ action }) => action),
    ['audit.stream.opened', 'key.export'],
  )
})

test('until a destination: it has the record when the promise resolves, without waiting for its batch to fill', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'trail.ndjson')
  const destinations = [
    { type: 'file', name: 'evidence', path, flushIntervalMs: 3_600_000 },
    { type: 'otlp', name: 'dead', endpoint: 'http://127.0.0.1:9' },
  ] as const
  const audit = openAudit(folder, { destinations })
  const receipt = await audit.emitRequired(event, { until: 'evidence' })
  assert.ok(receipt.status === 'written')
  assert.ok(readFileSync(path, 'utf8').includes(receipt.id))
})

test('what the policy does not want resolves at once, with the rule', async (t) => {
  const audit = openAudit(freshFolder(t), {
    policy: { level: 'deletes_only' },
    destinations: [{ type: 'otlp', name: 'dead', endpoint: 'http://127.0.0.1:9' }],
  })
  const receipt = await audit.emitRequired(event, { until: 'dead' })
  assert.deepEqual(
    [receipt.status, receipt.status === 'suppressed' && receipt.rule],
    ['suppressed', 'level:deletes_only'],
  )
})

test('a destination that does not exist is refused with those that do, and nothing is recorded', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { destinations: [{ type: 'file', path: join(folder, 'trail.ndjson') }] })
  await assert.rejects(audit.emitRequired(event, { until: 'flie' }), (error) => {
    assert.ok(error instanceof AuditError)
    assert.deepEqual([error.code, error.setting], ['INVALID_OPTION', 'until'])
    assert.match(error.message, /no destination is named "flie"/)
    assert.match(error.hint, /durable, file/)
    return true
  })
  await audit.close()
  assert.deepEqual(eventsIn(folder), [])
})

test('a destination that stops before it has confirmed: the promise rejects, the record is kept', async (t) => {
  const folder = freshFolder(t)
  const backend = await startOtlpBackend(answer(503))
  t.after(() => backend.close())
  const audit = openAudit(folder, {
    destinations: [{ type: 'otlp', endpoint: backend.url }],
    closeTimeoutMs: 0,
  })
  const required = audit.emitRequired(event, { until: 'otlp' })
  required.catch(() => {})
  while (backend.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await audit.close()
  await assert.rejects(required, (error) => error instanceof AuditError && error.code === 'CLOSED')
  assert.equal(eventsIn(folder).length, 1)
})

test('when the spool cannot take it the promise rejects, by reason', async (t) => {
  const audit = openAudit(freshFolder(t), { spool: { directory: join(freshFolder(t), 'spool'), onFull: 'refuse' } })
  const reasons = [
    ['full', 'SPOOL_FULL'],
    ['unsynced', 'SPOOL_FULL'],
    ['failed', 'SPOOL_FAILED'],
  ] as const
  for (const [reason, code] of reasons) {
    const append = t.mock.method(Spool.prototype, 'append', () => {
      throw new SpoolRefusal(reason, 'injected')
    })
    await assert.rejects(
      audit.emitRequired(event, { until: 'durable' }),
      (error) => error instanceof AuditError && error.code === code && error.message === 'injected',
    )
    append.mock.restore()
  }
  assert.equal(audit.state.emergencies, 3)
})

test('a required event may go into the reserve where others may not', async (t) => {
  const folder = freshFolder(t)
  const spool = { directory: join(folder, 'spool'), bytesMax: 256 * 1024, onFull: 'refuse' } as const
  const audit = openAudit(folder, { spool })
  while (audit.emit({ action: 'filler', details: { pad: 'x'.repeat(4_000) } }).status === 'written');
  assert.equal(audit.emit({ action: 'late' }).status, 'emergency')
  const receipt = await audit.emitRequired(event, { until: 'durable' })
  assert.equal(receipt.status, 'written')
  assert.equal(audit.emit({ action: 'later' }).status, 'emergency', 'the reserve is not for this one')
  await audit.close()
  const actions = recordsIn(folder).map(({ action }) => action)
  const ending = ['filler', 'audit.gap', 'key.export', 'audit.gap', 'audit.stream.closed', 'audit.checkpoint']
  assert.deepEqual(
    actions.filter((action, index) => action !== 'audit.checkpoint' || index === actions.length - 1).slice(-6),
    ending,
  )
})
