/** Ranges against ranges, and what comes out of them for a destination. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { split } from '../../src/forward/resend-plan.ts'

const range = (from: number, to: number, stream = 's') => ({ stream, from, to })

test('ranges are split by others into what lies in them and what does not', () => {
  const cases = [
    { ranges: [range(1, 9)], others: [], within: [], outside: [range(1, 9)] },
    { ranges: [range(1, 9)], others: [range(1, 9, 't')], within: [], outside: [range(1, 9)] },
    { ranges: [range(1, 9)], others: [range(4, 5)], within: [range(4, 5)], outside: [range(1, 3), range(6, 9)] },
    {
      ranges: [range(3, 9)],
      others: [range(8, 20), range(1, 3)],
      within: [range(3, 3), range(8, 9)],
      outside: [range(4, 7)],
    },
    {
      ranges: [range(5, 5), range(7, 7)],
      others: [range(5, Number.POSITIVE_INFINITY)],
      within: [range(5, 5), range(7, 7)],
      outside: [],
    },
    { ranges: [range(2, 6)], others: [range(1, 4), range(3, 9)], within: [range(2, 4), range(5, 6)], outside: [] },
  ]
  for (const { ranges, others, within, outside } of cases) assert.deepEqual(split(ranges, others), [within, outside])
})
