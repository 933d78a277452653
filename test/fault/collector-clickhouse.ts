/**
 * Row 18, ClickHouse: the gateway inserts into the real engine, behind a small HTTP front. Gateway and engine are killed
 * under load; afterwards the table has every record, and a dump of it verifies.
 */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { runCli } from '../cli/run.ts'
import { startClickhouse } from '../parts/clickhouse.ts'
import { CollectorHost } from './collector-host.ts'
import { checkTrail, finish, inOrder, otlpTo } from './collector-load.ts'
import type { FaultTest } from './fault.ts'
import { Subject } from './subject.ts'
import { parseLines, type TrailRecord } from './trail.ts'

/** The sealed records in the exporter's table, a line each, as they were inserted. */
async function recordsIn(url: string): Promise<TrailRecord[]> {
  const body = 'select Body from audit.audit_logs format TSVRaw'
  const response = await fetch(url, { method: 'POST', body })
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return parseLines(text)
}

/** Everything is acknowledged: what is missing in the table from now on is lost, and not late. */
async function checkConfirmed(spool: string): Promise<void> {
  const { stdout } = await runCli(['spool', 'status', spool, '--json'])
  const { destinations } = JSON.parse(stdout) as { destinations: readonly { name: string; backlog?: number }[] }
  assert.deepEqual(
    destinations.map(({ name, backlog }) => [name, backlog]),
    [['otlp', 0]],
  )
}

const collectorClickhouse: FaultTest = {
  name: 'collector-clickhouse',
  row: '18',
  promise:
    'A gateway that inserts into ClickHouse, gateway and engine killed under load: the table has every record, and a dump of it verifies.',
  needs: ['linux', 'collector', 'clickhouse'],
  limitSeconds: { short: 240, long: 600 },
  async run(lab, size) {
    const rounds = size === 'short' ? 1 : 10
    const dir = lab.path('clickhouse')
    mkdirSync(dir)
    const clickhouse = await startClickhouse(dir)
    lab.onDispose(() => clickhouse.kill())
    // Uncompressed: the front speaks no LZ4. Everything else is the configuration as it ships.
    const env = { AUDIT_CLICKHOUSE_URL: `${clickhouse.url}?compress=none` }
    const gateway = await CollectorHost.start(lab, { config: 'gateway-clickhouse.yaml', env })
    const batches = { batchRecordsMax: 500, flushIntervalMs: 100 } // ClickHouse wants few inserts
    const otlp = { ...otlpTo(gateway.address), ...batches, timeoutMs: 5_000 }
    const audit = { spool: { directory: lab.path('spool') }, destinations: [otlp] }
    const subject = new Subject(lab, { run: 'load', burst: 5, paceMs: 20, audit })
    const untilWritten = (more: number) => {
      const wanted = subject.written.length + more
      return subject.until(({ written }) => written.length >= wanted)
    }
    // One after the other, under load: nobody tells when an insert is on its way, so the moments vary.
    for (let round = 0; round < rounds; round += 1) {
      await untilWritten(150 + 37 * round)
      const victim = round % 2 === 0 ? gateway : clickhouse
      await victim.kill()
      await untilWritten(100)
      await victim.start()
    }
    const records = await finish(lab, subject, audit)
    await checkConfirmed(audit.spool.directory)
    const copy = await recordsIn(clickhouse.url)
    const repeated = checkTrail(copy, records)
    const dump = lab.path('clickhouse.ndjson')
    writeFileSync(
      dump,
      inOrder(copy, records)
        .map(({ bytes }) => `${bytes}\n`)
        .join(''),
    )
    const { exitCode, stdout } = await runCli(['verify', dump, '--allow-unanchored', '--json'])
    assert.equal(exitCode, 0, stdout.slice(0, 1_000))
    return {
      injected: { 'kills of the gateway': gateway.kills, 'kills of the engine': Math.floor(rounds / 2) },
      survived: { 'records delivered': records.length, 'records delivered twice': repeated },
    }
  },
}

export const collectorClickhouseTests: readonly FaultTest[] = [collectorClickhouse]
