/**
 * The key that signs a trail, and what the trail must say when it is another than before: the spool directory remembers
 * in `key-in-use` which key signed last, in its last line. Always holds: that file changes only after the record of the rotation is durable,
 * so that a crash in between seals it once more and never not at all. A key without a file has no rotations but those
 * that `keys.rotationsFile` names.
 */

import { join } from 'node:path'
import { readRotations, rotationsFileOf } from '../chain/key-rotation.ts'
import { loadOrCreateKey, signerFromPem } from '../chain/keys.ts'
import type { Signer } from '../chain/note.ts'
import { type Rotation, rotationsTo } from '../chain/rotation.ts'
import { checkModule } from '../destination/optional-module.ts'
import { AuditError } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import type { AuditConfig } from './config.ts'
import { readNote, writeNote } from './local-files.ts'
import { announce } from './notice.ts'

export interface Signing {
  readonly signer: Signer
  /** The private key, for the thread that signs; empty where a signer outside of the process does. */
  readonly pem: string
  /** Verifier keys of this private key: the current one, and those of earlier names of the deployment. */
  readonly verifierKeys: readonly string[]
  /** Those that led to the key, as far as they are known here. */
  readonly rotations: readonly Rotation[]
  /** To be sealed behind the opening: the rotations since the key that signed here last. */
  readonly facts: readonly ControlFact[]
  /** To be called once these facts are sealed; `durable` resolves when they are. */
  remember(durable: () => Promise<void>): void
}

type KeyConfig = Pick<
  AuditConfig,
  'deployment' | 'outboxUrl' | 'rotationsFile' | 'signer' | 'signingKey' | 'signingKeyFile'
>

/** Reads or makes the key. Throws `KEY_UNREADABLE`, and `INVALID_OPTION` for a name that cannot sign. */
export function openSigning(config: KeyConfig, directory: string): Signing {
  const { deployment, signingKey, signingKeyFile } = config
  const pem = config.signer === undefined ? (signingKey ?? loadOrCreateKey(signingKeyFile, deployment)) : ''
  const signer = config.signer === undefined ? signerFromPem(pem, deployment) : outsideSigner(config)
  const mark = join(directory, 'key-in-use')
  const noted = readNote(mark)?.split('\n') ?? []
  const before = noted.at(-1)
  const rotations = readKnown(config)
  const facts = before === signer.verifierKey ? [] : rotationFacts(rotations, { signer, before })
  const remember = (durable: () => Promise<void>): void => {
    if (before === signer.verifierKey) return
    // A spool that fails says so itself; the next opening seals the rotation again.
    durable().then(
      () => writeNote(mark, [...noted.filter((key) => nameOf(key) !== deployment), signer.verifierKey].join('\n')),
      () => {},
    )
  }
  return { signer, pem, verifierKeys: namesOf(signer, noted), rotations, facts, remember }
}

function readKnown({ rotationsFile, signingKey, signingKeyFile }: KeyConfig): readonly Rotation[] {
  const file = rotationsFile ?? (signingKey === undefined ? rotationsFileOf(signingKeyFile) : undefined)
  return file === undefined ? [] : readRotations(file)
}

function rotationFacts(
  known: readonly Rotation[],
  { signer, before }: { signer: Signer; before: string | undefined },
): ControlFact[] {
  const path = rotationsTo(signer.verifierKey, known, before)
  const isNamed = before === undefined || path[0]?.old === before
  if (!isNamed && nameOf(before) === signer.name)
    announce(
      `the signing key is another than before (${before}) and no rotation leads to it: whoever trusts that key cannot ` +
        'verify what is signed from here on; change keys with otel-audit key rotate, or give them the new verifier key',
    )
  return path.map((one) => ({ type: 'audit.key.rotated', details: { ...one } }))
}

/** The public half of a signer outside of the process. Throws where it cannot be the signer of this trail. */
function outsideSigner({ deployment, outboxUrl, signer }: KeyConfig): Signer {
  const { module = '', verifierKey = '' } = signer ?? {}
  checkModule({ type: 'exporter', module })
  const refuse = (message: string, hint: string): AuditError =>
    new AuditError('INVALID_OPTION', message, { setting: 'keys.signer', hint })
  if (outboxUrl !== undefined)
    throw refuse(
      'keys.signer does not go with outbox.url: the sequencer signs within a transaction',
      'seal the outbox in a process of its own, with a key in a file: otel-audit forward --postgres URL',
    )
  const [name = '', keyId = ''] = verifierKey.split('+')
  if (name !== deployment)
    throw refuse(
      `keys.signer.verifierKey is that of ${name}, and the deployment is ${deployment}`,
      'give the verifier key under the name of the deployment',
    )
  const sign = (): never => {
    throw new Error('the signer is outside of this process')
  }
  return { name, keyId, verifierKey, sign }
}

/** The same private key under earlier names: streams of theirs may still lie in the spool. */
function namesOf(signer: Signer, noted: readonly string[]): string[] {
  const publicHalf = (key: string) => key.split('+').slice(2).join('+')
  const earlier = noted.filter(
    (key) => key !== signer.verifierKey && publicHalf(key) === publicHalf(signer.verifierKey),
  )
  return [signer.verifierKey, ...earlier]
}

/** A renamed deployment starts a new stream with a key of that name; nobody expects a rotation there. */
function nameOf(verifierKey: string): string {
  return verifierKey.slice(0, verifierKey.indexOf('+'))
}
