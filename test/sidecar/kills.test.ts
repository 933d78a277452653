/** A sidecar and its application, killed again and again: nothing is lost, order is kept, nothing has two contents. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseVerifierKey } from '../../src/chain/note.ts'
import type { AuditOptions } from '../../src/index.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySources } from '../../src/verify/verify.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { delivering, Fleet, type RecordJson, recordsOf } from './fleet.ts'

const kills = Number(process.env.AUDIT_TEST_KILLS ?? 12)

type Victim = 'application' | 'sidecar' | 'both'
const victims: readonly Victim[] = ['sidecar', 'application', 'both']

/** Kills by turns under load, and leaves both dead; ids of all records whose `emit` returned, and the verifier key. */
async function runKills(t: TestContext, fleet: Fleet): Promise<{ written: string[]; key: string }> {
  let application = fleet.application()
  let sidecar = fleet.sidecar()
  const applications = [application]
  const key = await application.line('opened')
  for (let kill = 0; kill < kills; kill += 1) {
    await Promise.all([application.line('written'), delivering(sidecar)])
    await sleep(Math.random() * 300) // the moment of the kill, not a wait for something
    const victim = victims[kill % victims.length]
    if (victim !== 'application') await sidecar.kill('SIGKILL')
    if (victim !== 'sidecar') await application.kill('SIGKILL')
    if (victim !== 'application') sidecar = fleet.sidecar()
    if (victim !== 'sidecar') application = fleet.application()
    if (victim !== 'sidecar') applications.push(application)
  }
  await application.line('written')
  await Promise.all([application.kill('SIGKILL'), sidecar.kill('SIGKILL')])
  const written = applications.flatMap((one) => one.all('written'))
  t.diagnostic(`${applications.length} applications, ${written.length} records written`)
  return { written, key }
}

/** In the order in which they were sealed, none missing, none twice. */
function checkOrder(records: readonly RecordJson[]): void {
  const last = new Map<string, number>()
  for (const { stream, seq } of records) {
    assert.equal(seq, (last.get(stream) ?? 0) + 1, `sequence ${seq} of ${stream} follows`)
    last.set(stream, seq)
  }
}

async function verify(names: readonly string[], key: string): Promise<void> {
  const verifier = parseVerifierKey(key)
  assert.ok(!('problem' in verifier))
  const sources = await Promise.all(names.map((name) => openSource(name)))
  const report = await verifySources(sources, { verifiers: [verifier], allowUnanchored: true })
  const found = report.sources.flatMap(({ name, findings }) => findings.map(({ verdict }) => `${name} ${verdict}`))
  assert.deepEqual(found, [])
  assert.equal(report.exitCode, 0)
}

test(`after ${kills} kills every record that was written is in the file and in PostgreSQL, in order`, {
  timeout: 300_000,
}, async (t) => {
  const { url, connection } = await migratedDatabase(t)
  const destinations = (folder: string): AuditOptions['destinations'] => [
    { type: 'file', path: join(folder, 'trail.ndjson'), flushIntervalMs: 20 },
    { type: 'postgres', url, flushIntervalMs: 20 },
  ]
  const fleet = new Fleet(t, (folder) => ({ destinations: destinations(folder) }))
  const { written, key } = await runKills(t, fleet)
  assert.ok(written.length > kills * 10, 'they were under load')
  await fleet.drain()

  const path = join(fleet.folder, 'trail.ndjson')
  const records = recordsOf(path)
  checkOrder(records)
  const filed = new Set(records.map(({ id }) => id))
  assert.deepEqual(
    written.filter((id) => !filed.has(id)),
    [],
  )
  const { rows } = await connection.query<{ record: Buffer }>('select record from audit.record')
  const ids = new Set(rows.map(({ record }) => (JSON.parse(record.toString()) as RecordJson).id))
  assert.equal(rows.length, records.length)
  assert.deepEqual(
    written.filter((id) => !ids.has(id)),
    [],
  )
  await verify([path, fleet.spool, url], key)
})
