/**
 * The signing key on disk: an Ed25519 private key, PKCS#8 PEM, mode 0600. The only file of this room that
 * touches the disk. A key file is made whole or not at all, is never overwritten, and is refused when other
 * users could read it. Whoever holds it can sign as the deployment; nothing here ever prints it.
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { AuditError, errorCode, errorText } from '../errors.ts'
import { formatVerifierKey, isKeyName, keyIdOf, type Signer } from './note.ts'

/** A PEM of one Ed25519 key has 119 bytes; a file beyond this is not a key. */
const keyFileBytesMax = 16_384
const keyFileMode = 0o600

/** The signer of a key file. `KEY_UNREADABLE` names the file and what is wrong with it. */
export function loadSigner(file: string, name: string): Signer {
  checkKeyName(name, 'deployment')
  return signerOf(readKeyFile(file), name)
}

/**
 * The PEM in a key file, which is made when there is none: for `signerFromPem`, in this thread and in others. Of two
 * processes that race, both get one key.
 */
export function loadOrCreateKey(file: string, name: string): string {
  checkKeyName(name, 'deployment')
  // Looked at first, because an existing key may lie in a directory that cannot be written.
  if (!existsSync(file)) createKeyFile(file)
  const pem = readPrivateFile(file)
  parseKey(pem, `the signing key file ${file}`)
  return pem
}

/** The signer of a PKCS#8 PEM that was kept elsewhere than in a file. Its line breaks may be written as `\n`. */
export function signerFromPem(pem: string, name: string): Signer {
  checkKeyName(name, 'deployment')
  return signerOf(parseKey(pem.replaceAll('\\n', '\n'), 'the signing key'), name)
}

/** `INVALID_OPTION` for `setting` when a key cannot sign under this name. */
export function checkKeyName(name: string, setting: string): void {
  if (isKeyName(name)) return
  throw new AuditError('INVALID_OPTION', `${setting}: ${JSON.stringify(name)} cannot be the name of a signing key`, {
    setting,
    hint: 'use a name that is not empty and holds no white space and no "+", such as "prod" or "example.com/billing"',
  })
}

/**
 * Makes a key file with a new key, durable when this returns. False when a file of this name exists already.
 * The key is written under a name of its own and linked: nobody ever sees half a key, and a link cannot replace.
 * A crash leaves at most a file `….new`, which nothing reads.
 */
export function createKeyFile(file: string): boolean {
  try {
    const created = linkNewKey(file)
    // Also by the one who came second: the first may have died before its own sync.
    syncDirectory(dirname(file))
    return created
  } catch (cause) {
    throw unreadable(`the signing key file ${file} cannot be created: ${errorText(cause)}`, {
      hint: 'name a file in a directory that exists and that this user may write',
      cause,
    })
  }
}

function linkNewKey(file: string): boolean {
  const draft = `${file}.${randomUUID()}.new`
  try {
    writeSynced(draft, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    linkSync(draft, file)
    return true
  } catch (thrown) {
    if (errorCode(thrown) === 'EEXIST') return false
    throw thrown
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Writes a new file of mode 0600, durable on return but for its name. */
export function writeSynced(file: string, text: string): void {
  const descriptor = openSync(file, 'wx', keyFileMode)
  try {
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function readKeyFile(file: string): KeyObject {
  return parseKey(readPrivateFile(file), `the signing key file ${file}`)
}

function readPrivateFile(file: string): string {
  let descriptor: number | undefined
  try {
    // Non-blocking, because opening a pipe would wait for ever; on a file it changes nothing.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const { mode, size } = fstatSync(descriptor)
    checkAccess(file, mode, size)
    return readFileSync(descriptor, 'utf8')
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw unreadable(`the signing key file ${file} cannot be read: ${errorText(cause)}`, {
      hint: `make one with: otel-audit key new --name NAME --out ${file}`,
      cause,
    })
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

function checkAccess(file: string, mode: number, size: number): void {
  if ((mode & constants.S_IFMT) !== constants.S_IFREG || size > keyFileBytesMax)
    throw unreadable(`the signing key file ${file} is not a key file`, { hint: pemHint })
  const access = mode & 0o777
  if ((access & 0o077) === 0) return
  throw unreadable(
    `the signing key file ${file} is open to other users (mode ${access.toString(8).padStart(4, '0')})`,
    {
      hint: `chmod 600 ${file}, and make a new key if somebody may have read this one`,
    },
  )
}

const pemHint = 'it must hold an unencrypted Ed25519 private key as PKCS#8 PEM, as "otel-audit key new" writes it'

function parseKey(pem: string, subject: string): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey({ key: pem, format: 'pem' })
  } catch (cause) {
    throw unreadable(`${subject} is malformed`, { hint: pemHint, cause })
  }
  if (key.asymmetricKeyType === 'ed25519') return key
  throw unreadable(`${subject} holds a key of type ${key.asymmetricKeyType}, not Ed25519`, { hint: pemHint })
}

function signerOf(key: KeyObject, name: string): Signer {
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-32)
  return {
    name,
    keyId: keyIdOf(name, publicKey),
    verifierKey: formatVerifierKey(name, publicKey),
    sign: (text) => sign(null, Buffer.from(text), key),
  }
}

function unreadable(message: string, details: { hint: string; cause?: unknown }): AuditError {
  return new AuditError('KEY_UNREADABLE', message, { setting: 'keys.signingKeyFile', ...details })
}
