/**
 * The rotation of a signing key: a note that both keys have signed, so that whoever trusts one of them can trust the
 * other. Four lines, so that it can never be read as a checkpoint, which has three. Pure.
 *
 *   otel-audit key rotation
 *   prod                                           the name that both sign under
 *   prod+530d903a+AekyeRrm56hApGFkyQR4ZCbV…        verifier key until now
 *   prod+a7c1e5f2+ATfNRWn0lqGQKCrcTyNP0pWc…        verifier key from now on
 */

import { type NoteRefusal, openNote, parseVerifierKey, type Signer, signNote, type Verifier } from './note.ts'

/** The details of an `audit.key.rotated` record, and a line of the file of rotations beside a key. */
export interface Rotation {
  /** Verifier keys, as they stand in the note. */
  readonly old: string
  readonly new: string
  /** Signed by both. */
  readonly note: string
}

/** A rotation that both keys have signed. Whether one of them is trusted is the reader's matter. */
export interface OpenedRotation {
  readonly problem?: undefined
  readonly old: Verifier
  readonly next: Verifier
}

const firstLine = 'otel-audit key rotation'

/** The rotation from one key to another of the same name; a `TypeError` when the names differ or the keys do not. */
export function signRotation(old: Signer, next: Signer): Rotation {
  if (old.name !== next.name || old.verifierKey === next.verifierKey)
    throw new TypeError('a rotation goes to another key of the same name')
  const text = `${firstLine}\n${old.name}\n${old.verifierKey}\n${next.verifierKey}\n`
  const second = signNote(text, next).slice(text.length + 1)
  return { old: old.verifierKey, new: next.verifierKey, note: `${signNote(text, old)}${second}` }
}

/** Inverse of `signRotation`; for anything that both keys have not signed, why it is no rotation. Never throws. */
export function openRotation(details: unknown): OpenedRotation | NoteRefusal {
  const { note, old: oldKey, new: nextKey } = (details ?? {}) as { note?: unknown; old?: unknown; new?: unknown }
  if (typeof note !== 'string') return malformed('the details of a rotation hold its note')
  const [first, name, ...keys] = note.slice(0, note.lastIndexOf('\n\n') + 1).split('\n')
  const [old, next] = keys.map((key) => parseVerifierKey(key))
  if (first !== firstLine || keys.length !== 3 || old === undefined || next === undefined)
    return malformed('a rotation has four lines: what it is, the name, the old key and the new one')
  if ('problem' in old) return old
  if ('problem' in next) return next
  if (old.name !== name || next.name !== name) return malformed('the keys of a rotation have another name than it says')
  if (keys[0] === keys[1]) return malformed('a rotation from a key to itself')
  if (oldKey !== keys[0] || nextKey !== keys[1]) return malformed('old and new are not the keys of the note')
  const opened = openNote(note, [old, next])
  if (opened.problem !== undefined) return opened
  const missing = [old, next].find((key) => !opened.signers.includes(key))
  if (missing === undefined) return { old, next }
  return { problem: 'bad_signature', reason: `the rotation is not signed by ${missing.name}+${missing.keyId}` }
}

/**
 * The rotations that lead to the key `to`, oldest first: back to `from`, or as far as they go. What is not a rotation
 * is passed over.
 */
export function rotationsTo(to: string, rotations: readonly Rotation[], from?: string): Rotation[] {
  const path: Rotation[] = []
  let key = to
  while (key !== from) {
    const step = rotations.find((one) => one.new === key && !path.includes(one) && !openRotation(one).problem)
    if (step === undefined) break
    path.unshift(step)
    key = step.old
  }
  return path
}

function malformed(reason: string): NoteRefusal {
  return { problem: 'malformed', reason }
}
