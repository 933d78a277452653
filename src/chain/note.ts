/**
 * Signed notes (c2sp.org/signed-note, golang.org/x/mod/sumdb/note) with Ed25519 keys. Pure: no I/O.
 *
 *   This is an example message.
 *
 *   — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
 *
 * verifier key  example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
 * Opening never throws; a text is handed out only when a known key has signed it. `signNote` is its inverse.
 */

import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { noteSignaturesMax } from '../limits.ts'

/** The public half of a key and the name it signs under. Name and key id together identify it. */
export interface Verifier {
  readonly name: string
  /** As `keyIdOf` gives it. */
  readonly keyId: string
  readonly publicKey: KeyObject
}

/** A private key and the name it signs under. */
export interface Signer {
  readonly name: string
  readonly keyId: string
  /** `<name>+<keyid>+<base64(0x01 ‖ public key)>`: what `parseVerifierKey` reads. */
  readonly verifierKey: string
  /** The 64 bytes of the Ed25519 signature over the UTF-8 of `text`. */
  sign(text: string): Buffer
}

/** Why a note was not opened. */
export interface NoteRefusal {
  /** `malformed`: not a note. `bad_signature`: a known key did not sign this. `unknown_key`: no known key did. */
  readonly problem: 'malformed' | 'bad_signature' | 'unknown_key'
  readonly reason: string
}

/** A note that at least one known key has signed, and whose known keys have all signed it. */
export interface OpenedNote {
  readonly problem?: undefined
  /** The signed text, with its last newline. */
  readonly text: string
  /** The known keys that signed it, in the order of their signatures. */
  readonly signers: readonly Verifier[]
}

interface SignatureLine {
  readonly name: string
  readonly keyId: string
  readonly signature: Buffer
}

const ed25519 = 0x01
const publicKeyBytes = 32
/** DER of an Ed25519 SubjectPublicKeyInfo (RFC 8410) up to the raw key. */
const publicKeyDer = Buffer.from('302a300506032b6570032100', 'hex')

/** Whether `name` may stand in a note: not empty, no white space, no control characters, no `+`. */
export function isKeyName(name: string): boolean {
  return /^[^\s\p{Cc}+]+$/u.test(name) && name.isWellFormed()
}

/** First four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), 8 hex digits, of a raw public key (32 bytes). */
export function keyIdOf(name: string, publicKey: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typedKey(publicKey)]), 'hex').slice(0, 8)
}

/** The verifier key of a raw Ed25519 public key (32 bytes). */
export function formatVerifierKey(name: string, publicKey: Uint8Array): string {
  return `${name}+${keyIdOf(name, publicKey)}+${typedKey(publicKey).toString('base64')}`
}

/** Inverse of `formatVerifierKey`; for anything else, why it is not a verifier key. */
export function parseVerifierKey(text: string): Verifier | NoteRefusal {
  const [, name, keyId, base64] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? []
  if (name === undefined || keyId === undefined || base64 === undefined)
    return malformed('a verifier key has the form <name>+<8 hex digits>+<base64>')
  if (!isKeyName(name)) return malformed('the name of a verifier key is empty or holds white space')
  const key = decodeBase64(base64)
  if (key === undefined) return malformed('the key of a verifier key is not base64')
  if (key[0] !== ed25519 || key.length !== 1 + publicKeyBytes) return malformed('a verifier key that is not Ed25519')
  const publicKey = key.subarray(1)
  if (keyIdOf(name, publicKey) !== keyId) return malformed('the key id of a verifier key does not fit its name and key')
  const der = Buffer.concat([publicKeyDer, publicKey])
  return { name, keyId, publicKey: createPublicKey({ key: der, format: 'der', type: 'spki' }) }
}

/** The note of `text` with one signature. The text must end with a newline and hold no other control character. */
export function signNote(text: string, signer: Signer): string {
  if (!isNoteText(text) || !text.endsWith('\n')) throw new TypeError('this text cannot stand in a note')
  const signature = Buffer.concat([Buffer.from(signer.keyId, 'hex'), signer.sign(text)])
  return `${text}\n— ${signer.name} ${signature.toString('base64')}\n`
}

/**
 * Opens a note: every signature of a known key is checked, those of unknown keys are ignored. One known key that
 * fails refuses the note, and so does a note that no known key has signed.
 */
export function openNote(note: string, verifiers: readonly Verifier[]): OpenedNote | NoteRefusal {
  const parts = splitNote(note)
  if ('problem' in parts) return parts
  const signed = Buffer.from(parts.text)
  const signers = new Set<Verifier>()
  for (const { name, keyId, signature } of parts.signatures) {
    const known = verifiers.filter((verifier) => verifier.name === name && verifier.keyId === keyId)
    const signer = known.find(({ publicKey }) => verify(null, signed, publicKey, signature))
    if (signer !== undefined) signers.add(signer)
    else if (known.length > 0) return { problem: 'bad_signature', reason: `not signed by ${name}+${keyId}` }
  }
  if (signers.size > 0) return { text: parts.text, signers: [...signers] }
  const keys = parts.signatures.map(({ name, keyId }) => `${name}+${keyId}`)
  return { problem: 'unknown_key', reason: `signed by no known key, only by ${keys.join(', ')}` }
}

/** Standard base64 (RFC 4648 section 4) in its one canonical form; undefined for anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  // Node skips what it does not know and drops spare bits; one text per value leaves nothing to tamper with.
  return bytes.toString('base64') === text ? bytes : undefined
}

function splitNote(note: string): { text: string; signatures: SignatureLine[] } | NoteRefusal {
  if (!isNoteText(note)) return malformed('not a note: it holds control characters or is not UTF-8')
  // The text may have empty lines of its own: the last one separates.
  const end = note.lastIndexOf('\n\n') + 1
  if (end === 0 || !note.endsWith('\n')) return malformed('not a note: no signature lines after an empty line')
  const lines = note.slice(end + 1, -1).split('\n', noteSignaturesMax + 1)
  if (lines.length > noteSignaturesMax) return malformed(`a note with more than ${noteSignaturesMax} signatures`)
  const signatures: SignatureLine[] = []
  for (const line of lines) {
    const parsed = parseSignatureLine(line)
    if (parsed === undefined) return malformed('a note with a malformed signature line')
    signatures.push(parsed)
  }
  return { text: note.slice(0, end), signatures }
}

function parseSignatureLine(line: string): SignatureLine | undefined {
  const [, name, base64] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? []
  if (name === undefined || base64 === undefined || !isKeyName(name)) return undefined
  const bytes = decodeBase64(base64)
  if (bytes === undefined || bytes.length < 5) return undefined
  return { name, keyId: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) }
}

function isNoteText(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point.
  return text.isWellFormed() && !/[\0-\x09\x0b-\x1f]/.test(text)
}

/** The public key as notes carry it, with its algorithm in front. */
function typedKey(publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(ed25519), publicKey])
}

function malformed(reason: string): NoteRefusal {
  return { problem: 'malformed', reason }
}
