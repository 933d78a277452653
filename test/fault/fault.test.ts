/**
 * The short form of every fault test but those that have a test file of their own; what cannot run here is skipped with
 * its reason.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testsElsewhere } from './elsewhere.ts'
import { formatCounts } from './fault.ts'
import { killWritten } from './kill.ts'
import { runFaultTest } from './runner.ts'
import { faultTests } from './tests.ts'

const withOwnFile = new Set([...testsElsewhere, killWritten])

for (const one of faultTests.filter((candidate) => !withOwnFile.has(candidate))) {
  test(`${one.name} (row ${one.row}): ${one.promise}`, async (t) => {
    const { outcome, reason, injected, survived } = await runFaultTest(one, { size: 'short' })
    if (outcome === 'skipped') return t.skip(reason)
    assert.equal(outcome, 'passed', reason)
    t.diagnostic(`injected ${formatCounts(injected)}; survived ${formatCounts(survived)}`)
  })
}
