/** Checkpoints kept outside a trail: they show what no copy shows by itself. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { signNote } from '../../src/chain/note.ts'
import { signRotation } from '../../src/chain/rotation.ts'
import { readKept, reportMissing } from '../../src/verify/since.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { makeKeys, makeTrail, TrailWriter, toNdjson } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const trail = makeTrail({ stream, keys, records: 54, interval: 16 }).lines
const noteAt = (sequence: number): string => JSON.parse(trail[sequence - 1] ?? '').details.note

function keptOf(text: string) {
  const kept = readKept(text, [keys.verifier])
  assert.ok(typeof kept !== 'string', String(kept))
  return kept
}

async function verify(lines: readonly string[], kept: string, allowPartial = false) {
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(toNdjson(lines))
  }
  const options = { verifiers: [keys.verifier], since: keptOf(kept), allowPartial }
  const report = await verifySource(createNdjsonSource('copy', openBytes), options)
  const found = report.findings.map(({ verdict, from, to }) => `${verdict} ${from}-${to}`)
  return { report, found, agreedTo: report.streams[0]?.agreedTo }
}

it('every checkpoint of the trail agrees with it, and the report says up to where', async () => {
  for (const sequence of [18, 35, 52, 60]) {
    const { found, agreedTo } = await verify(trail, noteAt(sequence))
    assert.deepEqual([found, agreedTo], [[], sequence - 1])
  }
})

it('a copy that was rolled back is TRUNCATED', async () => {
  assert.deepEqual((await verify(trail.slice(0, 35), noteAt(60))).found, ['TRUNCATED 36-59'])
})

it('the end cut off above the last checkpoint but below the kept one is TRUNCATED', async () => {
  assert.deepEqual((await verify(trail.slice(0, 58), noteAt(60))).found, ['TRUNCATED 59-59'])
})

it('a trail written anew with the same key is FORKED, whether its checkpoints have the same sizes or not', async () => {
  const anew = (count: number): string[] => {
    const writer = new TrailWriter(stream, keys).open().seal({ action: 'other.act' })
    return writer.act(count).checkpoint().act(60).close().lines
  }
  for (const count of [15, 20]) {
    const { found, report } = await verify(anew(count), noteAt(18))
    assert.deepEqual(found, ['FORKED 1-17'])
    assert.equal(report.exitCode, 1)
    assert.equal(report.findings[0]?.expected, keptOf(noteAt(18))[0]?.root)
  }
})

it('a copy that begins after the kept checkpoint cannot show that it continues it', async () => {
  assert.deepEqual((await verify(trail.slice(20), noteAt(18), true)).found, ['UNANCHORED undefined-undefined'])
})

it('a copy that begins before the kept checkpoint shows it by the signed tree', async () => {
  const { found, agreedTo } = await verify(trail.slice(20), noteAt(35), true)
  assert.deepEqual([found, agreedTo], [[], 34])
})

it('a kept checkpoint of another deployment is WRONG_ORIGIN', async () => {
  const staging = makeKeys('staging')
  const other = makeTrail({ stream, keys: staging, records: 54, interval: 16 }).lines
  const kept = readKept(JSON.parse(other[17] ?? '').details.note, [])
  assert.ok(typeof kept !== 'string')
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(toNdjson(trail))
  }
  const report = await verifySource(createNdjsonSource('copy', openBytes), { verifiers: [keys.verifier], since: kept })
  assert.ok(report.findings.some(({ verdict }) => verdict === 'WRONG_ORIGIN'))
})

it('several are read from one file, and a stream that no source holds is STREAM_MISSING', async () => {
  const other = makeTrail({ stream: '019b7c2f-2222-7000-8000-000000000002', keys, records: 20, interval: 8 }).lines
  const kept = noteAt(35) + JSON.parse(other.at(-1) ?? '').details.note
  assert.equal(keptOf(kept).length, 2)
  const { report } = await verify(trail, kept)
  const missing = reportMissing('kept', keptOf(kept), [report])
  assert.deepEqual([missing?.verdict, missing?.exitCode, missing?.findings.length], ['STREAM_MISSING', 1, 1])
  assert.equal(reportMissing('kept', keptOf(noteAt(35)), [report]), undefined)
})

it('what is no note, or one that a given key should have signed, is refused with the reason', () => {
  for (const text of ['', 'x', `${noteAt(35)}x`, noteAt(35).slice(1), noteAt(35).replace('\n34\n', '\n33\n')])
    assert.equal(typeof readKept(text, [keys.verifier]), 'string', text)
})

it('a kept checkpoint may be signed by a key that a rotation in the copy leads to, and by no other', async () => {
  const next = makeKeys('prod', 2)
  const details = signRotation(keys.signer, next.signer)
  const writer = new TrailWriter(stream, keys).open().act(5).checkpoint()
  writer.seal({ action: 'audit.key.rotated', event_type: 'audit.key.rotated', details }).act(5).checkpoint(next)
  const kept: string = JSON.parse(writer.lines.at(-1) ?? '').details.note
  assert.deepEqual((await verify(writer.lines, kept)).found, [])
  assert.deepEqual((await verify(writer.lines.slice(0, 7), kept)).found, ['TRUNCATED 8-13'])
  const stranger = new TrailWriter(stream, makeKeys('prod', 3)).open().act(50).checkpoint().lines.at(-1) ?? ''
  const { found, report } = await verify(trail, JSON.parse(stranger).details.note)
  assert.deepEqual([found, report.exitCode], [['FORKED 1-51'], 1])
  const same = signNote(noteAt(35).slice(0, noteAt(35).indexOf('\n\n') + 1), makeKeys('prod', 3).signer)
  assert.deepEqual((await verify(trail, same)).found, ['BAD_SIGNATURE undefined-undefined'])
})
