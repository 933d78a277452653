import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkPolicy, suppressesEverything } from '../../src/policy/check.ts'
import type { PolicyOptions } from '../../src/policy/policy-options.ts'

const sampleSecret = 'a secret of the deployment'

describe('checkPolicy', () => {
  it('finds nothing wrong with a policy that can be meant', () => {
    assert.deepEqual(checkPolicy({}), [])
    const rules = [{ id: 'a', effect: 'drop', when: { action: 'x*' } }] as const
    assert.deepEqual(checkPolicy({ excludeActions: ['a*'], sampleRate: 0, sampleReads: 1, sampleSecret, rules }), [])
  })

  it('names everything that is wrong as the user writes it', () => {
    const wrong = {
      excludeActions: ['a', ''],
      excludeResources: ['*x'],
      sampleRate: 1.5,
      sampleReads: Number.NaN,
      rules: [{ id: 'a b', effect: 'drop' }],
    } as PolicyOptions
    assert.deepEqual(
      checkPolicy(wrong).map(({ setting }) => setting),
      [
        'policy.excludeActions[1]',
        'policy.excludeResources[0]',
        'policy.sampleRate',
        'policy.sampleReads',
        'policy.rules[0].id',
      ],
    )
  })

  it('asks for a secret when a rate is below 1, and only then', () => {
    for (const rates of [{ sampleRate: 0.5 }, { sampleReads: 0 }, { sampleRate: 0.5, sampleSecret: '' }]) {
      assert.deepEqual(
        checkPolicy(rates).map(({ setting }) => setting),
        ['policy.sampleSecret'],
      )
      assert.deepEqual(checkPolicy({ ...rates, sampleSecret }), [])
    }
    assert.deepEqual(checkPolicy({ sampleRate: 1, sampleReads: 1 }), [])
  })
})

describe('suppressesEverything', () => {
  const table: readonly (readonly [string, PolicyOptions, boolean])[] = [
    ['nothing set', {}, false],
    ['switched off, which is an explicit word', { enabled: false, excludeActions: ['*'] }, false],
    ['every action excluded', { excludeActions: ['a', '*'] }, true],
    ['every resource excluded: events without a target remain', { excludeResources: ['*'] }, false],
    ['a rule that drops everything', { rules: [{ id: 'd', effect: 'drop' }] }, true],
    ['a rule that drops every action', { rules: [{ id: 'd', effect: 'drop', when: { action: ['a', '*'] } }] }, true],
    [
      'a rule that drops every tenant: events without one remain',
      { rules: [{ id: 'd', effect: 'drop', when: { tenant: '*' } }] },
      false,
    ],
    [
      'a rule before it keeps something',
      {
        rules: [
          { id: 'k', effect: 'keep', when: { tenant: 't' } },
          { id: 'd', effect: 'drop' },
        ],
      },
      false,
    ],
    [
      'a rule before it thins something out',
      {
        rules: [
          { id: 'm', effect: 'metadata', when: { tenant: 't' } },
          { id: 'd', effect: 'drop' },
        ],
      },
      false,
    ],
    [
      'a rule behind it keeps something, too late',
      {
        rules: [
          { id: 'd', effect: 'drop' },
          { id: 'k', effect: 'keep' },
        ],
      },
      true,
    ],
    [
      'a rule that keeps only what an earlier one drops',
      {
        rules: [
          { id: 'd1', effect: 'drop', when: { tenant: 't*' } },
          { id: 'k', effect: 'keep', when: { tenant: ['t1', 't2*'], action: 'a' } },
          { id: 'd2', effect: 'drop' },
        ],
      },
      true,
    ],
    [
      'a rule that keeps what an exclusion takes away',
      {
        excludeActions: ['a*'],
        rules: [
          { id: 'k', effect: 'keep', when: { action: 'ab' } },
          { id: 'd', effect: 'drop' },
        ],
      },
      true,
    ],
    [
      'the only operation that the level keeps is dropped',
      { level: 'deletes_only', rules: [{ id: 'd', effect: 'drop', when: { operation: ['delete', 'read'] } }] },
      true,
    ],
    [
      'the only operation that the level keeps is not the one that is dropped',
      { level: 'deletes_only', rules: [{ id: 'd', effect: 'drop', when: { operation: 'read' } }] },
      false,
    ],
    [
      'a rule keeps only what the level does not',
      {
        level: 'deletes_only',
        rules: [
          { id: 'k', effect: 'keep', when: { operation: 'read' } },
          { id: 'd', effect: 'drop' },
        ],
      },
      true,
    ],
    [
      'operations and outcomes that rules only drop together',
      {
        level: 'deletes_only',
        rules: [
          { id: 'd1', effect: 'drop', when: { outcome: ['success', 'unknown'] } },
          { id: 'd2', effect: 'drop', when: { outcome: ['failure', 'denied'] } },
        ],
      },
      true,
    ],
    ['both rates 0: failures remain', { sampleRate: 0, sampleReads: 0, sampleSecret }, false],
    [
      'both rates 0 and failures dropped',
      {
        ...{ sampleRate: 0, sampleReads: 0, sampleSecret },
        rules: [{ id: 'd', effect: 'drop', when: { outcome: ['failure', 'denied'] } }],
      },
      true,
    ],
    [
      'both rates 0, failures dropped, all else thinned out',
      {
        ...{ sampleRate: 0, sampleReads: 0, sampleSecret },
        rules: [
          { id: 'd', effect: 'drop', when: { outcome: ['failure', 'denied'] } },
          { id: 'm', effect: 'metadata' },
        ],
      },
      true,
    ],
    [
      'both rates 0, failures dropped, one tenant kept',
      {
        ...{ sampleRate: 0, sampleReads: 0, sampleSecret },
        rules: [
          { id: 'd', effect: 'drop', when: { outcome: ['failure', 'denied'] } },
          { id: 'k', effect: 'keep', when: { tenant: 't' } },
        ],
      },
      false,
    ],
  ]
  for (const [title, policy, expected] of table) {
    it(`${title}: ${expected ? 'yes' : 'no'}`, () => assert.equal(suppressesEverything(policy), expected))
  }
})
