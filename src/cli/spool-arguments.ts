/** What the commands of `spool` have in common: their DIR, who operates, and how they write bytes and places. */

import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { AuditError, errorCode } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { spoolDirectories } from '../spool/instances.ts'
import { type CommandIo, parseOptions, requireOption } from './command.ts'

/** The directory of one spool. Throws `INVALID_OPTION` without one, `SOURCE_UNREADABLE` for what is none. */
export function readDirectory(given: string | undefined): string {
  const [first = '', ...others] = readDirectories(given)
  if (first === given) return first
  throw new AuditError('SOURCE_UNREADABLE', `${given} holds ${others.length + 1} spools, one a slot`, {
    setting: 'DIR',
    hint: `Name one of them, for example ${first}.`,
  })
}

/** The spools that a directory stands for: itself, or its slots. Throws as `readDirectory`. */
export function readDirectories(given: string | undefined): readonly string[] {
  const directory = requireOption(given, 'DIR')
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return spoolDirectories(diskFiles, directory)
  throw new AuditError('SOURCE_UNREADABLE', `${directory} is not a directory`, {
    setting: 'DIR',
    hint: 'Name the directory that spool.directory names.',
  })
}

/** `DIR [--json]`: looks at each spool that DIR stands for; the worst exit code. A slot that cannot be read hides no other. */
export function lookAtSpools(
  argv: readonly string[],
  io: CommandIo,
  look: (spool: string, json: boolean) => number,
): number {
  const options = { json: { type: 'boolean', default: false } } as const
  const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
  refuseFurther(positionals.slice(1))
  return forEachSpool(readDirectories(positionals[0]), io, (spool) => look(spool, values.json))
}

function forEachSpool(spools: readonly string[], io: CommandIo, look: (spool: string) => number): number {
  if (spools.length === 1) return look(spools[0] ?? '')
  const codes = spools.map((spool) => {
    try {
      return look(spool)
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      io.stderr.write(`${error.message}\n  ${error.hint}\n`)
      return 2
    }
  })
  return Math.max(...codes)
}

/** Refuses what is too much on the command line. */
export function refuseFurther(further: readonly string[]): void {
  if (further.length === 0) return
  throw new AuditError('INVALID_OPTION', `unexpected argument ${further[0]}`, {
    setting: 'arguments',
    hint: 'run the command with --help for its options and examples',
  })
}

/** The user's name on this machine, or its number where it has none. */
export function userName(): string {
  try {
    return userInfo().username
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

/** Milliseconds of `--wait SECONDS`. */
export function readWait(text: string): number {
  const seconds = Number(text)
  if (text !== '' && seconds >= 0 && seconds <= 3_600) return seconds * 1_000
  throw new AuditError('INVALID_OPTION', `--wait is ${text}; allowed: seconds from 0 to 3600`, {
    setting: '--wait',
    hint: 'Leave it out for the default.',
  })
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`
}

export function formatCount(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}
