/** The trust file: which keys count when, and which streams may and must be there. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { parseTrust, requiredStreams } from '../../src/verify/trust.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { makeKeys, TrailWriter, toNdjson } from '../support/trail.ts'

const [keys, next] = [makeKeys('prod'), makeKeys('prod', 2)]
const stream = '019b7c2f-1111-7000-8000-000000000001'
// Sealed at 03:04:05 and one second more for each record: 5 and 9 are checkpoints.
const lines = new TrailWriter(stream, keys).open().act(3).checkpoint().act(3).checkpoint(next).lines

async function verify(content: object) {
  const trust = parseTrust(JSON.stringify(content))
  assert.ok(typeof trust !== 'string', String(trust))
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(toNdjson(lines))
  }
  const verifiers = trust.keys.map(({ verifier }) => verifier)
  const { findings, verdict } = await verifySource(createNdjsonSource('copy', openBytes), { verifiers, trust })
  return [verdict, ...findings.map(({ sequence }) => sequence)]
}

const [key, nextKey] = [keys.signer.verifierKey, next.signer.verifierKey]
const at = (second: number): string => `2026-01-02T03:04:${String(second).padStart(2, '0')}Z`

it('a key counts for what was sealed while it was trusted', async () => {
  assert.deepEqual(await verify({ keys: [{ key }, { key: nextKey }] }), ['INTACT'])
  assert.deepEqual(
    await verify({
      keys: [
        { key, until: at(12) },
        { key: nextKey, from: at(12) },
      ],
    }),
    ['INTACT'],
  )
  assert.deepEqual(await verify({ keys: [{ key, until: at(8) }, { key: nextKey }] }), ['BAD_SIGNATURE', 5])
  assert.deepEqual(await verify({ keys: [{ key }, { key: nextKey, from: at(30) }] }), ['BAD_SIGNATURE', 9])
})

it('a key that is named twice counts in both times, whatever zone they are written in', async () => {
  const twice = [{ key, until: at(6) }, { key, from: '2026-01-02T04:04:08+01:00' }, { key: nextKey }]
  assert.deepEqual(await verify({ keys: twice }), ['INTACT'])
})

it('a signed stream of an origin that is not named is WRONG_ORIGIN', async () => {
  const both = [{ key }, { key: nextKey }]
  assert.deepEqual(await verify({ keys: both, origins: [`prod/${stream}`] }), ['INTACT'])
  assert.deepEqual(await verify({ keys: both, origins: ['prod/*'] }), ['INTACT'])
  assert.deepEqual(await verify({ keys: both, origins: ['staging/*'] }), ['WRONG_ORIGIN', undefined])
})

it('streams that are named in full are required, those of a whole deployment are not', () => {
  assert.deepEqual(requiredStreams({ origins: [`prod/${stream}`, 'staging/*'] }), [{ deployment: 'prod', stream }])
  assert.deepEqual(requiredStreams({ origins: undefined }), [])
})

it('a file that is not understood in every member is refused, and the reason names it', () => {
  for (const [content, reason] of [
    ['', /no JSON/],
    ['{}', /keys/],
    ['{"keys":[]}', /no key is trusted/],
    ['{"keys":[{"key":"x"}]}', /keys\.0\.key/],
    [JSON.stringify({ keys: [{ key }], pruners: [] }), /pruners/],
    [JSON.stringify({ keys: [{ key, from: 'today' }] }), /keys\.0\.from: a time is written/],
    [JSON.stringify({ keys: [{ key, from: at(9), until: at(8) }] }), /ends before it begins/],
    [JSON.stringify({ keys: [{ key }], origins: ['prod'] }), /origins\.0/],
  ] as const) {
    const refused = parseTrust(content)
    assert.ok(typeof refused === 'string', content)
    assert.match(refused, reason)
  }
})
