/** Keys that a copy itself names, taken where none is trusted: what they prove, what they cannot take the place of. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { signRotation } from '../../src/chain/rotation.ts'
import type { SourceReport } from '../../src/verify/report.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { createOtlpSource } from '../../src/verify/sources/otlp.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { type Keys, makeKeys, TrailWriter, toNdjson, toOtlp } from '../support/trail.ts'

const stream = '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071'
const later = '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8072'
const [own, other, staging] = [makeKeys('prod', 1), makeKeys('prod', 2), makeKeys('staging', 1)]

async function* bytesOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

async function verify(text: string, trusted: readonly Keys[] = [], isFirstUse = true): Promise<SourceReport> {
  const source = text.startsWith('{"resourceLogs"') ? createOtlpSource : createNdjsonSource
  const verifiers = trusted.map(({ verifier }) => verifier)
  return verifySource(
    source('copy', () => bytesOf(text)),
    { verifiers, isFirstUse },
  )
}

function open(keys: Keys, name = stream, details: object = {}): TrailWriter {
  return new TrailWriter(name, keys).open({ verifier_key: keys.signer.verifierKey, ...details })
}

const whole = (keys: Keys, name = stream) => open(keys, name).act(5).checkpoint().act(5).close()

const said = ({ verdict, exitCode, keysOnFirstUse }: SourceReport) => [verdict, exitCode, keysOnFirstUse]

test('a copy is held against the key that its first record names, and the verdict says so', async () => {
  const { lines } = whole(own)
  const report = await verify(toNdjson(lines))
  assert.deepEqual(said(report), ['FIRST_USE', 0, [own.signer.verifierKey]])
  assert.deepEqual([report.streams[0]?.verdict, report.checkpoints], ['FIRST_USE', 2])
  assert.match(report.observations[0]?.detail ?? '', /which the copy itself names/)
  assert.deepEqual(said(await verify(toOtlp([...lines].reverse(), 3))), ['FIRST_USE', 0, [own.signer.verifierKey]])
  assert.deepEqual(said(await verify(toNdjson(lines), [], false)), ['UNANCHORED', 1, undefined])
  const edited = toNdjson(lines).replace('"u-3"', '"u-4"')
  assert.deepEqual(said(await verify(edited)), ['CONTENT_TAMPERED', 1, [own.signer.verifierKey]])
})

test('where a key of that name is trusted, another one is not taken', async () => {
  assert.deepEqual(said(await verify(toNdjson(whole(own).lines), [own])), ['INTACT', 0, undefined])
  assert.deepEqual(said(await verify(toNdjson(whole(other).lines), [own])), ['BAD_SIGNATURE', 1, undefined])
  const both = toNdjson([...whole(own).lines, ...whole(staging, later).lines])
  assert.deepEqual(said(await verify(both, [own])), ['FIRST_USE', 0, [staging.signer.verifierKey]])
})

test('a stream signed by another key than its first record names is refused', async () => {
  const { lines } = open(own).act(5).checkpoint(other).act(5).checkpoint(other)
  assert.deepEqual(said(await verify(toNdjson(lines))), ['BAD_SIGNATURE', 1, [own.signer.verifierKey]])
})

test('a stream that goes on from another one brings no key of its own, but for a rotation', async () => {
  const first = whole(own)
  const predecessor = { stream, seq: first.lines.length, hash: first.leaf, reason: 'boot' }
  const next = () => open(other, later, { predecessor })
  const stolen = next().act(5).checkpoint().act(5).close()
  const found = await verify(toNdjson([...first.lines, ...stolen.lines]))
  assert.deepEqual(said(found), ['BAD_SIGNATURE', 1, [own.signer.verifierKey]])
  const details = signRotation(own.signer, other.signer)
  const rotated = next().seal({ action: 'audit.key.rotated', event_type: 'audit.key.rotated', details })
  const report = await verify(toNdjson([...first.lines, ...rotated.act(5).checkpoint().act(5).close().lines]))
  assert.deepEqual(said(report), ['FIRST_USE', 0, [own.signer.verifierKey]])
})

test('a copy that names no key proves nothing, and neither does one that names the key of another deployment', async () => {
  const unnamed = new TrailWriter(stream, own).open().act(5).checkpoint().act(5).close()
  const report = await verify(toNdjson(unnamed.lines))
  assert.deepEqual(said(report), ['UNANCHORED', 1, undefined])
  assert.match(report.findings[0]?.detail ?? '', /first record of the stream is not here or names none/)
  const foreign = new TrailWriter(stream, own).open({ verifier_key: staging.signer.verifierKey }).act(5).checkpoint()
  assert.deepEqual(said(await verify(toNdjson(foreign.lines))), ['UNANCHORED', 1, undefined])
  const odd = new TrailWriter(stream, own).open({ verifier_key: 7 }).act(5).checkpoint()
  assert.deepEqual(said(await verify(toNdjson(odd.lines))), ['UNANCHORED', 1, undefined])
})
