/** ClickHouse as a copy that is verified, compared and searched: the real engine, the table of each way into it. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import { createClickhouseDestination } from '../../src/destination/clickhouse.ts'
import { projectRecord } from '../../src/event/log-record.ts'
import { parseRecord } from '../../src/event/record.ts'
import { reconcile } from '../../src/verify/reconcile.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { runCli } from '../cli/run.ts'
import { type Clickhouse, clickhouseAbsent, clickhousePython, startClickhouse } from '../parts/clickhouse.ts'
import { makeKeys, makeTrail } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const { lines } = makeTrail({ stream, keys, records: 54, interval: 16 })

describe('ClickHouse as a source', { skip: clickhousePython() === undefined ? clickhouseAbsent : false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-clickhouse-source-'))
  const file = join(directory, 'audit.ndjson')
  let server: Clickhouse
  before(async () => {
    server = await startClickhouse(directory)
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
  })
  after(async () => {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  })

  const urlOf = (table: string) => `clickhouse://${new URL(server.url).host}/default?table=${table}`

  async function execute(text: string): Promise<void> {
    const answer = await fetch(server.url, { method: 'POST', body: text })
    assert.ok(answer.ok, await answer.text())
  }

  async function deliver(table: string, from = 0): Promise<void> {
    const destination = await createClickhouseDestination({ type: 'clickhouse', url: server.url, table })
    const records = lines.map((line, at) => ({ stream, sequence: at + 1, bytes: Buffer.from(line) })).slice(from)
    const delivery = await destination.send({ records, bytes: 1 }, AbortSignal.timeout(60_000))
    assert.deepEqual(delivery, { status: 'delivered' })
    await destination.close()
  }

  async function findingsOf(table: string): Promise<string[]> {
    const report = await verifySource(await openSource(urlOf(table)), { verifiers: [keys.verifier] })
    return report.findings.length === 0
      ? [report.verdict]
      : report.findings.map(({ verdict, sequence, from, to }) => `${verdict} ${sequence ?? `${from}-${to}`}`)
  }

  it('is verified, whatever was delivered twice', async () => {
    await deliver('whole')
    assert.deepEqual(await findingsOf('whole'), ['INTACT'])
    await deliver('whole', 30)
    assert.match((await findingsOf('whole')).join(), /^(?:INTACT|DUPLICATE_DELIVERY)$/)
  })

  it('shows what was done to it', async () => {
    const attacks = [
      [`update record = replaceOne(record, 'u-', 'm-') where sequence = 25`, ['CONTENT_TAMPERED 25']],
      [`update actor_id = 'mallory' where sequence = 25`, ['PROJECTION_MISMATCH 25']],
      ['delete where sequence = 25', ['MISSING 25']],
      ['delete where sequence > 55', ['OPEN_TAIL']],
    ] as const
    for (const [at, [attack, expected]] of attacks.entries()) {
      await deliver(`attacked_${at}`)
      await execute(`alter table attacked_${at} ${attack} settings mutations_sync = 1`)
      assert.deepEqual(await findingsOf(`attacked_${at}`), expected, attack)
    }
  })

  it('is read as a collector has written it, with its attributes', async () => {
    await execute(`create table collected (Timestamp DateTime64(9), ScopeName String, Body String,
      LogAttributes Map(LowCardinality(String), String)) engine = MergeTree order by Timestamp`)
    const rows = lines.toReversed().map((line) => {
      const { attributes } = projectRecord(parseRecord(Buffer.from(line)) ?? {}, leafHash(line))
      const texts = Object.entries(attributes).map(([name, value]) => [name, String(value)])
      return JSON.stringify({
        Timestamp: '2026-01-02 00:00:00',
        ScopeName: 'otel-audit',
        Body: line,
        LogAttributes: Object.fromEntries(texts),
      })
    })
    rows.push(JSON.stringify({ Timestamp: '2026-01-02 00:00:00', ScopeName: 'app', Body: 'hello', LogAttributes: {} }))
    await execute(`insert into collected format JSONEachRow\n${rows.join('\n')}`)
    assert.deepEqual(await findingsOf('collected'), ['INTACT'])
    await execute(`alter table collected update LogAttributes = mapUpdate(LogAttributes, map('audit.actor.id', 'mallory'))
      where LogAttributes['audit.sequence.number'] = '25' settings mutations_sync = 1`)
    assert.deepEqual(await findingsOf('collected'), ['PROJECTION_MISMATCH 25'])
  })

  it('is compared with another copy, and searched', async () => {
    await deliver('lacking')
    await execute('alter table lacking delete where sequence between 20 and 22 settings mutations_sync = 1')
    const { exitCode, to } = await reconcile(await openSource(file), [await openSource(urlOf('lacking'))])
    assert.deepEqual([exitCode, to[0]?.missing], [1, { count: 3, first: [{ stream, from: 20, to: 22 }] }])
    const actor = JSON.parse(lines[24] ?? '').actor.id
    const found = await runCli(['query', urlOf('lacking'), '--actor', actor, '--json'])
    assert.deepEqual([found.exitCode, found.stdout], [0, `${lines[24]}\n`], found.stderr)
  })

  it('says what is wrong with its place in one line', async () => {
    for (const [url, expected] of [
      [
        urlOf('nothing'),
        /^clickhouse:\/\/127\.0\.0\.1:\d+\/default\?table=nothing: there is no such table: default\.nothing$/,
      ],
      [
        'clickhouse://ann:secret@127.0.0.1:1/app',
        /^clickhouse:\/\/127\.0\.0\.1:1\/app\?table=audit_record: .*ECONNREFUSED/,
      ],
      ['clickhouse://', /^clickhouse:\/\/ is no URL of a ClickHouse server$/],
    ] as const) {
      await assert.rejects(openSource(url), { code: 'SOURCE_UNREADABLE', message: expected })
    }
  })
})
