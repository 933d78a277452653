/**
 * The tamper matrix, in its short form: every attack in every copy but standard input, where each kind of attack is
 * tried once, because that costs a process. `npm run test:tamper` runs all of it.
 */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { attackKinds, attacks, type Copy, expectedIn } from './attacks.ts'
import { Copies } from './copies.ts'
import { copies, runMatrix } from './matrix.ts'

let server: PostgresServer
let places: Copies
before(async () => {
  server = await startPostgres()
  places = new Copies(server.url)
})
after(async () => {
  await places.close()
  await server.stop()
})

function isShort(index: number, copy: Copy): boolean {
  return copy !== 'stdin' || attacks.findIndex(({ kind }) => kind === attacks[index]?.kind) === index
}

for (const copy of copies) {
  describe(`in ${copy}`, () => {
    attacks.forEach((attack, index) => {
      const expected = expectedIn(attack, copy)
      if (expected === undefined || !isShort(index, copy)) return
      it(`${attack.name}: ${expected.finds.join(', ') || expected.verdict}`, async () => {
        for await (const { complaint } of runMatrix(places, (one, place) => one === attack && place === copy))
          assert.equal(complaint, undefined)
      })
    })
  })
}

describe('the matrix', () => {
  it('has every kind of attack', () => {
    assert.deepEqual(new Set(attacks.map(({ kind }) => kind)), new Set(attackKinds))
  })

  it('says of what cannot be shown only what is benign, and of all else something that is not', () => {
    for (const attack of attacks) {
      const isBenign = copies.every((copy) => (expectedIn(attack, copy)?.finds ?? []).length === 0)
      if (attack.undetectable) assert.ok(isBenign, attack.name)
    }
  })
})
