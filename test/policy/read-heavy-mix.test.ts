/**
 * What a level makes of the read-heavy mix of a tool gateway: 1,000 events, of which 900 are reads. Counted exactly, so
 * that a change of the table shows here as a change of what a user stores.
 */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import type { Operation, Outcome } from '../../src/event/event.ts'
import { factsOf } from '../../src/event/facts.ts'
import type { Level } from '../../src/policy/level.ts'
import { compilePolicy } from '../../src/policy/policy.ts'

type Kind = readonly [operation: Operation, outcome: Outcome | undefined, count: number]

const mix: readonly Kind[] = [
  ['read', 'success', 880],
  ['read', 'failure', 12],
  ['read', 'denied', 8],
  ['access', 'success', 20],
  ['execute', 'success', 25],
  ['execute', 'failure', 3],
  ['create', 'success', 20],
  ['create', 'denied', 1],
  ['update', 'success', 14],
  ['update', undefined, 2],
  ['delete', 'success', 4],
  ['delete', 'denied', 1],
  ['login', 'success', 7],
  ['login', 'denied', 3],
]

const expected: Readonly<
  Record<Level, { readonly kept: number; readonly suppressed: Readonly<Record<string, number>> }>
> = {
  all: { kept: 1_000, suppressed: {} },
  // Everything but the reads, and of them the eight that were denied.
  writes_only: { kept: 108, suppressed: { 'level:writes_only': 892 } },
  mutations_only: { kept: 79, suppressed: { 'level:mutations_only': 921 } },
  deletes_only: { kept: 5, suppressed: { 'level:deletes_only': 995 } },
  failures_only: { kept: 30, suppressed: { 'level:failures_only': 970 } },
}

for (const [level, { kept, suppressed }] of Object.entries(expected) as [Level, (typeof expected)[Level]][]) {
  it(`${level} keeps ${kept} of 1,000 events, and counts the others`, () => {
    const policy = compilePolicy({ level })
    const counts: Record<string, number> = {}
    for (const [operation, outcome, count] of mix) {
      const decision = policy.decide(factsOf(convertEvent({ action: 'tool.call', operation, outcome })), () => 'c-1')
      const name = decision.kept ? 'kept' : decision.rule
      counts[name] = (counts[name] ?? 0) + count
    }
    assert.deepEqual(counts, { kept, ...suppressed })
  })
}

it('the mix has 1,000 events and nine reads in ten', () => {
  const total = mix.reduce((sum, [, , count]) => sum + count, 0)
  const reads = mix.reduce((sum, [operation, , count]) => sum + (operation === 'read' ? count : 0), 0)
  assert.deepEqual([total, reads], [1_000, 900])
})

it('writes_only cuts it by about 90 %', () => {
  const cut = 1 - expected.writes_only.kept / 1_000
  assert.ok(cut > 0.87 && cut < 0.93, `${cut}`)
})
