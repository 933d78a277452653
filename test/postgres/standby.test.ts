/**
 * An asynchronous standby of a real server, and a failover to it that loses commits: what is promised of the journal, of
 * its export and of the destination `postgres`. The tests go on from one another. That a synchronous one loses nothing
 * under load is a fault test (`test/fault/postgres-failover.ts`).
 */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Audit, createAudit } from '../../src/index.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { inspectStandbys } from '../../src/postgres/standbys.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { promote, startStandby, untilCaughtUp } from '../parts/postgres-standby.ts'
import {
  countAgreeing,
  Export,
  emit,
  exportedIn,
  factsIn,
  inBackground,
  keys,
  storedIn,
  until,
} from '../support/failover.ts'
import { type EmbeddedPostgres, queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import { type Relay, startRelay } from '../support/relay.ts'

describe('a database with an asynchronous standby', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'otel-audit-standby-'))
  let primary: EmbeddedPostgres
  let standby: EmbeddedPostgres
  /** The address that leads to the primary, whichever that is. */
  let relay: Relay
  let url: string
  /** Delivers its own records to the database. */
  let audit: Audit

  before(async () => {
    primary = await startEmbeddedPostgres()
    await withConnection({ url: primary.url }, (connection) => migrateUp(connection))
    standby = await startStandby(primary, { name: 's1' })
    relay = await startRelay(Number(new URL(primary.url).port))
    const address = new URL(primary.url)
    address.host = relay.address
    url = address.href
    audit = createAudit({
      service: 'billing',
      policy: { level: 'all' },
      spool: { directory: path.join(folder, 'spool') },
      destinations: [{ type: 'postgres', url, flushIntervalMs: 5 }],
    })
  })
  after(async () => {
    await audit?.close()
    await relay?.close()
    await standby?.stop()
    await primary?.stop()
    rmSync(folder, { recursive: true })
  })

  function exportInto(name: string, standbys?: number): Export {
    const directory = path.join(folder, name)
    mkdirSync(directory, { recursive: true })
    return new Export(url, { directory, name, ...(standbys !== undefined && { standbys }) })
  }

  async function deliver(count: number): Promise<void> {
    for (let at = 0; at < count; at += 1) audit.emit({ action: 'session.delete', operation: 'delete' })
    await audit.flush()
  }

  async function countDelivered(): Promise<number> {
    const [row] = await queryOnce(
      url,
      `select count(*)::int as count from audit.record where action = 'session.delete'`,
    )
    return Number(row?.count)
  }

  it('exports and signs what the standby holds', async () => {
    await emit(url, 5)
    await deliver(5)
    const exporting = exportInto('patient')
    assert.equal(await exporting.drain(), true)
    const stored = await storedIn(primary.url)
    assert.deepEqual(exportedIn(exporting.file), stored)
    assert.equal(factsIn(stored, 'audit.checkpoint').length, 1)
    assert.deepEqual(await withConnection({ url }, inspectStandbys), [])
  })

  it('says of a standby that it takes no changes, and goes on trying', async () => {
    await untilCaughtUp(primary, standby)
    const misled = new Export(standby.url, { directory: path.join(folder, 'patient'), name: 'misled' })
    const running = inBackground((signal) => misled.run(signal))
    await until('its being said', () => misled.obstacles.length > 0 && misled.sequencer.condition !== 'ok')
    const said = [misled.obstacles[0], misled.sequencer.lastError]
    await running.stop()
    for (const one of said) assert.match(one ?? '', /takes no changes: a standby, or read only/)
  })

  it('seals, and neither exports nor signs, while the standby is away, and says so', async () => {
    await standby.crash()
    const before = await storedIn(primary.url)
    await emit(url, 5)
    await deliver(5)
    const exporting = exportInto('patient')
    const running = inBackground((signal) => exporting.run(signal))
    const isSaid = () => exporting.obstacles.length > 0 && exporting.sequencer.unconfirmed !== undefined
    await until('its being said', isSaid).finally(() => running.stop())
    const said = /0 of 1 standby holds what was committed \(s1 is away\): start what is away/
    assert.match(exporting.obstacles[0] ?? '', said)
    assert.match(exporting.sequencer.unconfirmed ?? '', said)
    assert.equal(exporting.sequencer.condition, 'ok')
    const stored = await storedIn(primary.url)
    assert.equal(stored.size, before.size + 5)
    assert.deepEqual(exportedIn(exporting.file), before)
    const [difference] = await withConnection({ url }, inspectStandbys)
    assert.match(difference?.found ?? '', said)

    const hasty = exportInto('hasty', 0) // whatever the standby holds
    assert.equal(await hasty.drain(), true)
    assert.equal(exportedIn(hasty.file).size, stored.size + 1) // and a checkpoint
  })

  it('gives no number again that a failover takes back, and names what was exported of it', async () => {
    const old = await storedIn(primary.url)
    const exporting = exportInto('patient')
    const exported = exportedIn(exporting.file)
    await primary.kill()
    await standby.start()
    await promote(standby)
    relay.lead(Number(new URL(standby.url).port))
    await emit(url, 5)
    assert.equal(await exporting.drain(), true)
    const stored = await storedIn(url)
    assert.deepEqual(exportedIn(exporting.file), stored)
    assert.equal(countAgreeing(exported, stored), exported.size)
    assert.equal(countAgreeing(old, stored), exported.size) // of the others no record stands in the place
    assert.deepEqual(
      factsIn(stored, 'audit.stream.opened').map(({ reason }) => reason),
      ['first', 'failover'],
    )
    assert.deepEqual(factsIn(stored, 'audit.gap'), [])
    const report = await verifySource(await openSource(exporting.file), { verifiers: [keys.verifier] })
    assert.deepEqual([report.exitCode, report.findings], [0, []])

    const hasty = exportInto('hasty', 0)
    const early = exportedIn(hasty.file)
    assert.equal(await hasty.drain(), true)
    const after = await storedIn(url)
    countAgreeing(exportedIn(hasty.file), after)
    assert.equal(factsIn(after, 'audit.stream.opened').at(-1)?.reason, 'restored')
    const [{ from, to, count, reason } = {}] = factsIn(after, 'audit.gap')
    assert.deepEqual([reason, from, to, count], ['restored', exported.size + 1, early.size, early.size - exported.size])
  })

  it('gets again what was delivered to it and is lost', async () => {
    await deliver(5)
    assert.equal(await countDelivered(), 15)
    const rewound = `select count(*)::int as count from audit.record where event_type = 'audit.destination.rewound'`
    assert.deepEqual(await queryOnce(url, rewound), [{ count: 1 }])
  })
})
