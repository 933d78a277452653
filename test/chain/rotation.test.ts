import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCheckpoint } from '../../src/chain/checkpoint.ts'
import { signNote } from '../../src/chain/note.ts'
import { openRotation, rotationsTo, signRotation } from '../../src/chain/rotation.ts'
import { newSigner } from './signers.ts'

const [first, second, third] = [newSigner('prod'), newSigner('prod'), newSigner('prod')]

test('a rotation that both keys have signed opens to both', () => {
  const opened = openRotation(signRotation(first, second))
  assert.ok(opened.problem === undefined)
  assert.deepEqual([opened.old.keyId, opened.next.keyId], [first.keyId, second.keyId])
})

test('a rotation can never be read as a checkpoint', () => {
  const { note } = signRotation(first, second)
  assert.ok('problem' in parseCheckpoint(note.slice(0, note.lastIndexOf('\n\n') + 1)))
})

test('a rotation that only one of its keys has signed is refused, whichever it is', () => {
  const { old, new: next, note } = signRotation(first, second)
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1)
  for (const [signer, missing] of [
    [first, second],
    [second, first],
  ] as const) {
    const refused = openRotation({ old, new: next, note: signNote(text, signer) })
    assert.equal(refused.problem, 'bad_signature')
    assert.match((refused as { reason: string }).reason, new RegExp(missing.keyId))
  }
})

test('no byte of a rotation can be changed', () => {
  const rotation = signRotation(first, second)
  for (let at = 0; at < rotation.note.length; at += 1) {
    const code = rotation.note.charCodeAt(at)
    const note = `${rotation.note.slice(0, at)}${String.fromCharCode(code ^ 1)}${rotation.note.slice(at + 1)}`
    assert.ok(openRotation({ ...rotation, note }).problem !== undefined, `byte ${at}`)
  }
  assert.equal(openRotation({ ...rotation, new: third.verifierKey }).problem, 'malformed')
})

test('what is no rotation at all is malformed, never thrown', () => {
  const { note } = signRotation(first, second)
  for (const details of [undefined, null, 7, {}, { note: '' }, { note: 'a\n\nb\n' }, { note }, { note: [note] }])
    assert.equal(openRotation(details).problem, 'malformed')
  assert.throws(() => signRotation(first, first), TypeError)
  assert.throws(() => signRotation(first, newSigner('other')), TypeError)
})

test('the rotations that lead to a key are found in order, back to the key that is asked for', () => {
  const [one, two] = [signRotation(first, second), signRotation(second, third)]
  const stray = signRotation(first, newSigner('prod'))
  const forged = { ...signRotation(newSigner('prod'), third), note: two.note }
  const known = [forged, stray, two, one]
  assert.deepEqual(rotationsTo(third.verifierKey, known), [one, two])
  assert.deepEqual(rotationsTo(third.verifierKey, known, second.verifierKey), [two])
  assert.deepEqual(rotationsTo(third.verifierKey, known, third.verifierKey), [])
  assert.deepEqual(rotationsTo(first.verifierKey, known), [])
})
