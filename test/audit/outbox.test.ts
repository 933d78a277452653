/** `outbox.url`: a service that emits in transactions and seals them from a thread of its own. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, it } from 'node:test'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { createAudit } from '../../src/index.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { migratedDatabase } from '../support/migrated.ts'

describe('a trail with outbox.url', () => {
  it('seals what its transactions have committed, and signs it at its end', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const directory = mkdtempSync(path.join(tmpdir(), 'otel-audit-outbox-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const options = { service: 'billing', deployment: 'prod', policy: { level: 'all' }, outbox: { url } } as const
    await using audit = createAudit({ ...options, spool: { directory } })
    await connection.query('begin')
    const receipt = await audit.tx(connection).emit({ action: 'session.create', operation: 'create' })
    await connection.query('commit')
    while ((await connection.query('select from audit.outbox')).rows.length > 0) {}
    await audit.close()
    assert.equal(audit.state.outbox?.condition, 'ok')
    assert.equal(audit.state.outbox?.sealed, 1)
    const { rows } = await connection.query<{ record_id: string; level: string }>(
      `select record_id, level from audit.record where action = 'session.create'`,
    )
    assert.deepEqual(rows, [{ record_id: 'id' in receipt ? receipt.id : '', level: 'all' }])
    const verifier = parseVerifierKey(audit.verifierKey)
    assert.ok(!('problem' in verifier))
    const report = await verifySource(createPostgresSource(url), { verifiers: [verifier] })
    assert.deepEqual([report.verdict, report.findings], ['INTACT', []])
  })

  it('says that the database cannot be used, and goes on', async (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'otel-audit-outbox-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const outbox = { url: 'postgres://nobody@127.0.0.1:1/app' }
    await using audit = createAudit({ service: 'billing', spool: { directory }, outbox })
    while (audit.state.outbox?.condition !== 'failing') await new Promise(setImmediate)
    assert.match(audit.state.outbox.lastError ?? '', /ECONNREFUSED/)
    assert.equal(audit.emit({ action: 'a', operation: 'create' }).status, 'written')
  })

  it('refuses a URL of another kind', () => {
    const options = { outbox: { url: 'mysql://db' } }
    assert.throws(() => createAudit(options), { code: 'INVALID_OPTION', setting: 'outbox.url' })
  })
})
