/** Retention in the background of a service: by its settings, one process at a time, counted. */

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { checkBucketSdk } from '../../src/archive/bucket.ts'
import { parseBucketUrl } from '../../src/archive/location.ts'
import { createAudit } from '../../src/audit/create.ts'
import type { AuditOptions } from '../../src/audit/options.ts'
import { retainOnce } from '../../src/audit/retention.ts'
import { useClocks } from '../../src/clock.ts'
import { withRetentionLock } from '../../src/postgres/retention-ranges.ts'
import { type AgedDatabase, AgedWriter, aged, agedDatabase, streamA } from '../support/aged-trail.ts'
import { queryOnce } from '../support/postgres.ts'

/** Timers of the task alone are ours: called when the test says so. */
function ownTimers(t: TestContext): { readonly due: Map<number, () => void> } {
  const due = new Map<number, () => void>()
  let number = 0
  t.after(
    useClocks({
      after: (_, call) => {
        number += 1
        const id = number
        due.set(id, () => {
          due.delete(id)
          call()
        })
        return () => due.delete(id)
      },
    }),
  )
  return { due }
}

async function prepare(t: TestContext, retention: AuditOptions['retention']) {
  const database = await agedDatabase(t)
  await database.deliver(aged(new AgedWriter(streamA, (sequence) => (sequence <= 60 ? 120 : 30)), 100, 15))
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-task-'))

  const metrics = new Map<string, { get(): Promise<unknown> }>()
  const registry = {
    registerMetric: (metric: { name?: string; get(): Promise<unknown> }) => void metrics.set(metric.name ?? '', metric),
    getSingleMetric: (name: string) => metrics.get(name),
    removeSingleMetric: (name: string) => void metrics.delete(name),
  }
  const { due } = ownTimers(t)
  const audit = createAudit({
    service: 'billing',
    spool: { directory: join(directory, 'spool') },
    policy: { level: 'all' },
    destinations: [{ type: 'postgres', url: database.url, flushIntervalMs: 0 }],
    metrics: { registry },
    closeTimeoutMs: 100,
    retention,
  })
  t.after(async () => {
    await audit.close()
    rmSync(directory, { recursive: true })
  })
  const valuesOf = async (name: string) =>
    ((await metrics.get(name)?.get()) as { values: { value: number }[] } | undefined)?.values.map(({ value }) => value)
  return { database, due, valuesOf }
}

async function rowsIn({ url }: AgedDatabase): Promise<number> {
  const [row] = await queryOnce(url, 'select count(*) from audit.record where stream = $1', [streamA])
  return Number(row?.count)
}

test('a service removes by itself what is past its retention, and counts it', async (t) => {
  const { database, due, valuesOf } = await prepare(t, { days: 90 })
  const before = await rowsIn(database)
  for (const call of [...due.values()]) call()
  while ((await valuesOf('audit_retention_duration_seconds'))?.[1] !== 1) await rowsIn(database)
  assert.equal(await rowsIn(database), before - 60)
  assert.deepEqual(await valuesOf('audit_retention_deleted_records_total'), [60])
  const [sealed] = await queryOnce(database.url, `select count(*) from audit.record where event_type = 'audit.pruned'`)
  assert.equal(Number(sealed?.count), 1)
})

test('switched off it removes nothing', async (t) => {
  const { valuesOf } = await prepare(t, { enabled: false })
  assert.deepEqual(await valuesOf('audit_retention_deleted_records_total'), [])
})

test('one process of a database runs at a time', async (t) => {
  const database = await agedDatabase(t)
  const round = {
    url: database.url,
    days: 90,
    batchRows: 10,
    seal: async () => undefined,
    signal: new AbortController().signal,
  }
  const inside = await withRetentionLock(database.url, () => retainOnce(round))
  assert.equal(inside, undefined)
  assert.equal((await retainOnce(round))?.isComplete, true)
})

test('an archive that no round could use is refused at the start, before anything is made', (t) => {
  const directory = join(tmpdir(), `otel-audit-refused-${process.pid}`)
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const opening = (retention: AuditOptions['retention'], url = 'postgres://audit@127.0.0.1:1/none') => {
    return () =>
      createAudit({ service: 's', spool: { directory }, retention, destinations: [{ type: 'postgres', url }] })
  }
  assert.throws(opening({ archive: 's3://' }), { code: 'INVALID_OPTION', setting: 'retention.archive' })
  assert.ok(!existsSync(directory))
  const place = parseBucketUrl('s3://audit/x', 'retention.archive')
  assert.doesNotThrow(() => checkBucketSdk(place))
  assert.throws(() => checkBucketSdk(place, pathToFileURL('/nowhere/service.js').href), {
    code: 'MODULE_NOT_FOUND',
    message: 'the archive s3://audit/x needs the package @aws-sdk/client-s3, which is not installed',
    hint: 'Install it: npm install @aws-sdk/client-s3',
  })
})
