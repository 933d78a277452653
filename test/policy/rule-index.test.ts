import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { convertEvent } from '../../src/event/convert.ts'
import { type AuditEvent, actorTypes, operations, outcomes } from '../../src/event/event.ts'
import { type EventFacts, factsOf, type TargetFacts } from '../../src/event/facts.ts'
import { compilePolicy, type Decision } from '../../src/policy/policy.ts'
import type { PolicyRule, RuleConditions } from '../../src/policy/rules.ts'

const facts = (event: Partial<AuditEvent>): EventFacts => factsOf(convertEvent({ action: 'invoice.read', ...event }))

function decide(rules: readonly PolicyRule[], event: Partial<AuditEvent>): Decision {
  return compilePolicy({ level: 'all', rules }).decide(facts(event), () => 'c-1')
}

const keptBy = (id: string | undefined, isMetadata = false): Decision => ({
  kept: true,
  rule: id && `rule:${id}`,
  isMetadata,
  sampling: undefined,
})

/** Whether one rule with these conditions drops the event. */
const drops = (when: RuleConditions, event: Partial<AuditEvent>): boolean =>
  !decide([{ id: 'only', effect: 'drop', when }], event).kept

const event: Partial<AuditEvent> = {
  action: 'invoice.read',
  operation: 'read',
  actor: { type: 'service', id: 'crawler-7' },
  tenant: 'acme',
  target: { resource_type: 'invoice', id: '42' },
  outcome: 'success',
}

describe('a rule', () => {
  const conditions: readonly (readonly [RuleConditions, RuleConditions])[] = [
    [{ action: 'invoice.read' }, { action: 'invoice.rea' }],
    [{ action: 'invoice.*' }, { action: 'invoices.*' }],
    [{ operation: 'read' }, { operation: 'access' }],
    [{ actor: 'crawler-*' }, { actor: 'crawler' }],
    [{ actorType: 'service' }, { actorType: 'user' }],
    [{ tenant: ['other', 'acme'] }, { tenant: ['other', 'ACME'] }],
    [{ target: 'invoice' }, { target: '42' }],
    [{ targetId: '4*' }, { targetId: '5*' }],
    [{ outcome: 'success' }, { outcome: ['failure', 'denied', 'unknown'] }],
  ]
  for (const [matching, other] of conditions) {
    const [condition] = Object.keys(matching)
    it(`can ask for ${condition}: ${JSON.stringify(matching)} and not ${JSON.stringify(other)}`, () => {
      assert.ok(drops(matching, event))
      assert.ok(!drops(other, event))
      assert.ok(
        !drops({ ...matching, ...Object.assign({}, ...conditions.map(([, not]) => not)) }, event),
        'all must hold',
      )
    })
  }

  it('matches when all of many conditions hold', () => {
    assert.ok(drops(Object.assign({}, ...conditions.map(([matching]) => matching)), event))
  })

  it('does not match what the event does not say, not even by *', () => {
    for (const condition of ['actor', 'tenant', 'target', 'targetId'] as const) {
      assert.ok(drops({ [condition]: '*' }, event), condition)
      assert.ok(!drops({ [condition]: '*' }, { operation: 'read' }), condition)
    }
  })

  it('takes an absent operation for other and an absent outcome for unknown', () => {
    assert.ok(drops({ operation: 'other', outcome: 'unknown' }, {}))
    assert.ok(!drops({ operation: 'other', outcome: 'success' }, {}))
  })

  it('without conditions matches every event', () => {
    assert.deepEqual(decide([{ id: 'rest', effect: 'drop' }], {}), { kept: false, rule: 'rule:rest' })
  })
})

describe('of several rules', () => {
  const rules: readonly PolicyRule[] = [
    { id: 'keep-admin', effect: 'keep', when: { actor: 'admin' } },
    { id: 'thin-invoices', effect: 'metadata', when: { target: 'invoice', operation: 'read' } },
    { id: 'drop-crawlers', effect: 'drop', when: { actor: 'crawler-*' } },
    { id: 'drop-reads', effect: 'drop', when: { operation: 'read' } },
  ]
  it('the first that matches decides, whatever it is filed under', () => {
    const { actor: _, ...rest } = event
    assert.equal(decide(rules, { ...event, actor: 'admin' } as Partial<AuditEvent>).kept, true)
    assert.deepEqual(decide(rules, event), keptBy('thin-invoices', true))
    assert.deepEqual(decide(rules, { ...event, target: { id: '1' } }), { kept: false, rule: 'rule:drop-crawlers' })
    assert.deepEqual(decide(rules, { ...rest, target: { id: '1' } }), { kept: false, rule: 'rule:drop-reads' })
    assert.deepEqual(decide(rules.toReversed(), event), { kept: false, rule: 'rule:drop-reads' })
  })

  it('none that matches leaves the event whole', () => {
    assert.deepEqual(decide(rules, { operation: 'update' }), keptBy(undefined))
  })
})

describe('an event with several targets', () => {
  const several: Partial<AuditEvent> = {
    target: { resource_type: 'metric', id: '1' },
    targets: [{ resource_type: 'invoice', id: '2' }],
  }
  const decided = (effect: PolicyRule['effect'], when: RuleConditions) =>
    decide(
      [
        { id: 'r', effect, when },
        { id: 'z', effect: 'drop', when: { action: 'x' } },
      ],
      several,
    )

  it('is dropped or thinned out only when each of them matches: to name one more cannot hide the others', () => {
    assert.ok(decided('drop', { target: 'metric' }).kept)
    assert.ok(decided('drop', { target: 'invoice' }).kept)
    assert.ok(!decided('drop', { target: ['invoice', 'metric'] }).kept)
    assert.deepEqual(decided('metadata', { target: 'metric' }), keptBy(undefined))
  })

  it('is kept when one of them matches', () => {
    const rules = (when: RuleConditions): PolicyRule[] => [
      { id: 'k', effect: 'keep', when },
      { id: 'd', effect: 'drop' },
    ]
    assert.ok(decide(rules({ target: 'metric' }), several).kept)
    assert.ok(decide(rules({ target: 'invoice' }), several).kept)
    assert.ok(decide(rules({ target: 'inv*' }), several).kept)
    assert.ok(decide(rules({ targetId: '2' }), several).kept)
    assert.ok(!decide(rules({ target: 'user' }), several).kept)
  })

  it('has type and id of the same target', () => {
    const rules = (when: RuleConditions): PolicyRule[] => [
      { id: 'k', effect: 'keep', when },
      { id: 'd', effect: 'drop' },
    ]
    assert.ok(decide(rules({ target: 'invoice', targetId: '2' }), several).kept)
    assert.ok(!decide(rules({ target: 'invoice', targetId: '1' }), several).kept)
  })
})

/** The plainest reading of a rule, as docs/policy.md has it. */
function matchesPlainly({ effect, when = {} }: PolicyRule, event: EventFacts): boolean {
  const holds = (patterns: string | readonly string[] | undefined, text: string | undefined): boolean =>
    patterns === undefined ||
    (text !== undefined &&
      [patterns].flat().some((one) => (one.endsWith('*') ? text.startsWith(one.slice(0, -1)) : text === one)))
  const isTarget = ({ targetType, targetId }: TargetFacts) =>
    holds(when.target, targetType) && holds(when.targetId, targetId)
  const targets = [event, ...(event.otherTargets ?? [])]
  return (
    holds(when.action, event.action) &&
    holds(when.operation, event.operation ?? 'other') &&
    holds(when.actor, event.actorId) &&
    holds(when.actorType, event.actorType) &&
    holds(when.tenant, event.tenant) &&
    holds(when.outcome, event.outcome ?? 'unknown') &&
    (effect === 'keep' ? targets.some(isTarget) : targets.every(isTarget))
  )
}

it('finds the rule that the plainest reading finds, whatever the rules and the event', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 })
  const filled = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 })
  const pattern = fc.oneof(
    filled,
    text.map((beginning) => `${beginning}*`),
  )
  const oneOrMore = <T>(one: fc.Arbitrary<T>) => fc.oneof(one, fc.array(one, { minLength: 1, maxLength: 3 }))
  const free = oneOrMore(pattern)
  const when = fc.record(
    {
      ...{ action: free, actor: free, tenant: free, target: free, targetId: free },
      operation: oneOrMore(fc.constantFrom(...operations.slice(0, 2), 'other' as const)),
      actorType: oneOrMore(fc.constantFrom(...actorTypes.slice(0, 2))),
      outcome: oneOrMore(fc.constantFrom(...outcomes)),
    },
    { requiredKeys: [] },
  )
  const rule = fc.record({
    effect: fc.constantFrom('keep', 'drop', 'metadata'),
    when: fc.option(when, { nil: undefined }),
  })
  const rules = fc
    .array(rule, { maxLength: 12 })
    .map((list) =>
      list
        .filter(({ when: given }) => given === undefined || Object.keys(given).length > 0)
        .map((one, index): PolicyRule => ({ id: `r${index}`, ...one })),
    )
  const maybe = fc.option(text, { nil: undefined })
  const target = fc.record({ targetType: maybe, targetId: maybe })
  const event = fc.record({
    ...{ action: filled, actorId: maybe, tenant: maybe, targetType: maybe, targetId: maybe },
    operation: fc.constantFrom(...operations.slice(0, 3), undefined),
    actorType: fc.constantFrom(...actorTypes.slice(0, 3), undefined),
    outcome: fc.constantFrom(...outcomes, undefined),
    otherTargets: fc.option(fc.array(target, { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 3 }),
  })
  fc.assert(
    fc.property(rules, event, (list, given) => {
      const first = list.find((one) => matchesPlainly(one, given))
      const expected =
        first?.effect === 'drop'
          ? { kept: false, rule: `rule:${first.id}` }
          : keptBy(first?.id, first?.effect === 'metadata')
      assert.deepEqual(
        compilePolicy({ level: 'all', rules: list }).decide(given, () => 'c'),
        expected,
      )
    }),
    { numRuns: 3_000 },
  )
})

it('does not look at an event more often when there are more rules that cannot match', () => {
  const manyRules = (count: number): PolicyRule[] =>
    Array.from({ length: count }, (_, index) => ({
      id: `r${index}`,
      effect: 'drop',
      when: [
        { action: `other.${index}`, operation: 'read' as const },
        { tenant: `t-${index}`, outcome: 'success' as const },
        { target: `type-${index % 10}*`, actorType: 'service' as const },
        { actor: [`u-${index}`, `v-${index}`], operation: 'read' as const },
      ][index % 4],
    }))
  const looksWith = (count: number): number => {
    let looks = 0
    const watched = new Proxy(facts(event), {
      get(target, name) {
        looks += 1
        return Reflect.get(target, name)
      },
    })
    assert.ok(compilePolicy({ level: 'all', rules: manyRules(count) }).decide(watched, () => 'c').kept)
    return looks
  }
  assert.equal(looksWith(10_000), looksWith(8))
})
