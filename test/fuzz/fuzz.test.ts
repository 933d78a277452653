/** The short form: `npm run test:fuzz` tries a million inputs with each. */

import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { fuzz } from './fuzz.ts'

test('damaged input gives a verdict in every parser, and never an exception', async (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const results = await fuzz({ inputs: 500, seed })
  for (const { name, failure } of results) {
    assert.equal(failure, undefined, `${name}, seed ${seed}: ${failure?.reason}\ninput (base64): ${failure?.input}`)
  }
  assert.ok(results.length >= 12)
})
