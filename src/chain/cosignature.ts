/**
 * Cosignatures of checkpoints by witnesses (c2sp.org/tlog-cosignature, cosignature/v1, Ed25519). Pure.
 *
 *   cosignature/v1                   signed: these two lines, then the text of the checkpoint
 *   time 1679315147                  seconds since the epoch
 *
 * The signature line of a note carries keyid4 ‖ time (8 bytes, big-endian) ‖ signature; keyid is the first four bytes of
 * SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key), so that readers who only know the log's key pass over it.
 */

import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { decodeBase64, isKeyName, type NoteRefusal, type Signer } from './note.ts'

/** The public half of a witness's key. */
export interface Witness {
  readonly name: string
  readonly keyId: string
  readonly publicKey: KeyObject
}

/** A checkpoint text that a witness has seen. */
export interface OpenedCosignature {
  readonly problem?: undefined
  /** When, in seconds since the epoch, by the witness's clock. */
  readonly time: number
}

const cosignatureType = 0x04
const publicKeyDer = Buffer.from('302a300506032b6570032100', 'hex')

/** `<name>+<keyid>+<base64(0x04 ‖ public key)>`: the verifier key of a signer that cosigns as a witness. */
export function witnessKeyOf({ name, verifierKey }: Signer): string {
  const key = typedKey(publicHalf(verifierKey))
  return `${name}+${keyIdOf(name, key)}+${key.toString('base64')}`
}

/** Inverse of `witnessKeyOf`; for anything else, why it is not the key of a witness. */
export function parseWitnessKey(text: string): Witness | NoteRefusal {
  const [, name = '', keyId, base64 = ''] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? []
  const key = decodeBase64(base64)
  if (!isKeyName(name) || key?.length !== 33) return malformed('the key of a witness has the form <name>+<id>+<base64>')
  if (key[0] !== cosignatureType) return malformed('the key is not that of a witness (its algorithm is not 0x04)')
  if (keyIdOf(name, key) !== keyId) return malformed('the key id of a witness does not fit its name and key')
  const der = Buffer.concat([publicKeyDer, key.subarray(1)])
  return { name, keyId, publicKey: createPublicKey({ key: der, format: 'der', type: 'spki' }) }
}

/** Name and key id in the text form of a key, as reports and states show a witness. */
export function witnessNameOf(key: string): string {
  return key.split('+', 2).join('+')
}

/** The signature line, with its newline, by which the signer says that it has seen this text at this time (seconds). */
export function cosign(text: string, time: number, signer: Signer): string {
  const stamp = Buffer.alloc(8)
  stamp.writeBigUInt64BE(BigInt(time))
  const keyId = Buffer.from(keyIdOf(signer.name, typedKey(publicHalf(signer.verifierKey))), 'hex')
  const line = Buffer.concat([keyId, stamp, signer.sign(cosigned(text, BigInt(time)))])
  return `— ${signer.name} ${line.toString('base64')}\n`
}

/** Opens the line of `cosign`; for another text, time, witness or form, why not. Never throws. */
export function openCosignature(text: string, line: string, witness: Witness): OpenedCosignature | NoteRefusal {
  const [, name, base64 = ''] = /^— ([^ \n]+) ([^ \n]+)\n?$/.exec(line) ?? []
  const bytes = decodeBase64(base64)
  if (name === undefined || bytes?.length !== 4 + 8 + 64) return malformed('it is not the line of a cosignature')
  if (name !== witness.name || bytes.toString('hex', 0, 4) !== witness.keyId)
    return { problem: 'unknown_key', reason: `cosigned by ${name}+${bytes.toString('hex', 0, 4)}` }
  const time = bytes.readBigUInt64BE(4)
  if (!verify(null, Buffer.from(cosigned(text, time)), witness.publicKey, bytes.subarray(12)))
    return { problem: 'bad_signature', reason: `not cosigned by ${name}+${witness.keyId}` }
  return { time: Number(time) }
}

function cosigned(text: string, time: bigint): string {
  return `cosignature/v1\ntime ${time}\n${text}`
}

function keyIdOf(name: string, key: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'hex').slice(0, 8)
}

function publicHalf(verifierKey: string): Buffer {
  return Buffer.from(verifierKey.split('+').slice(2).join('+'), 'base64').subarray(1)
}

function typedKey(publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(cosignatureType), publicKey])
}

function malformed(reason: string): NoteRefusal {
  return { problem: 'malformed', reason }
}
