/**
 * The one error class that otel-audit throws, and the closed list of its codes.
 * Thrown for the caller's mistakes and for local states in which starting would lose events; what a remote
 * peer does wrong never throws (it shows in `audit.state`), and what is wrong with a trail is a finding.
 */

/** Every code an `AuditError` can carry. */
export type AuditErrorCode =
  | 'INVALID_OPTION' // a setting has a value that is not allowed
  | 'SPOOL_LOCKED' // another process writes this spool directory
  | 'SPOOL_NOT_WRITABLE' // the spool directory cannot be created, read or written
  | 'SPOOL_VERSION' // the spool was written by a newer format version
  | 'SPOOL_CORRUPT' // the spool holds damage that recovery must not guess around
  | 'SPOOL_FULL' // the spool has no room for this record
  | 'SPOOL_FAILED' // the spool stopped while running: a broken invariant or a disk error
  | 'PLATFORM_UNSUPPORTED' // this platform or file system cannot give the spool's guarantees
  | 'FILE_NOT_WRITABLE' // a local file destination cannot be opened for appending
  | 'KEY_UNREADABLE' // the signing key file is missing, malformed or readable by others
  | 'WORKER_NOT_FOUND' // the worker module could not be loaded (a bundler moved it)
  | 'MODULE_NOT_FOUND' // a package that a destination needs is not installed
  | 'SOURCE_UNREADABLE' // a source given to verify or query cannot be opened or recognised
  | 'ARCHIVE_FAILED' // an archive cannot be read or written
  | 'MIGRATION_FAILED' // the database refused a migration, or its history differs from ours
  | 'QUARANTINED' // a destination refuses this record for ever; it was set aside
  | 'CLOSED' // used after close

export interface AuditErrorDetails {
  /** The setting or argument at fault, as the user writes it: `spool.directory`, `--vkey`. */
  readonly setting?: string | undefined
  /** What to do about it, one sentence. */
  readonly hint: string
  readonly cause?: unknown
}

/** A mistake the caller can mend. `message` says what is wrong, `hint` what to do. */
export class AuditError extends Error {
  override readonly name = 'AuditError'
  readonly code: AuditErrorCode
  readonly setting: string | undefined
  readonly hint: string

  constructor(code: AuditErrorCode, message: string, details: AuditErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.setting = details.setting
    this.hint = details.hint
  }
}

/** The text of anything that was thrown, for log lines and findings; never throws itself. */
export function errorText(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown === 'string' ? thrown : 'unknown error'
  const code = (thrown as { code?: unknown }).code
  return typeof code === 'string' && !thrown.message.includes(code) ? `${code}: ${thrown.message}` : thrown.message
}

/** The system error code (`ENOENT`, `ECONNREFUSED`) of anything that was thrown, if it has one. */
export function errorCode(thrown: unknown): string | undefined {
  const code = thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : undefined
}
