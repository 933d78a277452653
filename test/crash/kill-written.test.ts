/** The first promise of the README. The fault test of this name does it; `npm run test:fault` does it ten times as often. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killWritten } from '../fault/kill.ts'
import { runFaultTest } from '../fault/runner.ts'

test('every record whose emit returned is in the spool after SIGKILL', async () => {
  const { outcome, reason } = await runFaultTest(killWritten, { size: 'short' })
  assert.equal(outcome, 'passed', reason)
})
