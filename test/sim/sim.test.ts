/**
 * The spool on a simulated disk, as docs/reliability.md tells it: random histories, each from one seed; scripted ones;
 * and the design broken on purpose, which the simulator must notice. `npm run test:sim -- --histories 1000000` runs
 * more histories, or others.
 */

import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { mutants } from './mutants.ts'
import { huntMutant } from './mutation.ts'
import { runPool, SimThread } from './pool.ts'
import { scriptNames } from './script-names.ts'

const histories = 20_000
/** Random histories in which a mutant must be noticed; most are within 25. */
const huntHistoriesMax = 1_500
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

test('the simulator notices each rule of the protocol that is broken', { concurrency: threads }, async (t) => {
  const hunts = mutants.map((mutant) =>
    t.test(mutant.name, async (hunted) => {
      const { caught, histories: count } = await huntMutant(mutant, huntHistoriesMax)
      assert.ok(caught !== undefined, `${count} histories found nothing wrong with it`)
      hunted.diagnostic(mutant.script === undefined ? `within ${count} histories: ${caught}` : caught)
    }),
  )
  await Promise.all(hunts)
})
