/**
 * What a witness has seen of each log: one file for each origin, the size and root that it cosigned last. Always holds: a
 * file changes whole and is durable before the cosignature leaves, so that no crash lets a witness cosign a fork.
 */

import { hash, randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from '../chain/checkpoint.ts'
import { AuditError, errorCode, errorText } from '../errors.ts'

/** What was cosigned last, by origin. */
export interface WitnessStore {
  /** `undefined` for an origin that was never cosigned. */
  latest(origin: string): Checkpoint | undefined
  /** Durable on return. */
  keep(checkpoint: Checkpoint): void
}

/** A store in a directory that exists and that nobody else writes. */
export function openWitnessStore(directory: string): WitnessStore {
  const pathOf = (origin: string) => join(directory, `${hash('sha256', origin, 'hex')}.checkpoint`)
  return {
    latest: (origin) => readCheckpoint(pathOf(origin), origin),
    keep(checkpoint) {
      const path = pathOf(checkpoint.origin)
      const draft = `${path}.${randomUUID()}.new`
      try {
        writeFileSync(draft, formatCheckpoint(checkpoint), { flag: 'wx', mode: 0o600, flush: true })
        renameSync(draft, path)
        syncDirectory(directory)
      } finally {
        rmSync(draft, { force: true })
      }
    },
  }
}

function readCheckpoint(path: string, origin: string): Checkpoint | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined
    throw unreadable(path, errorText(cause))
  }
  const checkpoint = parseCheckpoint(text)
  // Taken for none, a damaged file would let the next fork pass.
  if ('problem' in checkpoint) throw unreadable(path, checkpoint.reason)
  if (checkpoint.origin !== origin) throw unreadable(path, `it is of ${checkpoint.origin}`)
  return checkpoint
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function unreadable(path: string, reason: string): AuditError {
  return new AuditError('SOURCE_UNREADABLE', `what the witness has seen cannot be read from ${path}: ${reason}`, {
    setting: '--store',
    hint: 'restore the file; without it the witness does not know what it has cosigned, and cosigns nothing',
  })
}
