/** The design broken on purpose, in copies of the sources: the simulator must notice each. */

import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { mutants } from './mutants.ts'
import { huntMutant } from './mutation.ts'

/** Random histories in which a mutant must be noticed; most are within 25. */
const huntHistoriesMax = 1_500
const threads = Math.max(2, availableParallelism() - 1)

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
