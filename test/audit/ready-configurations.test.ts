/** The three configurations of examples/configurations, as a program would be started with them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import type { AuditConfig } from '../../src/audit/config.ts'
import { readConfig } from '../../src/audit/read-config.ts'
import { compilePolicy } from '../../src/policy/policy.ts'
import { readDocument } from '../docs/markdown.ts'

function load(name: string): { config: AuditConfig; remarks: readonly string[] } {
  const variables = parseEnv(readDocument(`examples/configurations/${name}.env`))
  const environment = { AUDIT_POSTGRES_URL: 'postgres://db.example/audit', ...variables }
  const { config, problems } = readConfig({ options: {}, environment })
  assert.deepEqual(problems, [])
  return { config: config ?? assert.fail(), remarks: config?.remarks ?? [] }
}

test('production records what changes something, in batches', () => {
  const { config } = load('production')
  assert.equal(config.policy.level, 'writes_only')
  assert.deepEqual(config.policy.excludeActions, ['health_check', 'metrics_read'])
  assert.equal(config.requiredUntil, 'durable')
  assert.equal(config.retention.days, 90)
  const [postgres] = config.destinations
  assert.deepEqual([postgres?.type, postgres?.flushIntervalMs, postgres?.batchRecordsMax], ['postgres', 30_000, 500])
})

test('a load test records nothing', () => {
  const { config } = load('load-test')
  assert.equal(config.policy.enabled, false)
})

test('high security records everything, keeps it for a year and waits for the database', () => {
  const { config } = load('high-security')
  assert.ok(!compilePolicy(config.policy).suppresses)
  assert.deepEqual(config.profiles, ['strict', 'soc2', 'iso27001'])
  assert.deepEqual([config.retention.days, config.requiredUntil], [365, 'postgres'])
})
