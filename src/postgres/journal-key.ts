/**
 * The key that signs the journal. Any number of sequencers share it, so the journal's row says which one it is. Always
 * holds: another key signs only behind rotations that lead to it and are sealed in the same transaction, once; a sequencer that
 * still has the key from before a rotation, or a key of its own, seals nothing.
 */

import type { Signer } from '../chain/note.ts'
import { type Rotation, rotationsTo } from '../chain/rotation.ts'
import { AuditError } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import type { Journal } from './journal.ts'

export interface JournalKey {
  readonly signer: Signer
  /** What `otel-audit key rotate` has written beside the key; default: nothing. */
  readonly rotations?: readonly Rotation[] | undefined
}

/** What is to be sealed because the journal is signed by this key from now on. Throws where nothing vouches for that. */
export function rotationFacts(
  { verifierKey: before }: Pick<Journal, 'verifierKey'>,
  { signer, rotations = [] }: JournalKey,
): ControlFact[] {
  if (before === signer.verifierKey) return []
  const path = rotationsTo(signer.verifierKey, rotations, before)
  if (before !== undefined && path[0]?.old !== before) throw anotherKey(before, signer.verifierKey)
  return path.map((rotation) => ({ type: 'audit.key.rotated', details: { ...rotation } }))
}

function anotherKey(before: string, now: string): AuditError {
  const keyOf = (verifierKey: string) => verifierKey.split('+').slice(0, 2).join('+')
  return new AuditError(
    'INVALID_OPTION',
    `the journal of this database is signed by the key ${keyOf(before)}, and no rotation leads from it to ${keyOf(now)}`,
    {
      setting: 'keys.signingKeyFile',
      hint:
        'Give every sequencer the same key; after otel-audit key rotate start this process anew. ' +
        'docs/keys.md says what to do when the old key is lost.',
    },
  )
}
