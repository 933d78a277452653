import assert from 'node:assert/strict'
import { it } from 'node:test'
import { checkRules, type PolicyRule } from '../../src/policy/rules.ts'

/** What `checkRules` says, one line for each fault. */
function faultsOf(...rules: readonly unknown[]): string[] {
  return checkRules(rules as PolicyRule[]).map(
    ({ setting, value, allowed }) => `${setting} ${JSON.stringify(value)}: ${allowed}`,
  )
}

it('rules that can be meant have no fault', () => {
  const rules: readonly PolicyRule[] = [
    { id: 'all', effect: 'keep' },
    { id: 'no_probes-2.0', effect: 'metadata', when: { action: 'a', tenant: undefined } },
    {
      id: 'every:condition',
      effect: 'drop',
      when: {
        action: ['a', 'b.*'],
        operation: ['read', 'other'],
        actor: 'u-*',
        actorType: 'service',
        tenant: '*',
        target: ['metric', 'health*'],
        targetId: '42',
        outcome: ['success', 'unknown'],
      },
    },
  ]
  assert.deepEqual(checkRules(rules), [])
})

const table: readonly (readonly [string, unknown, RegExp])[] = [
  [
    'an empty id',
    { id: '', effect: 'keep' },
    /^policy\.rules\[0\]\.id "": a name of 1 to 64 letters, digits and \. _ : -/,
  ],
  ['an id with white space', { id: 'a b', effect: 'keep' }, /^policy\.rules\[0\]\.id "a b"/],
  ['an id that is very long', { id: 'x'.repeat(65), effect: 'keep' }, /^policy\.rules\[0\]\.id "x+"/],
  ['no id', { effect: 'keep' }, /^policy\.rules\[0\]\.id undefined/],
  ['an unknown effect', { id: 'a', effect: 'hide' }, /^policy\.rules\[0\]\.effect "hide": keep, drop, metadata$/],
  [
    'no condition in when',
    { id: 'a', effect: 'drop', when: { tenant: undefined } },
    /\.when \{\}: at least one condition/,
  ],
  [
    'an unknown condition',
    { id: 'a', effect: 'drop', when: { user: 'x' } },
    /\.when\.user "x": absent: a condition is one of action, actor, actorType,/,
  ],
  ['a condition of every object', { id: 'a', effect: 'drop', when: { toString: 'x' } }, /\.when\.toString "x": absent/],
  [
    'an unknown operation',
    { id: 'a', effect: 'drop', when: { operation: 'purge' } },
    /\.when\.operation "purge": create, read, update,/,
  ],
  [
    'an unknown outcome in a list',
    { id: 'a', effect: 'drop', when: { outcome: ['success', 'ok'] } },
    /\.when\.outcome\[1\] "ok": success, failure, denied, unknown$/,
  ],
  [
    'an unknown actor type',
    { id: 'a', effect: 'drop', when: { actorType: 'human' } },
    /\.when\.actorType "human": user, service/,
  ],
  [
    'a wildcard for an operation',
    { id: 'a', effect: 'drop', when: { operation: 're*' } },
    /\.when\.operation "re\*": create, read/,
  ],
  ['an empty list', { id: 'a', effect: 'drop', when: { tenant: [] } }, /\.when\.tenant \[\]: at least one value$/],
  ['an empty text', { id: 'a', effect: 'drop', when: { tenant: '' } }, /\.when\.tenant "": a text that is not empty$/],
  ['a number', { id: 'a', effect: 'drop', when: { tenant: ['t', 5] } }, /\.when\.tenant\[1\] 5: a text$/],
  [
    'a wildcard in the middle',
    { id: 'a', effect: 'drop', when: { action: 'a*b' } },
    /\.when\.action "a\*b": a text with \* at its end only/,
  ],
]
for (const [title, rule, expected] of table) {
  it(`a rule with ${title} is refused`, () => {
    const faults = faultsOf(rule)
    assert.equal(faults.length, 1, faults.join('\n'))
    assert.match(faults[0] ?? '', expected)
  })
}

it('two rules must not share an id', () => {
  const rule = { id: 'a', effect: 'keep' }
  assert.deepEqual(faultsOf(rule, { ...rule, id: 'b' }, rule), [
    'policy.rules[2].id "a": a name of its own: an earlier rule has this one',
  ])
})
