/** Where a spool's files lie, and the errors with which it refuses to be opened or read, each with what to do. */

import { join } from 'node:path'
import { AuditError } from '../errors.ts'
import { segmentName } from './format.ts'

export function segmentPath(directory: string, segment: number): string {
  return join(directory, segmentName(segment))
}

export function controlPath(directory: string): string {
  return join(directory, 'control')
}

export function ballastPath(directory: string): string {
  return join(directory, 'ballast')
}

/** Damage in a segment that must not be guessed around. */
export function damaged(directory: string, segment: number, what: string): AuditError {
  return new AuditError('SPOOL_CORRUPT', `${segmentPath(directory, segment)}: ${what}`, {
    setting: 'spool.directory',
    hint: 'Nothing was changed. Look with `otel-audit spool check`, keep a copy of the directory, and start with another one.',
  })
}

/** A control file that cannot be used. */
export function controlDamaged(directory: string, what: string): AuditError {
  return new AuditError('SPOOL_CORRUPT', `${controlPath(directory)}: ${what}`, {
    setting: 'spool.directory',
    hint: 'Nothing was changed. Restore the file, or keep a copy of the directory and start with another one.',
  })
}

/** A file of a later format; `what` says which. */
export function newerVersion(path: string, what: string): AuditError {
  return new AuditError('SPOOL_VERSION', `${path} has ${what}`, {
    setting: 'spool.directory',
    hint: 'It was written by a newer otel-audit: use that version, or another directory.',
  })
}

/** A directory in which no spool is. */
export function noSpool(directory: string): AuditError {
  return new AuditError('SOURCE_UNREADABLE', `${directory} is no spool: it has no control file`, {
    setting: 'DIR',
    hint: 'Name the directory that spool.directory names.',
  })
}
