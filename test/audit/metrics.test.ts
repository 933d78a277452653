import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { AggregatorRegistry, Registry, register } from 'prom-client'
import { metricDefinitions } from '../../src/audit/metrics.ts'
import { AuditError, createAudit, type MetricsRegistry } from '../../src/index.ts'
import { freshFolder, openAudit } from './opened.ts'

/** The value of one series, as a scraper reads it; `undefined` when it is not there. */
async function sampleOf(registry: { metrics(): Promise<string> }, series: string): Promise<number | undefined> {
  const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

test('a scrape tells what was recorded, suppressed, delivered, and how the spool is', async (t) => {
  const folder = freshFolder(t)
  const registry = new Registry()
  const audit = openAudit(folder, {
    policy: { level: 'writes_only' },
    destinations: [{ type: 'file', path: join(folder, 'trail.ndjson') }],
    metrics: { registry, actions: ['invoice.delete'] },
  })
  for (let at = 0; at < 3; at += 1) audit.emit({ action: 'invoice.delete', operation: 'delete', outcome: 'success' })
  audit.emit({ action: 'user 4711', operation: 'update', outcome: 'failure' })
  audit.emit({ action: 'invoice.read', operation: 'read', outcome: 'success' })
  await audit.flush()
  const expected: Record<string, number> = {
    'audit_log_entries_total{action="invoice.delete",outcome="success"}': 3,
    'audit_log_entries_total{action="_other",outcome="failure"}': 1,
    'audit_events_suppressed_total{rule="level:writes_only"}': 1,
    audit_emergency_records_total: 0,
    audit_chain_head_sequence: audit.state.sequence,
    'audit_spool_state{state="ok"}': 1,
    'audit_spool_state{state="full"}': 0,
    audit_spool_size_bytes: audit.state.bytes,
    'audit_log_sink_errors_total{destination="file"}': 0,
    'audit_sink_backlog_records{destination="file"}': audit.state.destinations[0]?.backlog ?? -1,
  }
  for (const [series, value] of Object.entries(expected)) assert.equal(await sampleOf(registry, series), value, series)
  const delivered = await sampleOf(registry, 'audit_sink_records_total{destination="file",result="delivered"}')
  assert.ok((delivered ?? 0) >= 5, 'four events and the opening')
  assert.ok(((await sampleOf(registry, 'audit_spool_sync_duration_seconds_count')) ?? 0) > 0)
  const inBuckets = await sampleOf(registry, 'audit_spool_sync_duration_seconds_bucket{le="+Inf"}')
  assert.equal(inBuckets, await sampleOf(registry, 'audit_spool_sync_duration_seconds_count'))
  assert.ok(((await sampleOf(registry, 'audit_spool_sync_duration_seconds_sum')) ?? 0) > 0)
})

test('a destination that does not take records shows in errors and backlog', async (t) => {
  const registry = new Registry()
  const audit = openAudit(freshFolder(t), {
    destinations: [{ type: 'otlp', name: 'collector', endpoint: 'http://127.0.0.1:9' }],
    metrics: { registry },
  })
  const errors = 'audit_log_sink_errors_total{destination="collector"}'
  audit.emit({ action: 'a' })
  while ((await sampleOf(registry, errors)) === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await sampleOf(registry, 'audit_sink_records_total{destination="collector",result="delivered"}'), 0)
})

test('OpenMetrics, default labels and JSON work as with metrics of prom-client', async (t) => {
  const registry = new Registry()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
  registry.setDefaultLabels({ app: 'billing' })
  const audit = openAudit(freshFolder(t), { metrics: { registry } })
  audit.emit({ action: 'a', outcome: 'success' })
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const text = await registry.metrics()
    assert.match(text, /^# TYPE audit_log_entries counter\naudit_log_entries_total\{.*app="billing".*\} 1$/m)
    assert.match(text, /^audit_spool_sync_duration_seconds_bucket\{le="0.0005",app="billing"\} \d+$/m)
  }
  const names = (await registry.getMetricsAsJSON()).map(({ name }) => name)
  assert.equal(names.length, metricDefinitions.length)
})

test('the metrics of several processes are joined as prom-client joins those of a cluster', async (t) => {
  const registries = [new Registry(), new Registry()]
  for (const [index, registry] of registries.entries()) {
    const audit = openAudit(freshFolder(t), { metrics: { registry } })
    for (let at = 0; at <= index; at += 1) audit.emit({ action: 'a', outcome: 'success' })
  }
  const collected = await Promise.all(registries.map((one) => one.getMetricsAsJSON()))
  const heads = collected.map((metrics) => metrics.find(({ name }) => name === 'audit_chain_head_sequence'))
  const joined = AggregatorRegistry.aggregate(collected)
  assert.equal(await sampleOf(joined, 'audit_log_entries_total{action="_other",outcome="success"}'), 3)
  const head = Math.max(...heads.map((metric) => metric?.values[0]?.value ?? 0))
  assert.equal(await sampleOf(joined, 'audit_chain_head_sequence'), head)
})

test('the default registry stays untouched, and close takes the metrics away, so that the trail can be opened again', async (t) => {
  const folder = freshFolder(t)
  const registry = new Registry()
  for (let round = 0; round < 2; round += 1) {
    const audit = openAudit(folder, { metrics: { registry } })
    assert.equal(registry.getMetricsAsArray().length, metricDefinitions.length)
    await audit.close()
    assert.equal(registry.getMetricsAsArray().length, 0)
  }
  assert.equal(register.getMetricsAsArray().length, 0)
})

test('two open trails on one registry are refused, and the spool of the second stays free', async (t) => {
  const folder = freshFolder(t)
  const registry = new Registry()
  openAudit(freshFolder(t), { metrics: { registry } })
  const isRefused = (error: unknown) =>
    error instanceof AuditError && error.code === 'INVALID_OPTION' && error.setting === 'metrics.registry'
  assert.throws(() => openAudit(folder, { metrics: { registry } }), isRefused)
  openAudit(folder)
})

test('what is no registry is refused at start', () => {
  assert.throws(
    () => createAudit({ metrics: { registry: {} as MetricsRegistry } }),
    (error) => error instanceof AuditError && /metrics\.registry.*a Registry of prom-client/.test(error.message),
  )
})
