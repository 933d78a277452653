/** Each setting of policy by the name that users know, from the environment to the records and the sealed counts. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { AuditOptions } from '../../src/audit/options.ts'
import { readOptionsAndEnvironment } from '../../src/audit/read-config.ts'
import { type AuditEvent, type Operation, operations, outcomes } from '../../src/event/event.ts'
import { type Level, levels } from '../../src/policy/level.ts'
import { thresholdOf } from '../../src/policy/sample.ts'
import { hostileEvent } from '../event/arbitraries.ts'
import { eventsIn, freshFolder, openAudit, type RecordJson, recordsIn } from './opened.ts'

const sampleSecret = 'a secret of the deployment'

/** The policy that an environment comes to, as options. */
function policyOf(environment: NodeJS.ProcessEnv): AuditOptions['policy'] {
  const { levelGiven: _, ...policy } = readOptionsAndEnvironment({}, environment).policy
  return policy
}

interface Outcome {
  /** `recorded`, or the rule that suppressed the event; in the order of the events. */
  readonly results: readonly string[]
  readonly events: readonly RecordJson[]
  /** The sealed counts, by rule. */
  readonly counts: Readonly<Record<string, number>>
}

/** Emits events under a policy, and closes the trail. */
async function emitAll(t: TestContext, policy: AuditOptions['policy'], given: readonly unknown[]): Promise<Outcome> {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy })
  const results = given.map((event) => {
    const receipt = audit.emit(event as AuditEvent)
    return receipt.status === 'suppressed' ? receipt.rule : receipt.status === 'written' ? 'recorded' : receipt.status
  })
  await audit.close()
  const counts: Record<string, number> = {}
  const sealed = recordsIn(folder).filter(({ event_type }) => event_type === 'audit.suppressed')
  const rules = sealed.flatMap(({ details }) => details?.rules as { id: string; count: number }[])
  for (const { id, count } of rules) counts[id] = (counts[id] ?? 0) + count
  return { results, events: eventsIn(folder), counts }
}

/** The table of FEATURES B; the column of an operation and level. */
function keeps(level: Level, operation: Operation | undefined, outcome: string | undefined): boolean {
  switch (level) {
    case 'all':
      return true
    case 'writes_only':
      return operation !== 'read' || outcome === 'denied'
    case 'mutations_only':
      return operation !== 'create' && operation !== 'read'
    case 'deletes_only':
      return operation === 'delete'
    case 'failures_only':
      return outcome !== 'success'
  }
}

for (const level of levels) {
  test(`AUDIT_TRAIL_LEVEL=${level} records exactly what its column says, and says so in every record`, async (t) => {
    const given = [...operations, undefined].flatMap((operation) =>
      [...outcomes, undefined].map((outcome) => ({ action: `${operation}.${outcome}`, operation, outcome })),
    )
    const { results, events, counts } = await emitAll(t, policyOf({ AUDIT_TRAIL_LEVEL: level }), given)
    const expected = given.map(({ operation, outcome }) => keeps(level, operation, outcome))
    assert.deepEqual(
      results.map((result) => result === 'recorded'),
      expected,
    )
    assert.deepEqual(
      events.map(({ action }) => action),
      given.filter((_, index) => expected[index]).map(({ action }) => action),
    )
    assert.ok(events.every((record) => record.level === level))
    const suppressed = expected.filter((isKept) => !isKept).length
    assert.deepEqual(counts, suppressed === 0 ? {} : { [`level:${level}`]: suppressed })
  })
}

test('AUDIT_TRAIL_LEVEL is writes_only when nobody sets it, in the environment and in code', async (t) => {
  const given = [
    { action: 'a', operation: 'read' },
    { action: 'b', operation: 'create' },
  ]
  for (const policy of [policyOf({}), {}, undefined]) {
    const { results, events } = await emitAll(t, policy, given)
    assert.deepEqual(results, ['level:writes_only', 'recorded'])
    assert.deepEqual(
      events.map(({ level }) => level),
      ['writes_only'],
    )
  }
})

test('AUDIT_TRAIL_ENABLED=false records nothing, counts everything', async (t) => {
  const given = [
    { action: 'a', operation: 'delete' },
    { action: 'b', outcome: 'denied' },
  ]
  const { results, events, counts } = await emitAll(t, policyOf({ AUDIT_TRAIL_ENABLED: 'false' }), given)
  assert.deepEqual([results, events, counts], [['disabled', 'disabled'], [], { disabled: 2 }])
})

test('AUDIT_TRAIL_EXCLUDE_ACTIONS and _RESOURCES leave out what they name, with * at the end', async (t) => {
  const policy = policyOf({
    AUDIT_TRAIL_LEVEL: 'all',
    AUDIT_TRAIL_EXCLUDE_ACTIONS: 'health_check,metrics_read',
    AUDIT_TRAIL_EXCLUDE_RESOURCES: 'metric, health*',
  })
  const typed = (resource_type: string) => ({ action: 'a', target: { resource_type } })
  const given = [
    { action: 'health_check' },
    { action: 'metrics_reader' },
    typed('metric'),
    typed('healthz'),
    typed('invoice'),
  ]
  const { results, events, counts } = await emitAll(t, policy, given)
  const names = ['exclude_action:health_check', 'exclude_resource:metric', 'exclude_resource:health*']
  assert.deepEqual(results, [names[0], 'recorded', names[1], names[2], 'recorded'])
  assert.equal(events.length, 2)
  assert.deepEqual(counts, Object.fromEntries(names.map((name) => [name, 1])))
})

test('AUDIT_TRAIL_SAMPLE_RATE and _READS keep whole traces, the same in two services, and say so in the record', async (t) => {
  const environment = {
    AUDIT_TRAIL_LEVEL: 'all',
    AUDIT_TRAIL_SAMPLE_RATE: '0.5',
    AUDIT_TRAIL_SAMPLE_READS: '0.2',
    AUDIT_POLICY_SAMPLE_SECRET: sampleSecret,
  }
  const given = Array.from({ length: 200 }, (_, index) => index.toString(16).padStart(32, 'a')).flatMap((id) => {
    const trace = { id, span: '00f067aa0ba902b7', flags: 1 }
    const of = (operation: Operation) => ({ action: operation, operation, outcome: 'success', trace })
    return [of('read'), of('update'), of('login'), of('read')]
  })
  const [one, two] = await Promise.all([1, 2].map(() => emitAll(t, policyOf(environment), given)))
  assert.deepEqual(one?.results, two?.results)
  const { results = [], events = [], counts = {} } = one ?? {}
  let traces = 0
  for (let at = 0; at < results.length; at += 4) {
    const [read, update, login, readAgain] = results.slice(at, at + 4)
    assert.deepEqual([login === 'recorded', readAgain], [update === 'recorded', read])
    if (read === 'recorded') assert.equal(update, 'recorded', 'reads are kept only of traces whose writes are')
    if (update === 'recorded') traces += 1
  }
  assert.ok(traces > 60 && traces < 140, `${traces} of 200 traces`)
  for (const { operation, sampling } of events) {
    const rate = operation === 'read' ? 0.2 : 0.5
    assert.deepEqual(sampling, { rate, threshold: thresholdOf(rate) })
  }
  const countOf = (rule: string) => results.filter((result) => result === rule).length
  assert.deepEqual(counts, { sample_rate: countOf('sample_rate'), sample_reads: countOf('sample_reads') })
})

test('AUDIT_TRAIL_SAMPLE_RATE=0 never takes away failures and denials', async (t) => {
  const environment = { AUDIT_TRAIL_LEVEL: 'all', AUDIT_TRAIL_SAMPLE_RATE: '0', AUDIT_TRAIL_SAMPLE_READS: '0' }
  const policy = policyOf({ ...environment, AUDIT_POLICY_SAMPLE_SECRET: sampleSecret })
  const given = (['read', 'update'] as const).flatMap((operation) =>
    outcomes.map((outcome) => ({ action: outcome, operation, outcome })),
  )
  const { events } = await emitAll(t, policy, given)
  assert.deepEqual(
    events.map(({ action }) => action),
    ['failure', 'denied', 'failure', 'denied'],
  )
  assert.ok(events.every(({ sampling }) => sampling === undefined))
})

test('a rule with the effect metadata leaves details and changes out of the record, and nothing else', async (t) => {
  const policy = { level: 'all', rules: [{ id: 'thin', effect: 'metadata', when: { tenant: 't' } }] } as const
  const whole = {
    action: 'a',
    actor: { id: 'u' },
    target: { resource_type: 'invoice', id: '1' },
    reason: 'r',
    changes: { state: { from: 1, to: 2 } },
    details: { password: 'p', note: 'n' },
    outcome: 'success',
  }
  const { events } = await emitAll(t, policy, [
    { ...whole, tenant: 't', unnamed: 1 },
    { ...whole, tenant: 'u' },
  ])
  const [thin, other] = events
  assert.deepEqual([thin?.details, thin?.changes, thin?.redactions], [undefined, undefined, undefined])
  assert.deepEqual([thin?.actor, thin?.target, thin?.reason], [whole.actor, whole.target, 'r'])
  assert.deepEqual([other?.changes, other?.details?.note], [whole.changes, 'n'])
})

test('whatever is emitted is either recorded or counted', async (t) => {
  const policy = {
    level: 'writes_only',
    excludeActions: ['a*', 'unknown'],
    excludeResources: ['b*'],
    rules: [
      { id: 'd', effect: 'drop', when: { outcome: 'unknown', operation: 'other' } },
      { id: 'm', effect: 'metadata', when: { tenant: '*' } },
    ],
    sampleRate: 0.5,
    sampleSecret,
  } as const
  const seed = Date.now()
  t.diagnostic(`seed ${seed}`)
  const given = fc.sample(hostileEvent, { numRuns: 300, seed }).map((make) => make())
  const { results, events, counts } = await emitAll(t, policy, given)
  const tally: Record<string, number> = {}
  for (const result of results) tally[result] = (tally[result] ?? 0) + 1
  const { recorded = 0, ...suppressed } = tally
  assert.equal(events.length, recorded)
  assert.deepEqual(counts, suppressed)
})
