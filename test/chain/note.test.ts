import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeBase64,
  formatVerifierKey,
  isKeyName,
  openNote,
  parseVerifierKey,
  signNote,
  type Verifier,
} from '../../src/chain/note.ts'
import vectors from '../vectors/signed-note.json' with { type: 'json' }
import { flippedBytes } from './flip.ts'
import { newSigner, signerFromSeed, verifierOf } from './signers.ts'

const nameOf = (vkey: string): string => vkey.slice(0, vkey.indexOf('+'))
const noteOf = (text: string, ...lines: readonly string[]): string => `${text}\n${lines.join('\n')}\n`

for (const { vkey, text, signature } of vectors.cases) {
  test(`the published note of ${nameOf(vkey)} opens`, () => {
    const opened = openNote(noteOf(text, `— ${nameOf(vkey)} ${signature}`), [verifierOf(vkey)])
    assert.equal(opened.problem, undefined)
    assert.equal(opened.text, text)
    assert.deepEqual(
      opened.signers.map(({ name }) => name),
      [nameOf(vkey)],
    )
  })

  test(`the published key of ${nameOf(vkey)} survives parse and format`, () => {
    const { name, publicKey } = verifierOf(vkey)
    assert.equal(formatVerifierKey(name, publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)), vkey)
  })
}

test('the published private key makes the published signature', () => {
  const [{ vkey, skey, text, signature } = assert.fail()] = vectors.cases
  const seed = Buffer.from(skey?.split('+').slice(4).join('+') ?? '', 'base64').subarray(1)
  const signer = signerFromSeed(seed, nameOf(vkey))
  assert.equal(signer.verifierKey, vkey)
  assert.equal(signNote(text, signer), noteOf(text, `— ${nameOf(vkey)} ${signature}`))
})

test('both published signers of one text stand in one note', () => {
  const [first = assert.fail(), second = assert.fail()] = vectors.cases
  const lines = [first, second].map(({ vkey, signature }) => `— ${nameOf(vkey)} ${signature}`)
  const opened = openNote(noteOf(first.text, ...lines), [verifierOf(second.vkey), verifierOf(first.vkey)])
  assert.deepEqual(opened.problem === undefined && opened.signers.map(({ name }) => name), [
    'PeterNeumann',
    'EnochRoot',
  ])
})

test('no byte of a note can change', () => {
  const signer = newSigner('example.com/log')
  const verifiers = [verifierOf(signer.verifierKey)]
  const note = signNote('example.com/log/1\n42\n\nwith an empty line, — a dash, é and 🌳\n', signer)
  assert.equal(openNote(note, verifiers).problem, undefined)
  for (const flipped of flippedBytes(Buffer.from(note), everyBit))
    assert.notEqual(openNote(flipped.toString(), verifiers).problem, undefined, JSON.stringify(flipped.toString()))
})

test('no byte of a verifier key can change', () => {
  const { verifierKey } = newSigner('prod')
  for (const flipped of flippedBytes(Buffer.from(verifierKey), everyBit))
    assert.ok('problem' in parseVerifierKey(flipped.toString()), flipped.toString())
})

test('a note cut anywhere, or with anything behind it, does not open', () => {
  const signer = newSigner('prod')
  const verifiers = [verifierOf(signer.verifierKey)]
  const note = signNote('text\n', signer)
  for (let length = 0; length < note.length; length++)
    assert.notEqual(openNote(note.slice(0, length), verifiers).problem, undefined)
  for (const tail of ['\n', ' ', 'x', '\n\n', 'x\n', '— \n'])
    assert.equal(openNote(note + tail, verifiers).problem, 'malformed', JSON.stringify(tail))
})

test('signatures of unknown keys are ignored, also under the name or the id of a known one', () => {
  const signer = newSigner('prod')
  const verifiers = [verifierOf(signer.verifierKey)]
  const line = signatureLine(signNote('text\n', signer))
  const garbage = Buffer.alloc(68, 7)
  const sameId = Buffer.concat([Buffer.from(signer.keyId, 'hex'), Buffer.alloc(64)])
  const others = [
    signatureLine(signNote('other text\n', newSigner('prod'))),
    `— prod ${garbage.toString('base64')}`,
    `— other ${sameId.toString('base64')}`,
    `— witness ${Buffer.alloc(5).toString('base64')}`,
  ]
  for (const other of others) {
    assert.equal(openNote(noteOf('text\n', other, line), verifiers).problem, undefined)
    assert.equal(openNote(noteOf('text\n', line, other), verifiers).problem, undefined)
    assert.equal(openNote(noteOf('text\n', other), verifiers).problem, 'unknown_key')
  }
})

test('a known key that fails refuses the note, whoever else signed it', () => {
  const [signer, witness] = [newSigner('prod'), newSigner('witness')]
  const verifiers = [signer, witness].map(({ verifierKey }) => verifierOf(verifierKey))
  const good = signatureLine(signNote('text\n', signer))
  const bad = signatureLine(signNote('other text\n', witness))
  const again = signatureLine(signNote('other text\n', signer))
  for (const lines of [[bad], [good, bad], [bad, good], [good, again]])
    assert.equal(openNote(noteOf('text\n', ...lines), verifiers).problem, 'bad_signature')
})

test('a signature of the wrong length by a known key refuses the note', () => {
  const signer = newSigner('prod')
  for (const length of [1, 63, 65, 128]) {
    const bytes = Buffer.concat([Buffer.from(signer.keyId, 'hex'), Buffer.alloc(length)])
    const note = noteOf('text\n', `— prod ${bytes.toString('base64')}`)
    assert.equal(openNote(note, [verifierOf(signer.verifierKey)]).problem, 'bad_signature')
  }
})

test('one key may sign twice, and is named once', () => {
  const signer = newSigner('prod')
  const line = signatureLine(signNote('text\n', signer))
  const opened = openNote(noteOf('text\n', line, line), [verifierOf(signer.verifierKey)])
  assert.equal(opened.problem === undefined && opened.signers.length, 1)
})

test('a hundred signatures are read, one more is refused', () => {
  const signer = newSigner('prod')
  const verifiers = [verifierOf(signer.verifierKey)]
  const line = signatureLine(signNote('text\n', signer))
  const others = Array.from({ length: 99 }, (_, index) => `— w${index} ${Buffer.alloc(68).toString('base64')}`)
  assert.equal(openNote(noteOf('text\n', ...others, line), verifiers).problem, undefined)
  assert.equal(openNote(noteOf('text\n', ...others, line, line), verifiers).problem, 'malformed')
})

test('notes that are none are malformed', () => {
  const signer = newSigner('prod')
  const verifiers = [verifierOf(signer.verifierKey)]
  const line = signatureLine(signNote('text\n', signer))
  const bytes = line.slice('— prod '.length)
  const malformed: Record<string, string> = {
    'no empty line': `text\n${line}\n`,
    'no signature': 'text\n\n',
    'an empty line among the signatures': noteOf('text\n', line, '', 'x'),
    'a hyphen for the dash': noteOf('text\n', line.replace('—', '-')),
    'two spaces': noteOf('text\n', line.replace(' ', '  ')),
    'no name': noteOf('text\n', `— ${bytes}`),
    'a plus in the name': noteOf('text\n', `— a+b ${bytes}`, line),
    'no signature bytes': noteOf('text\n', `— prod ${Buffer.alloc(4).toString('base64')}`, line),
    'base64 without padding': noteOf('text\n', line.replace(/=+$/, '')),
    base64url: noteOf('text\n', `— w ${Buffer.alloc(68, 0xff).toString('base64url')}`, line),
    'a carriage return': noteOf('text\r\n', line),
    'a tab': noteOf('te\txt\n', line),
    'a zero': noteOf('te\0xt\n', line),
    'a lone surrogate': noteOf('te\ud800xt\n', line),
    nothing: '',
  }
  for (const [what, note] of Object.entries(malformed))
    assert.equal(openNote(note, verifiers).problem, 'malformed', what)
})

test('without verifiers nothing is believed', () => {
  assert.equal(openNote(signNote('text\n', newSigner('prod')), []).problem, 'unknown_key')
})

test('any text opens as a refusal or as itself', () => {
  const signer = newSigner('prod')
  const verifiers: Verifier[] = [verifierOf(signer.verifierKey)]
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      assert.notEqual(openNote(text, verifiers).problem, undefined)
      const signable = `${text.replace(/\p{Cc}/gu, '')}\n`
      const opened = openNote(signNote(signable, signer), verifiers)
      assert.equal(opened.problem === undefined && opened.text, signable)
    }),
  )
})

test('a text that could not be read back is not signed', () => {
  const signer = newSigner('prod')
  for (const text of ['', 'no newline', 'a\r\n', 'a\tb\n', 'lone \udc00\n']) assert.throws(() => signNote(text, signer))
})

test('what is not a verifier key is refused with a reason', () => {
  const { verifierKey } = newSigner('prod')
  const [, keyId, key] = verifierKey.split(/\+(.{8})\+/s)
  const wrong = [
    '',
    'prod',
    'prod+',
    `prod+${keyId}`,
    `+${keyId}+${key}`,
    `pr od+${keyId}+${key}`,
    `prod+${keyId?.toUpperCase()}x+${key}`,
    `prod+${keyId}+${key}\n`,
    ` ${verifierKey}`,
    `prod+00000000+${key}`,
    `other+${keyId}+${key}`,
    `prod+${keyId}+AAAA`,
    formatVerifierKey('prod', Buffer.alloc(31)),
    formatVerifierKey('prod', Buffer.alloc(33)),
  ]
  for (const text of wrong) {
    const parsed = parseVerifierKey(text)
    assert.ok('problem' in parsed && parsed.reason.length > 10, text)
  }
})

test('key names hold no white space, no control characters and no plus', () => {
  for (const name of ['prod', 'example.com/log', 'ümlaut', '日本', 'a-b_c.d:e']) assert.ok(isKeyName(name), name)
  const wrong = ['', ' ', 'a b', 'a\tb', 'a\n', 'a+b', 'a\u00a0b', 'a\u2003b', 'a\u0085b', 'a\0', 'a\u007f', '\ud800']
  for (const name of wrong) assert.ok(!isKeyName(name), JSON.stringify(name))
})

test('base64 has one form only', () => {
  assert.deepEqual(decodeBase64('AQI='), Buffer.of(1, 2))
  for (const text of ['AQI', 'AQJ=', 'AQI=\n', ' AQI=', 'AQ I=', 'AQI==', '-_8=', '*'])
    assert.equal(decodeBase64(text), undefined, JSON.stringify(text))
})

/** Each bit of a byte on its own. */
const everyBit = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]

function signatureLine(note: string): string {
  return note.slice(note.lastIndexOf('\n\n') + 2, -1)
}
