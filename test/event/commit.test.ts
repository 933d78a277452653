/** Commitments: what a record keeps of a personal value tells nothing, and the disclosure tells all. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import type { JsonValue } from '../../src/event/canonical.ts'
import {
  commitmentTo,
  Disclosures,
  decodeDisclosures,
  discloseValue,
  encodeDisclosures,
  readDisclosure,
} from '../../src/event/commit.ts'

const json = fc.jsonValue() as fc.Arbitrary<JsonValue>
const pointer = fc.string().map((text) => `/details/${text}`)

describe('a commitment', () => {
  it('gives back the value and its place to whoever has the disclosure', () => {
    fc.assert(
      fc.property(pointer, json, (place, value) => {
        const read = readDisclosure(discloseValue(place, value))
        assert.deepEqual([read?.pointer, JSON.stringify(read?.value)], [place, JSON.stringify(value)])
      }),
    )
  })

  it('is another one each time, also for the same value at the same place', () => {
    fc.assert(
      fc.property(pointer, json, (place, value) => {
        const made = Array.from({ length: 4 }, () => commitmentTo(discloseValue(place, value)))
        assert.equal(new Set(made).size, made.length)
      }),
    )
  })

  it('cannot be found by trying values: its salt has 128 bits, and none repeats', () => {
    const salts = Array.from({ length: 2_000 }, () => {
      const text = Buffer.from(discloseValue('/actor/name', 'Ann'), 'base64url').toString()
      return String((JSON.parse(text) as string[])[0])
    })
    assert.equal(new Set(salts).size, salts.length)
    assert.ok(salts.every((salt) => Buffer.from(salt, 'base64url').length === 16))
    const guesses = [discloseWithout('Ann'), discloseWithout('')].map(commitmentTo)
    assert.ok(!guesses.includes(commitmentTo(discloseValue('/actor/name', 'Ann'))))
  })

  it('is what docs/formats.md says: base64url of the SHA-256 of the disclosure', () => {
    const disclosure = 'WyJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBIiwiL2FjdG9yL25hbWUiLCJBbm4iXQ'
    assert.deepEqual(readDisclosure(disclosure), { pointer: '/actor/name', value: 'Ann' })
    const formats = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8')
    assert.ok(formats.includes(`\n${disclosure}\n"commitments":{"/actor/name":"${commitmentTo(disclosure)}"}\n`))
    assert.equal(commitmentTo(disclosure), createHash('sha256').update(disclosure).digest('base64url'))
    assert.equal(commitmentTo(disclosure), 'WhIhUTx7b4r2eWeAXBCRRnxJtHOjeGeNLouxC0OR8hE')
  })
})

function discloseWithout(value: string): string {
  return Buffer.from(JSON.stringify(['', '/actor/name', value])).toString('base64url')
}

describe('disclosures on their way', () => {
  const made = new Disclosures()
  made.add({ subject: 'pseudonym:one', text: discloseValue('/a', 1) })
  made.add({ subject: 'pseudonym:two', text: discloseValue('/b', 'Ann') })
  made.add({ subject: 'pseudonym:one', text: discloseValue('/c', [true]) })

  it('come back by subject, and nothing else with them', () => {
    const bySubject = [...made.list].sort((one, other) => (one.subject < other.subject ? -1 : 1))
    assert.deepEqual(decodeDisclosures(encodeDisclosures(made)).list, bySubject)
  })

  it('show in no JSON and no log of what carries them', () => {
    const text = made.list[1]?.text ?? ''
    assert.ok(
      ![JSON.stringify({ made }), inspect({ made }, { depth: 9 }), String(made)].some((shown) => shown.includes(text)),
    )
  })

  it('are left out where they are none, whatever bytes there are', () => {
    const bad = ['', 'null', '[]', '{"a b":["WyJ"]}', '{"s":"x"}', '{"s":[1,null,"WyJ","!"]}', '{"s":["WzEsMiwzXQ"]}']
    for (const text of bad) assert.deepEqual(decodeDisclosures(text).list, [], text)
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => decodeDisclosures(text).list.length >= 0))
  })
})
