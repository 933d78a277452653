/** No event disappears without a count, and none is counted twice: over kills before any write, reloads and refusals. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Dead } from '../sim/process.ts'
import { FakeTime } from '../support/fake-time.ts'
import { CountedTrail } from './sealed-counts.ts'

type Step =
  | { readonly do: 'suppress' | 'keep' | 'reload' | 'sync' }
  | { readonly do: 'refuse'; readonly is: boolean }
  | { readonly do: 'pass'; readonly ms: number }

const never = 1_000

interface LifeOf {
  readonly steps: readonly Step[]
  /** The write before which it dies; it closes when it gets to its end. */
  readonly dies: number
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Step>({ do: 'suppress' }) },
  { weight: 3, arbitrary: fc.constantFrom<Step>({ do: 'keep' }, { do: 'reload' }, { do: 'sync' }) },
  { weight: 1, arbitrary: fc.boolean().map((is): Step => ({ do: 'refuse', is })) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(1, 400, 999, 1_000, 5_000, 60_000, 70_000).map((ms): Step => ({ do: 'pass', ms })),
  },
)
const life: fc.Arbitrary<LifeOf> = fc.record({
  steps: fc.array(step, { maxLength: 14 }),
  dies: fc.oneof(fc.integer({ min: 0, max: 25 }), fc.constant(never)),
})
const seed = fc.integer()
const lives = fc.array(life, { minLength: 1, maxLength: 5 })

/** Lives until it dies or its steps are done and it closes; whether it died. */
function live(trail: CountedTrail, time: FakeTime, { steps, dies }: LifeOf): boolean {
  try {
    trail.dieBefore(dies)
    trail.open()
    for (const one of steps) if (trail.isAlive) takeStep(trail, time, one)
    if (!trail.isAlive) return true
    trail.refuse(false)
    if (dies === never) trail.close()
    trail.diedAtMs = time.nowMs
    return dies !== never
  } catch (error) {
    if (error instanceof Dead) return true
    throw error
  } finally {
    time.forgetTimers()
  }
}

function takeStep(trail: CountedTrail, time: FakeTime, one: Step): void {
  if (one.do === 'pass') time.pass(one.ms)
  else if (one.do === 'refuse') trail.refuse(one.is)
  else if (trail.counted.length < 30 || one.do !== 'suppress') trail[one.do]()
}

const once = (rules: ReadonlyMap<string, number>) =>
  assert.deepEqual(
    [...rules].filter(([, count]) => count !== 1),
    [],
  )

test('after kills each event is accounted for once: at most those of the last second are not at all', (t) => {
  const time = new FakeTime()
  t.after(time.use())
  fc.assert(
    fc.property(seed, lives, (random, histories) => {
      const trail = new CountedTrail(random)
      const known = new Set<string>()
      const lost = new Set<string>()
      for (const one of histories) {
        const hasDied = live(trail, time, one)
        trail.end({ cutsPower: false })
        const { rules, windows, events } = trail.accounts()
        once(rules)
        assert.equal(events, trail.kept, 'an event whose emit returned is a record')
        for (const { rule, policy, atMs } of trail.counted) {
          const window = windows.find((found) => found.rules.some(({ id }) => id === rule))
          assert.equal(window?.policy ?? policy, policy, 'no window mixes two policies')
          if (window !== undefined) known.add(rule)
          else if (known.has(rule)) assert.fail(`${rule} was accounted for, and is no more`)
          else if (!lost.has(rule)) {
            assert.ok(hasDied && trail.diedAtMs - atMs <= 1_000, `${rule} is not accounted for`)
            lost.add(rule)
          }
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('after power cuts too no event is counted twice', (t) => {
  const time = new FakeTime()
  t.after(time.use())
  const cuts = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 })
  fc.assert(
    fc.property(seed, lives, cuts, (random, histories, cutsPower) => {
      const trail = new CountedTrail(random)
      for (const [index, one] of histories.entries()) {
        live(trail, time, one)
        trail.end({ cutsPower: cutsPower[index] === true })
        once(trail.accounts().rules)
      }
    }),
    { numRuns: 300 },
  )
})
