/** The short form of every fault test; what cannot run here is skipped with its reason. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatCounts } from './fault.ts'
import { runFaultTest } from './runner.ts'
import { faultTests } from './tests.ts'

for (const one of faultTests) {
  test(`${one.name} (row ${one.row}): ${one.promise}`, async (t) => {
    const { outcome, reason, injected, survived } = await runFaultTest(one, { size: 'short' })
    if (outcome === 'skipped') return t.skip(reason)
    assert.equal(outcome, 'passed', reason)
    t.diagnostic(`injected ${formatCounts(injected)}; survived ${formatCounts(survived)}`)
  })
}
