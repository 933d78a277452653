/** AUDIT_TRAIL_ASYNC, on a real PostgreSQL. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { migratedDatabase } from '../support/migrated.ts'
import { queryOnce } from '../support/postgres.ts'
import { freshFolder, openAudit } from './opened.ts'

const event = { action: 'key.export', operation: 'export', outcome: 'success' } as const
const hour = 3_600_000

test('with async off emitRequired resolves when the database has the record, past its buffer', async (t) => {
  const { url } = await migratedDatabase(t)
  const destinations = [{ type: 'postgres', name: 'ledger', url, flushIntervalMs: hour }] as const
  const audit = openAudit(freshFolder(t), { async: false, destinations })
  const receipt = await audit.emitRequired(event)
  assert.ok(receipt.status === 'written')
  const rows = await queryOnce(url, 'select seq from audit.record where record_id = $1', [receipt.id])
  assert.equal(rows.length, 1)
  await audit.close()
})

test('with async on emitRequired waits for the disk alone, and so does a call that says so', async (t) => {
  const destinations = [{ type: 'postgres', url: 'postgres://127.0.0.1:9/none' }] as const
  for (const [async, until] of [
    [true, undefined],
    [false, 'durable'],
  ] as const) {
    const audit = openAudit(freshFolder(t), { async, destinations, closeTimeoutMs: 0 })
    const receipt = await audit.emitRequired(event, { until })
    assert.equal(receipt.status, 'written')
    assert.ok(receipt.status === 'written' && audit.state.durable >= receipt.sequence)
    await audit.close()
  }
})
