import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Rotation, signRotation } from '../../src/chain/rotation.ts'
import type { SourceReport } from '../../src/verify/report.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { createOtlpSource } from '../../src/verify/sources/otlp.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { type Keys, makeKeys, TrailWriter, toNdjson, toOtlp } from '../support/trail.ts'

const stream = '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071'
const [old, next, third] = [makeKeys('prod', 1), makeKeys('prod', 2), makeKeys('prod', 3)]
const rotation = signRotation(old.signer, next.signer)

async function* bytesOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

async function verify(text: string, trusted: readonly Keys[]): Promise<SourceReport> {
  const source = text.startsWith('{"resourceLogs"') ? createOtlpSource : createNdjsonSource
  return verifySource(
    source('copy', () => bytesOf(text)),
    { verifiers: trusted.map(({ verifier }) => verifier) },
  )
}

/** Signed by the old key, rotated, signed by the new one. */
function rotated(details: Rotation = rotation, signsAfter: Keys = next): TrailWriter {
  const writer = new TrailWriter(stream, old).open().act(5).checkpoint()
  writer.seal({ action: 'audit.key.rotated', event_type: 'audit.key.rotated', details })
  return writer.act(5).checkpoint(signsAfter).act(5).checkpoint(signsAfter)
}

const verdicts = (report: SourceReport) => [...new Set(report.findings.map(({ verdict }) => verdict))]

test('whoever trusts the old key can verify what the new one signs, and the other way round', async () => {
  const { lines } = rotated()
  for (const trusted of [[old], [next], [old, next]]) {
    const report = await verify(toNdjson(lines), trusted)
    assert.deepEqual([report.verdict, report.findings, report.checkpoints], ['INTACT', [], 3])
  }
})

test('a rotation that comes after what it vouches for counts as well, where order is not kept', async () => {
  const { lines } = rotated()
  for (const trusted of [[old], [next]]) {
    const report = await verify(toOtlp([...lines].reverse(), 3), trusted)
    assert.deepEqual([report.verdict, report.checkpoints], ['INTACT', 3])
  }
})

test('several rotations lead from one key to the last', async () => {
  const writer = rotated()
  const details = signRotation(next.signer, third.signer)
  writer.seal({ action: 'audit.key.rotated', event_type: 'audit.key.rotated', details }).act(2).checkpoint(third)
  for (const trusted of [old, next, third]) {
    const report = await verify(toNdjson(writer.lines), [trusted])
    assert.deepEqual([report.verdict, report.checkpoints], ['INTACT', 4])
  }
})

test('a rotation that the old key has not signed makes nothing trusted', async () => {
  const byThird = signRotation(third.signer, next.signer)
  const forged = { ...rotation, note: byThird.note.replaceAll(third.signer.verifierKey, old.signer.verifierKey) }
  const report = await verify(toNdjson(rotated(forged).lines), [old])
  assert.deepEqual([report.exitCode, verdicts(report)], [1, ['BAD_SIGNATURE']])
  assert.match(report.findings[0]?.detail ?? '', /the rotation proves nothing/)
  assert.equal(report.streams[0]?.coveredTo, 6)
})

test('a rotation between keys that nobody trusts makes nothing trusted', async () => {
  const stranger = signRotation(third.signer, next.signer)
  const report = await verify(toNdjson(rotated(stranger).lines), [old])
  assert.deepEqual([report.exitCode, verdicts(report)], [1, ['BAD_SIGNATURE']])
})

test('behind its rotation the old key signs nothing any more', async () => {
  const report = await verify(toNdjson(rotated(rotation, old).lines), [old])
  assert.deepEqual([report.exitCode, verdicts(report)], [1, ['BAD_SIGNATURE']])
  assert.match(report.findings[0]?.detail ?? '', /replaced/)
})

test('without any key a rotation is a record like another', async () => {
  const report = await verify(toNdjson(rotated().lines), [])
  assert.deepEqual([report.verdict, verdicts(report)], ['UNANCHORED', ['UNANCHORED']])
})

test('behind its rotation the old key brings no other key either, in whatever order the records come', async () => {
  const { lines } = rotated()
  const details = signRotation(old.signer, third.signer)
  const thief = rotated().seal({ action: 'audit.key.rotated', event_type: 'audit.key.rotated', details })
  thief.act(2).checkpoint(third)
  for (const text of [toNdjson(thief.lines), toOtlp([...thief.lines].reverse(), 3)]) {
    for (const trusted of [[old], [next], [old, next]]) {
      const report = await verify(text, trusted)
      assert.deepEqual([report.exitCode, verdicts(report)[0]], [1, 'BAD_SIGNATURE'])
      assert.ok(report.findings.some(({ detail }) => /replaced/.test(detail)))
    }
  }
  const moved = [...rotated(rotation, old).lines].reverse()
  assert.equal((await verify(toOtlp(moved, 3), [old])).verdict, 'BAD_SIGNATURE')
  assert.equal((await verify(toOtlp([...lines].reverse(), 3), [old])).verdict, 'INTACT')
})

test('behind a rotation, a key that only another stream vouches for signs nothing', async () => {
  const details = signRotation(old.signer, third.signer)
  const other = new TrailWriter('0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8072', old).open().act(5).checkpoint()
  other.seal({ action: 'audit.key.rotated', event_type: 'audit.key.rotated', details }).act(2).checkpoint(third)
  const forged = rotated().act(2).checkpoint(third)
  const text = toNdjson([...other.lines, ...forged.lines])
  assert.deepEqual(verdicts(await verify(text, [old])), ['BAD_SIGNATURE'])
  assert.deepEqual(verdicts(await verify(text, [old, third])), [])
})
