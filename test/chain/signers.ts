/** Keys for tests: signers that never touch the disk, and their verifiers. */

import { createPrivateKey, randomBytes } from 'node:crypto'
import { signerFromPem } from '../../src/chain/keys.ts'
import { parseVerifierKey, type Signer, type Verifier } from '../../src/chain/note.ts'

const privateKeyDer = Buffer.from('302e020100300506032b657004220420', 'hex')

export function newSigner(name: string): Signer {
  return signerFromSeed(randomBytes(32), name)
}

/** The signer of a raw private seed of 32 bytes. */
export function signerFromSeed(seed: Uint8Array, name: string): Signer {
  const key = createPrivateKey({ key: Buffer.concat([privateKeyDer, seed]), format: 'der', type: 'pkcs8' })
  return signerFromPem(key.export({ type: 'pkcs8', format: 'pem' }).toString(), name)
}

/** The verifier of a verifier key that is known to be good. */
export function verifierOf(verifierKey: string): Verifier {
  const verifier = parseVerifierKey(verifierKey)
  if ('problem' in verifier) throw new Error(verifier.reason)
  return verifier
}
