/** The trust file: which keys count when, and which streams may and must be there. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { formatCheckpoint } from '../../src/chain/checkpoint.ts'
import { cosign, witnessKeyOf } from '../../src/chain/cosignature.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { signRotation } from '../../src/chain/rotation.ts'
import { type KeptCheckpoint, readKept } from '../../src/verify/since.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { requiredStreams } from '../../src/verify/trust.ts'
import { parseTrust } from '../../src/verify/trust-file.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { leafOf, makeKeys, TrailWriter, toNdjson } from '../support/trail.ts'

const [keys, next] = [makeKeys('prod'), makeKeys('prod', 2)]
const stream = '019b7c2f-1111-7000-8000-000000000001'
// Sealed at 03:04:05 and one second more for each record: 5 and 9 are checkpoints.
const rotated = new TrailWriter(stream, keys).open().act(3).checkpoint().act(3).checkpoint(next).lines

async function verify(content: object, lines: readonly string[] = rotated, since: readonly KeptCheckpoint[] = []) {
  const trust = parseTrust(JSON.stringify(content))
  assert.ok(typeof trust !== 'string', String(trust))
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(toNdjson(lines))
  }
  const verifiers = trust.keys.map(({ verifier }) => verifier)
  const { findings, verdict } = await verifySource(createNdjsonSource('copy', openBytes), { verifiers, trust, since })
  return [verdict, ...findings.map(({ sequence }) => sequence)]
}

const [key, nextKey] = [keys.signer.verifierKey, next.signer.verifierKey]
const [firstWitness, secondWitness] = [makeKeys('w1'), makeKeys('w2')]
const [w1, w2] = [witnessKeyOf(firstWitness.signer), witnessKeyOf(secondWitness.signer)]
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

it('a key brings no other key after the time in which it is trusted', async () => {
  const details = signRotation(keys.signer, next.signer)
  const writer = new TrailWriter(stream, keys).open().act(3).checkpoint()
  writer.seal({ action: 'audit.key.rotated', event_type: 'audit.key.rotated', details }).act(2).checkpoint(next)
  assert.deepEqual(await verify({ keys: [{ key, until: at(30) }] }, writer.lines), ['INTACT'])
  assert.deepEqual(await verify({ keys: [{ key, until: at(11) }] }, writer.lines), ['BAD_SIGNATURE', 6, 9])
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

/** The details of an anchoring by a witness of the first records of a trail. */
function cosigned(lines: readonly string[], by = firstWitness, origin = `prod/${stream}`): object {
  const frontier = new Frontier()
  for (const line of lines) frontier.append(leafOf(line))
  const root = frontier.root()
  const token = cosign(formatCheckpoint({ origin, size: lines.length, root }), 1_700_000_000, by.signer)
  return { kind: 'witness', size: lines.length, root: root.toString('base64'), token }
}

/** 1 opened, 2–4 acts, 5 checkpoint of 4, 6 what witnesses said, 7 checkpoint. */
function witnessed(...anchorings: readonly object[]): readonly string[] {
  const writer = new TrailWriter(stream, keys).open().act(3).checkpoint()
  for (const details of anchorings) writer.seal({ action: 'audit.anchored', event_type: 'audit.anchored', details })
  return writer.checkpoint().lines
}

it('as many witnesses as it demands must have cosigned a stream, or it is UNWITNESSED', async () => {
  const seen = new TrailWriter(stream, keys).open().act(3).lines
  const one = witnessed(cosigned(seen))
  const both = witnessed(cosigned(seen), cosigned(seen, secondWitness))
  const demand = (required?: number, names = [w1, w2]) => ({ keys: [{ key }], witnesses: { keys: names, required } })
  assert.deepEqual(await verify(demand(1), one), ['INTACT'])
  assert.deepEqual(await verify(demand(), one), ['UNWITNESSED', undefined])
  assert.deepEqual(await verify(demand(), both), ['INTACT'])
  assert.deepEqual(await verify(demand(1, [w1]), witnessed()), ['UNWITNESSED', undefined])
  const elsewhere = { ...demand(), witnesses: { keys: [w1, w2], origins: ['staging/*'] } }
  assert.deepEqual(await verify(elsewhere, witnessed()), ['INTACT'])
})

it('a cosignature of another stream, by another key of that name, or forged counts for nothing', async () => {
  const seen = new TrailWriter(stream, keys).open().act(3).lines
  const demand = { keys: [{ key }], witnesses: { keys: [w1] } }
  for (const details of [
    cosigned(seen, firstWitness, 'prod/019b7c2f-2222-7000-8000-000000000002'),
    cosigned(seen, makeKeys('w1', 2)),
    { ...cosigned(seen), size: 3 },
    { ...cosigned(seen), token: '— w1 AAAA\n' },
    { ...cosigned(seen), root: 7 },
  ])
    assert.deepEqual(await verify(demand, witnessed(details)), ['UNWITNESSED', undefined])
})

it('a witness that has cosigned another tree of that size, or a longer one, contradicts the copy', async () => {
  const other = new TrailWriter(stream, makeKeys('prod', 3)).open({ reason: 'another' }).act(3).lines
  const longer = new TrailWriter(stream, keys).open().act(30).lines
  const demand = { keys: [{ key }], witnesses: { keys: [w1] } }
  const [worst] = await verify(demand, witnessed(cosigned(other)))
  assert.equal(worst, 'FORKED')
  const [cut] = await verify(demand, witnessed(cosigned(longer)))
  assert.equal(cut, 'TRUNCATED')
})

it('a cosignature beside a checkpoint that was kept counts as well', async () => {
  const note = (JSON.parse(witnessed()[4] ?? '') as { details: { note: string } }).details.note
  const seen = new TrailWriter(stream, keys).open().act(3).lines
  const { token } = cosigned(seen) as { token: string }
  const kept = readKept(`${note}${token}`, [keys.verifier])
  assert.ok(typeof kept !== 'string')
  const demand = { keys: [{ key }], witnesses: { keys: [w1] } }
  assert.deepEqual(await verify(demand, witnessed(), kept), ['INTACT'])
})

it('a file that is not understood in every member is refused, and the reason names it', () => {
  for (const [content, reason] of [
    ['', /no JSON/],
    ['{}', /keys/],
    ['{"keys":[]}', /no key is trusted/],
    ['{"keys":[{"key":"x"}]}', /keys\.0\.key/],
    [JSON.stringify({ keys: [{ key }], prunners: [] }), /the file has the unknown member prunners/],
    [JSON.stringify({ keys: [{ key, from: 'today' }] }), /keys\.0\.from is "today": a time is written/],
    [JSON.stringify({ keys: [{ key }], pruners: ['ops'] }), /pruners\.0 is "ops": an origin is/],
    [JSON.stringify({ keys: [{ key }], witnesses: { keys: [] } }), /witnesses\.keys is \[\]: name at least one/],
    [
      JSON.stringify({ keys: [{ key }], witnesses: { keys: [key] } }),
      /witnesses\.keys\.0 is "prod\+.*not that of a witness/,
    ],
    [JSON.stringify({ keys: [{ key }], witnesses: { keys: [w1], required: 2 } }), /witnesses\.required is 2: more are/],
    [JSON.stringify({ keys: [{ key }], witnesses: { keys: [w1, w1] } }), /one witness is named twice/],
    [JSON.stringify({ keys: [{ key, from: at(9), until: at(8) }] }), /ends before it begins/],
    [JSON.stringify({ keys: [{ key }], origins: ['prod'] }), /origins\.0/],
  ] as const) {
    const refused = parseTrust(content)
    assert.ok(typeof refused === 'string', content)
    assert.match(refused, reason)
  }
})
