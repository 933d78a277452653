/** Where a spool's files lie, and the errors with which it refuses to be opened or read, each with what to do. */

import { join } from 'node:path'
import { AuditError, errorText } from '../errors.ts'
import { segmentName } from './format.ts'
import { isNoSpace } from './state.ts'

export function segmentPath(directory: string, segment: number): string {
  return join(directory, segmentName(segment))
}

export function controlPath(directory: string): string {
  return join(directory, 'control')
}

export function lockPath(directory: string): string {
  return join(directory, 'lock')
}

export function ballastPath(directory: string): string {
  return join(directory, 'ballast')
}

/** The journal of a repair: as long as it stands there, the repair is not finished. */
export function repairPath(directory: string): string {
  return join(directory, 'repair')
}

/** One thing that is wrong with a spool, as it is found. */
export interface Damage {
  /** `owner`: a second process wrote the spool · `repair`: a repair was interrupted. */
  readonly kind: 'corrupt' | 'missing' | 'control' | 'owner' | 'repair'
  readonly segment?: number | undefined
  readonly offset?: number | undefined
  /** What is wrong, where, and what proves that more was there. */
  readonly what: string
}

/** Recovery refuses to guess around damage. */
export class SpoolDamaged extends AuditError {
  readonly damage: Damage

  constructor(path: string, damage: Damage, hint: string) {
    super('SPOOL_CORRUPT', `${path}: ${damage.what}`, { setting: 'spool.directory', hint })
    this.damage = damage
  }
}

/** Damage in a segment that must not be guessed around. */
export function damaged(directory: string, segment: number, what: string | Omit<Damage, 'segment'>): SpoolDamaged {
  const damage = typeof what === 'string' ? { kind: 'corrupt' as const, what } : what
  return new SpoolDamaged(segmentPath(directory, segment), { ...damage, segment }, remedies(directory))
}

/** A control file that cannot be used. */
export function controlDamaged(directory: string, what: string): SpoolDamaged {
  return new SpoolDamaged(controlPath(directory), { kind: 'control', what }, remedies(directory))
}

/** A repair that was killed has moved part of the spool; only the repair itself knows the rest. */
export function repairUnfinished(directory: string): SpoolDamaged {
  const what = 'a repair was interrupted and has not finished'
  const hint = `Finish it: otel-audit spool repair ${shellWord(directory)} --accept-loss`
  return new SpoolDamaged(repairPath(directory), { kind: 'repair', what }, hint)
}

function remedies(directory: string): string {
  const word = shellWord(directory)
  return `Nothing was changed. For a full report: otel-audit spool check ${word} To go on without what is damaged, which is moved to quarantine and declared in the trail: otel-audit spool repair ${word} --accept-loss`
}

/** A path as a shell takes it in a command that is to be copied. */
export function shellWord(path: string): string {
  return /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
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

/** Longest text an operator may give, in bytes: control must have room for it until it is sealed. */
const operatorTextBytesMax = 512

/** Throws `INVALID_OPTION` for a text of an operator that is too long to be kept. */
export function checkOperatorTexts({ why = '', operator }: { why?: string | undefined; operator: string }): void {
  for (const [setting, text] of Object.entries({ '--why': why, '--operator': operator })) {
    const bytes = Buffer.byteLength(text)
    if (bytes <= operatorTextBytesMax) continue
    throw new AuditError(
      'INVALID_OPTION',
      `${setting} has ${bytes} bytes, at most ${operatorTextBytesMax} are allowed`,
      {
        setting,
        hint: 'Say it shorter; it is sealed into the trail.',
      },
    )
  }
}

/** A directory that cannot be created, read or written. */
export function notWritable(directory: string, cause: unknown): AuditError {
  return new AuditError('SPOOL_NOT_WRITABLE', `spool ${directory} cannot be opened: ${errorText(cause)}`, {
    setting: 'spool.directory',
    hint: isNoSpace(cause)
      ? 'Its disk is full, and nothing was lost or changed: make room for some 100 KiB, and start again.'
      : 'Name a directory on a local disk that this process may create and write.',
    cause,
  })
}

/** A directory on a network file system. */
export function onNetwork(directory: string, fileSystem: string): AuditError {
  return new AuditError('PLATFORM_UNSUPPORTED', `spool ${directory} lies on ${fileSystem}`, {
    setting: 'spool.directory',
    hint: 'A network file system cannot promise what the spool promises: use a local disk.',
  })
}

/** A disk that refuses again and again; it may heal. */
export function diskFailed(directory: string, reason: string): AuditError {
  return new AuditError('SPOOL_FAILED', `the disk of spool ${directory} fails: ${reason}`, {
    setting: 'spool.directory',
    hint: 'What was written is kept, and becomes durable if the disk heals while the process lives. Look at the disk.',
  })
}

/** A broken invariant, or a sync thread that is gone: for ever. */
export function spoolStopped(directory: string, reason: string): AuditError {
  return new AuditError('SPOOL_FAILED', `spool ${directory} has stopped: ${reason}`, {
    setting: 'spool.directory',
    hint: 'What was written before is kept. Look at the disk, run `otel-audit spool check`, and restart the process.',
  })
}
