/**
 * Rotation on disk: another key in the place of a key file, and beside it the file of rotations `KEY.rotations`, one
 * JSON line each, public. Always holds: the statement is durable before the key is in its place, so that a key that signs
 * can always name the one before it; the key until then stays beside it under its key id, for the operator to destroy.
 */

import { randomUUID } from 'node:crypto'
import { existsSync, linkSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { AuditError, errorCode, errorText } from '../errors.ts'
import { createKeyFile, loadSigner, syncDirectory, writeSynced } from './keys.ts'
import type { Signer } from './note.ts'
import { type Rotation, signRotation } from './rotation.ts'

/** What a rotation did. */
export interface KeyRotation extends Rotation {
  /** The file that holds the new key. */
  readonly file: string
  /** Where the old key lies now. */
  readonly oldFile: string
  readonly rotationsFile: string
}

/** The file of rotations of a key file. */
export function rotationsFileOf(keyFile: string): string {
  return `${keyFile}.rotations`
}

/**
 * Makes a new key in the place of the one in `file`; with `next`, in that file, and `file` stays (a key that exists there
 * is taken). Durable on return. A crash leaves the old key in force, or the new one with its statement.
 */
export function rotateKey(file: string, name: string, next?: string): KeyRotation {
  const old = loadSigner(file, name)
  try {
    return next === undefined ? rotateInPlace(file, old) : rotateTo(next, { file, old })
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('KEY_UNREADABLE', `the key ${file} cannot be rotated: ${errorText(cause)}`, {
      setting: 'FILE',
      hint: 'let this user write its directory, or name a file elsewhere: --next FILE',
      cause,
    })
  }
}

function rotateInPlace(file: string, old: Signer): KeyRotation {
  const draft = `${file}.${randomUUID()}.next`
  createKeyFile(draft)
  try {
    const rotation = signRotation(old, loadSigner(draft, old.name))
    const oldFile = `${file}.${old.keyId}`
    if (!existsSync(oldFile)) linkSync(file, oldFile)
    addRotation(rotationsFileOf(file), readRotations(rotationsFileOf(file)), rotation)
    renameSync(draft, file)
    syncDirectory(dirname(file))
    return { ...rotation, file, oldFile, rotationsFile: rotationsFileOf(file) }
  } finally {
    rmSync(draft, { force: true })
  }
}

function rotateTo(next: string, { file, old }: { file: string; old: Signer }): KeyRotation {
  createKeyFile(next)
  const signer = loadSigner(next, old.name)
  if (signer.verifierKey === old.verifierKey)
    throw new AuditError('INVALID_OPTION', `--next: ${next} holds the key that is to be replaced`, {
      setting: '--next',
      hint: 'name a file with another key, or one that does not exist yet',
    })
  const rotation = signRotation(old, signer)
  addRotation(rotationsFileOf(next), readRotations(rotationsFileOf(file)), rotation)
  return { ...rotation, file: next, oldFile: file, rotationsFile: rotationsFileOf(next) }
}

function addRotation(file: string, before: readonly Rotation[], rotation: Rotation): void {
  const draft = `${file}.${randomUUID()}.new`
  try {
    writeSynced(draft, [...before, rotation].map((one) => `${JSON.stringify(one)}\n`).join(''))
    renameSync(draft, file)
    syncDirectory(dirname(file))
  } finally {
    rmSync(draft, { force: true })
  }
}

/** The rotations in a file, none when there is no such file. What is not JSON is `KEY_UNREADABLE`; signatures are not looked at. */
export function readRotations(file: string): Rotation[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return []
    throw unreadable(file, errorText(cause), cause)
  }
  try {
    const lines = text.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Rotation)
  } catch (cause) {
    throw unreadable(file, 'it holds something else than one JSON object a line', cause)
  }
}

function unreadable(file: string, reason: string, cause: unknown): AuditError {
  return new AuditError('KEY_UNREADABLE', `the rotations ${file} cannot be read: ${reason}`, {
    setting: 'keys.rotationsFile',
    hint: 'name the file that "otel-audit key rotate" has written beside the key',
    cause,
  })
}
