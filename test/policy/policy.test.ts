import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import type { AuditEvent } from '../../src/event/event.ts'
import { factsOf } from '../../src/event/facts.ts'
import { compilePolicy, type Decision, describePolicy } from '../../src/policy/policy.ts'
import type { PolicyOptions } from '../../src/policy/policy-options.ts'
import { compileRedaction } from '../../src/policy/redact.ts'

const sampleSecret = 'a secret of the deployment'

function decide(policy: PolicyOptions, event: Partial<AuditEvent>, correlationId = 'c-1'): Decision {
  return compilePolicy(policy).decide(factsOf(convertEvent({ action: 'a', ...event })), () => correlationId)
}

/** The rule that does not keep the event; `kept` when none. */
function ruleFor(policy: PolicyOptions, event: Partial<AuditEvent>): string {
  const decision = decide(policy, event)
  return decision.kept ? 'kept' : decision.rule
}

const read = { operation: 'read', outcome: 'success' } as const
const whole: Decision = { kept: true, rule: undefined, isMetadata: false, sampling: undefined }

describe('policy', () => {
  it('keeps an event that nothing is against', () => {
    assert.deepEqual(decide({ level: 'all' }, read), whole)
    assert.deepEqual(decide({ level: 'writes_only' }, { ...read, outcome: 'denied' }), whole)
  })

  it('counts an event that the level does not keep under the level', () => {
    assert.deepEqual(decide({ level: 'writes_only' }, read), { kept: false, rule: 'level:writes_only' })
    assert.equal(compilePolicy({ level: 'failures_only' }).level, 'failures_only')
  })

  it('has the level writes_only when none is given (AUDIT_TRAIL_LEVEL)', () => {
    assert.equal(compilePolicy({}).level, 'writes_only')
    assert.equal(ruleFor({}, read), 'level:writes_only')
    assert.equal(ruleFor({}, { operation: 'create' }), 'kept')
  })

  it('records nothing when it is not enabled (AUDIT_TRAIL_ENABLED), not even what a rule would keep', () => {
    const policy: PolicyOptions = { enabled: false, level: 'deletes_only', rules: [{ id: 'k', effect: 'keep' }] }
    assert.equal(ruleFor(policy, read), 'disabled')
    assert.equal(ruleFor(policy, { operation: 'delete' }), 'disabled')
    assert.equal(ruleFor({ ...policy, enabled: true }, read), 'level:deletes_only')
  })

  it('takes an unknown operation for other, an unknown outcome for unknown', () => {
    const purge = { operation: 'purge', outcome: 'meh' } as unknown as AuditEvent
    assert.equal(ruleFor({ level: 'mutations_only' }, purge), 'kept')
    assert.equal(ruleFor({ level: 'deletes_only' }, purge), 'level:deletes_only')
    assert.equal(ruleFor({ level: 'failures_only' }, purge), 'kept')
  })
})

describe('the order of the stages: enabled, level, exclusions, rules, sampling', () => {
  const event = { ...read, action: 'metrics_read', target: { resource_type: 'metric' } }
  const stages: readonly (readonly [PolicyOptions, string])[] = [
    [{ enabled: false }, 'disabled'],
    [{ level: 'writes_only' }, 'level:writes_only'],
    [{ excludeActions: ['metrics_*'] }, 'exclude_action:metrics_*'],
    [{ excludeResources: ['metric'] }, 'exclude_resource:metric'],
    [{ rules: [{ id: 'no-reads', effect: 'drop', when: { operation: 'read' } }] }, 'rule:no-reads'],
    [{ sampleReads: 0, sampleSecret }, 'sample_reads'],
  ]
  for (const [index, [, name]] of stages.entries()) {
    it(`${name} goes before all that come after it`, () => {
      const policy = stages.slice(index).map(([options]) => options)
      assert.equal(ruleFor(Object.assign({ level: 'all' }, ...policy), event), name)
    })
  }

  it('a rule that keeps does not bring back what the level or an exclusion took away', () => {
    const rules = [{ id: 'all', effect: 'keep' }] as const
    assert.equal(ruleFor({ level: 'writes_only', rules }, event), 'level:writes_only')
    assert.equal(ruleFor({ level: 'all', excludeResources: ['metric'], rules }, event), 'exclude_resource:metric')
  })
})

describe('exclusions (AUDIT_TRAIL_EXCLUDE_ACTIONS, AUDIT_TRAIL_EXCLUDE_RESOURCES)', () => {
  const policy: PolicyOptions = {
    level: 'all',
    excludeActions: ['health_check', 'metrics_*'],
    excludeResources: ['metric', 'health*'],
  }
  const typed = (resource_type: string) => ({ resource_type })
  const table: readonly (readonly [string, Partial<AuditEvent>, string])[] = [
    ['an action as it is written', { action: 'health_check' }, 'exclude_action:health_check'],
    ['an action that only begins like it', { action: 'health_check2' }, 'kept'],
    ['an action in capitals', { action: 'HEALTH_CHECK' }, 'kept'],
    ['an action that begins like a pattern', { action: 'metrics_read' }, 'exclude_action:metrics_*'],
    ['the beginning alone', { action: 'metrics_' }, 'exclude_action:metrics_*'],
    ['less than the beginning', { action: 'metrics' }, 'kept'],
    ['a type of resource', { target: typed('metric') }, 'exclude_resource:metric'],
    ['a type that begins like a pattern', { target: typed('health_probe') }, 'exclude_resource:health*'],
    ['another type', { target: typed('invoice') }, 'kept'],
    ['an id that looks like a type', { target: { id: 'metric' } }, 'kept'],
    ['targets that are all excluded', { targets: [typed('metric'), typed('healthy')] }, 'exclude_resource:metric'],
    ['targets of which one is not', { targets: [typed('metric'), typed('invoice')] }, 'kept'],
    ['targets of which one has no type', { targets: [typed('metric'), { id: '1' }] }, 'kept'],
    [
      'a target and targets, all excluded',
      { target: typed('health'), targets: [typed('metric')] },
      'exclude_resource:health*',
    ],
    ['a target beside targets that are excluded', { target: typed('invoice'), targets: [typed('metric')] }, 'kept'],
    ['no target at all', { targets: [] }, 'kept'],
  ]
  for (const [title, event, expected] of table) {
    it(`${title}: ${expected}`, () => assert.equal(ruleFor(policy, event), expected))
  }

  it('also take denied and failed events, because the user has named them', () => {
    assert.equal(ruleFor(policy, { action: 'health_check', outcome: 'denied' }), 'exclude_action:health_check')
  })
})

describe('sampling in the record', () => {
  it('says rate and threshold where a rate below 1 applied', () => {
    const sampling = { rate: 0.25, threshold: 2 ** 46 }
    const policy: PolicyOptions = { level: 'all', sampleReads: 0.25, sampleSecret }
    const ids = Array.from({ length: 64 }, (_, index) => `c-${index}`)
    const decisions = ids.map((id) => decide(policy, read, id))
    assert.ok(decisions.some(({ kept }) => kept))
    for (const decision of decisions) {
      assert.deepEqual(decision, decision.kept ? { ...whole, sampling } : { kept: false, rule: 'sample_reads' })
    }
  })

  it('says nothing where none applied: rate 1, failures, denials, a rule that keeps', () => {
    const rules = [{ id: 'vip', effect: 'keep', when: { tenant: 'vip' } }] as const
    const policy: PolicyOptions = { level: 'all', sampleReads: 0, sampleSecret, rules }
    assert.deepEqual(decide(policy, { operation: 'create' }), whole)
    assert.deepEqual(decide(policy, { ...read, outcome: 'failure' }), whole)
    assert.deepEqual(decide(policy, { ...read, outcome: 'denied' }), whole)
    assert.deepEqual(decide(policy, { ...read, tenant: 'vip' }), { ...whole, rule: 'rule:vip' })
    assert.equal(ruleFor(policy, read), 'sample_reads')
  })

  it('applies to what a rule keeps as metadata', () => {
    const rules = [{ id: 'm', effect: 'metadata' }] as const
    const policy: PolicyOptions = { level: 'all', sampleRate: 0, sampleSecret, rules }
    assert.equal(ruleFor(policy, { operation: 'update' }), 'sample_rate')
    assert.deepEqual(decide(policy, { operation: 'update', outcome: 'denied' }), {
      ...whole,
      rule: 'rule:m',
      isMetadata: true,
    })
    assert.deepEqual(decide({ ...policy, sampleRate: 1 - 2 ** -48 }, { operation: 'update' }), {
      kept: true,
      rule: 'rule:m',
      isMetadata: true,
      sampling: { rate: 1 - 2 ** -48, threshold: 2 ** 48 - 1 },
    })
  })
})

describe("a policy's hash", () => {
  const policy: PolicyOptions = {
    level: 'all',
    excludeActions: ['b', 'a*'],
    excludeResources: ['metric'],
    sampleReads: 0.5,
    sampleSecret,
    rules: [
      { id: 'one', effect: 'drop', when: { action: ['y', 'x'], outcome: 'success' } },
      { id: 'two', effect: 'metadata' },
    ],
  }
  const hashOf = (options: PolicyOptions) => compilePolicy(options).hash

  it('is that of its canonical form', () => {
    const canonical = '{"enabled":true,"level":"all","redact":[],"rules":[],"sampling":null}'
    assert.equal(canonicalize(describePolicy({ level: 'all' })), canonical)
    assert.equal(hashOf({ level: 'all' }), createHash('sha256').update(canonical).digest('hex'))
  })

  it('is the same for the same policy, however it is written', () => {
    const [first, second] = policy.rules ?? []
    assert.ok(first !== undefined && second !== undefined)
    const other: PolicyOptions = {
      rules: [
        { when: { outcome: ['success'], action: ['x', 'y', 'x'], tenant: undefined }, effect: 'drop', id: 'one' },
        second,
      ],
      sampleSecret,
      sampleReads: 0.5,
      sampleRate: 1,
      excludeResources: ['metric', 'metric'],
      excludeActions: ['a*', 'b'],
      enabled: true,
      level: 'all',
      redaction: { rules: [] },
    }
    assert.equal(hashOf(other), hashOf(policy))
  })

  it('tells policies apart by everything that decides', () => {
    const [first, second] = policy.rules ?? []
    assert.ok(first !== undefined && second !== undefined)
    const others: readonly PolicyOptions[] = [
      policy,
      { ...policy, enabled: false },
      { ...policy, level: 'writes_only' },
      { ...policy, excludeActions: ['b', 'a'] },
      { ...policy, excludeActions: ['b', 'a*', 'c'] },
      { ...policy, excludeResources: ['metrics'] },
      { ...policy, excludeActions: ['b', 'a*', 'metric'], excludeResources: [] },
      { ...policy, sampleRate: 0.5 },
      { ...policy, sampleReads: 0.25 },
      { ...policy, sampleSecret: `${sampleSecret}!` },
      { ...policy, rules: [second, first] },
      { ...policy, rules: [{ ...first, id: 'eins' }, second] },
      { ...policy, rules: [{ ...first, effect: 'metadata' }, second] },
      { ...policy, rules: [{ ...first, when: { action: ['y', 'x'] } }, second] },
      { ...policy, rules: [{ ...first, when: { action: ['y', 'x'], outcome: 'failure' } }, second] },
      { ...policy, rules: [{ ...first, when: { tenant: ['y', 'x'], outcome: 'success' } }, second] },
      { ...policy, redaction: compileRedaction() },
      { ...policy, redaction: compileRedaction({ keys: ['iban'] }) },
    ]
    assert.equal(new Set(others.map(hashOf)).size, others.length)
  })

  it('does not depend on the order or spelling of redacted keys', () => {
    const withKeys = (...keys: string[]) => hashOf({ level: 'all', redaction: compileRedaction({ keys }) })
    assert.equal(withKeys('iban', 'card-no'), withKeys('cardNo', 'IBAN'))
  })

  it('holds the secret as an HMAC only, and not at all where nothing is sampled', () => {
    assert.ok(!canonicalize(describePolicy(policy)).includes(sampleSecret))
    assert.equal(hashOf({ sampleSecret }), hashOf({}))
  })
})

it('whether it can suppress anything (the profile strict asks)', () => {
  const table: readonly (readonly [PolicyOptions, boolean])[] = [
    [{ level: 'all' }, false],
    [{ level: 'all', sampleSecret, sampleRate: 1, sampleReads: 1, excludeActions: [] }, false],
    [
      {
        level: 'all',
        rules: [
          { id: 'm', effect: 'metadata' },
          { id: 'k', effect: 'keep' },
        ],
      },
      false,
    ],
    [{}, true],
    [{ level: 'all', enabled: false }, true],
    [{ level: 'all', excludeActions: ['a'] }, true],
    [{ level: 'all', excludeResources: ['a'] }, true],
    [{ level: 'all', rules: [{ id: 'd', effect: 'drop', when: { tenant: 't' } }] }, true],
    [{ level: 'all', sampleRate: 0.999, sampleSecret }, true],
    [{ level: 'all', sampleReads: 0.999, sampleSecret }, true],
  ]
  for (const [options, suppresses] of table) {
    assert.equal(compilePolicy(options).suppresses, suppresses, JSON.stringify(options))
  }
})

it('a policy that cannot be meant is refused with the setting, the value and what is allowed', () => {
  assert.throws(() => compilePolicy({ excludeActions: ['ok', '*_read'] }), {
    code: 'INVALID_OPTION',
    setting: 'policy.excludeActions[1]',
    message: 'policy.excludeActions[1] is "*_read"; allowed: a text with * at its end only: there is no other wildcard',
    hint: 'Set policy.excludeActions[1] as docs/policy.md describes.',
  })
  assert.throws(() => compilePolicy({ sampleReads: 0.1 }), {
    setting: 'policy.sampleSecret',
    message: /^policy\.sampleSecret is not set; allowed: a secret, because policy\.sampleReads is below 1/,
  })
})
