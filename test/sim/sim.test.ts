/**
 * The spool on a simulated disk: random histories, each from one seed, and scripted ones.
 * `npm run test:sim -- --histories 1000000` runs more of them, or others.
 */

import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { runPool, SimThread } from './pool.ts'
import { scriptNames } from './script-names.ts'

const histories = 20_000
const threads = Math.max(2, availableParallelism() - 1)

test(`${histories} random histories keep every promise`, async (t) => {
  const { totals, failures } = await runPool({ histories, from: 0, threads })
  const [failure] = failures
  assert.equal(failure, undefined, `npm run test:sim -- ${failure?.replay}\n${failure?.stack}`)
  for (const [name, count] of Object.entries(totals)) assert.ok(count > 0, `no history had any ${name}`)
  t.diagnostic(JSON.stringify(totals))
})

for (const script of scriptNames) {
  test(`scripted history: ${script}`, async () => {
    const thread = new SimThread()
    const { failures } = await thread.run({ script })
    await thread.end()
    assert.equal(failures[0], undefined, failures[0]?.stack)
  })
}
