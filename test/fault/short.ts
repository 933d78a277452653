/** Registers the short form of fault tests with `node:test`; what cannot run here is skipped with its reason. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FaultTest, formatCounts } from './fault.ts'
import { runFaultTest } from './runner.ts'

export function testShort(tests: readonly FaultTest[]): void {
  for (const one of tests) {
    test(`${one.name} (row ${one.row}): ${one.promise}`, async (t) => {
      const { outcome, reason, injected, survived } = await runFaultTest(one, { size: 'short' })
      if (outcome === 'skipped') return t.skip(reason)
      assert.equal(outcome, 'passed', reason)
      t.diagnostic(`injected ${formatCounts(injected)}; survived ${formatCounts(survived)}`)
    })
  }
}
