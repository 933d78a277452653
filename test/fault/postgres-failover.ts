/**
 * Row 19: the primary of a synchronous standby is killed under transactions, a sequencer and an export that go on, the
 * standby takes over, and so on. Nothing acknowledged is lost, and no number stands for two records anywhere.
 */

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { promote, startStandby } from '../parts/postgres-standby.ts'
import {
  countAgreeing,
  Export,
  exportedIn,
  factsIn,
  inBackground,
  keys,
  storedIn,
  Traders,
  until,
} from '../support/failover.ts'
import { type EmbeddedPostgres, queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import { startRelay } from '../support/relay.ts'
import type { FaultTest, Observed, Size } from './fault.ts'
import type { Lab } from './lab.ts'

const portOf = ({ url }: EmbeddedPostgres) => Number(new URL(url).port)

async function failOver(lab: Lab, size: Size): Promise<Observed> {
  const rounds = size === 'short' ? 1 : 8
  const servers = [await startPrimary(lab)]
  const [first] = servers
  const relay = await startRelay(portOf(first as EmbeddedPostgres))
  lab.onDispose(() => relay.close())
  const address = new URL((first as EmbeddedPostgres).url)
  address.host = relay.address
  const url = address.href
  const directory = lab.path('forward')
  mkdirSync(directory)
  const traders = new Traders(url, 3)
  const running = inBackground((signal) => new Export(url, { directory }).run(signal))
  try {
    for (let round = 0; round < rounds; round += 1) {
      const primary = servers.at(-1) as EmbeddedPostgres
      const standby = await followSynchronously(lab, primary, `s${round}`)
      servers.push(standby)
      await traders.until(traders.acknowledged.size + 150)
      await untilSigned(url)
      await primary.kill()
      await promote(standby)
      relay.lead(portOf(standby))
      await traders.until(traders.acknowledged.size + 100)
    }
  } finally {
    await traders.stop()
    await running.stop()
  }
  const last = new Export(url, { directory })
  assert.equal(await last.drain(), true)
  return judge(servers, { file: last.file, acknowledged: traders.acknowledged })
}

async function startPrimary(lab: Lab): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres()
  lab.onDispose(() => server.stop())
  await withConnection({ url: server.url }, (connection) => migrateUp(connection))
  return server
}

/** Commits wait for it from now on. */
async function followSynchronously(lab: Lab, primary: EmbeddedPostgres, name: string): Promise<EmbeddedPostgres> {
  const standby = await startStandby(primary, { name })
  lab.onDispose(() => standby.stop())
  await queryOnce(primary.url, `alter system set synchronous_standby_names = '${name}'`)
  await queryOnce(primary.url, 'select pg_reload_conf()')
  const state = 'select sync_state from pg_stat_replication'
  await until('a synchronous standby', async () => (await queryOnce(primary.url, state))[0]?.sync_state === 'sync')
  return standby
}

/** The sequencer has come to this server, and signs there: a stream that ends before is signed by nobody. */
async function untilSigned(url: string): Promise<void> {
  const signed = `select from audit.journal where signed_size > 0
    and timeline_id = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint`
  await until('a checkpoint', async () => (await queryOnce(url, signed)).length > 0)
}

interface Left {
  readonly file: string
  readonly acknowledged: ReadonlySet<string>
}

async function judge(servers: readonly EmbeddedPostgres[], { file, acknowledged }: Left): Promise<Observed> {
  const current = servers.at(-1) as EmbeddedPostgres
  const stored = await storedIn(current.url)
  const ids = [...stored.values()].map((record) => String(JSON.parse(record).id))
  const held = new Set(ids)
  assert.equal(held.size, ids.length, 'an event is stored twice')
  assert.deepEqual(
    [...acknowledged].filter((id) => !held.has(id)),
    [],
  )
  assert.deepEqual(exportedIn(file), stored)
  let agreeing = 0
  for (const old of servers.slice(0, -1)) {
    await old.start() // what it holds, too, must not contradict
    agreeing += countAgreeing(await storedIn(old.url), stored)
    await old.stop()
  }
  const openings = factsIn(stored, 'audit.stream.opened').map(({ reason }) => reason)
  assert.deepEqual(openings, ['first', ...servers.slice(1).map(() => 'failover')])
  assert.deepEqual(factsIn(stored, 'audit.gap'), [])
  for (const source of [current.url, file]) {
    const report = await verifySource(await openSource(source), { verifiers: [keys.verifier] })
    assert.deepEqual([report.exitCode, report.findings], [0, []])
  }
  return {
    injected: { 'kills of primaries': servers.length - 1 },
    survived: { 'acknowledged events stored once': acknowledged.size, 'records exported': stored.size },
    detail: `old primaries, started again, hold ${agreeing.toLocaleString('en-US')} of them in the same places`,
  }
}

export const failoverTests: readonly FaultTest[] = [
  {
    name: 'postgres-failover',
    row: '19',
    promise:
      'The primary of a synchronous standby is killed under transactions, a sequencer and an export, and the standby takes over: nothing acknowledged is lost, and no number stands for two records in any copy.',
    needs: [],
    limitSeconds: { short: 120, long: 900 },
    run: failOver,
  },
]
