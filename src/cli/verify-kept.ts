/**
 * What an auditor has beside the copies: checkpoints kept between two runs (`--since`, `--keep`), and a trust file, which
 * remembers keys that were trusted on first use.
 */

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Verifier } from '../chain/note.ts'
import { AuditError, errorText } from '../errors.ts'
import type { Report, StreamReport } from '../verify/report.ts'
import { type KeptCheckpoint, readKept } from '../verify/since.ts'
import type { TrustFile } from '../verify/trust.ts'
import { parseTrust } from '../verify/trust-file.ts'
import type { CommandIo } from './command.ts'

/** A file that is also the one to be written may be missing: then this is the first run. */
export function readSince(path: string, verifiers: readonly Verifier[], keep?: string): readonly KeptCheckpoint[] {
  if (path === keep && !existsSync(path)) return []
  const text = readText(path, '--since')
  const kept = readKept(text, verifiers)
  if (typeof kept !== 'string') return kept
  const hint = 'name the file that "otel-audit verify --keep" wrote, and the key that signed'
  throw refuse('--since', `${path}: ${kept}`, { hint })
}

/** The trust file of `--trust`. */
export function readTrust(path: string): TrustFile {
  return trustIn(path, readText(path, '--trust'))
}

/** The text of the trust file; on first use, where keys come from the copies, there may be none yet. */
export function readTrustText(path: string, isFirstUse = false): string | undefined {
  return isFirstUse && !existsSync(path) ? undefined : readText(path, '--trust')
}

/** The trust file of this text. */
export function trustIn(path: string, text: string): TrustFile {
  const trust = parseTrust(text)
  if (typeof trust !== 'string') return trust
  throw refuse('--trust', `${path}: ${trust}`, { hint: 'docs/verify.md shows a trust file' })
}

/** Writes the last checkpoint of each stream, unless anything was found; streams that were kept before stay kept. */
export function keepCheckpoints(
  path: string,
  { report, since }: { report: Report; since: readonly KeptCheckpoint[] },
  io: CommandIo,
): void {
  const largest = new Map<string, StreamReport>()
  for (const stream of report.sources.flatMap(({ streams }) => streams)) {
    if (stream.checkpoint !== undefined && stream.coveredTo > (largest.get(stream.stream)?.coveredTo ?? 0))
      largest.set(stream.stream, stream)
  }
  const notes = [...largest.values()].map(({ checkpoint = '' }) => checkpoint)
  const isWhole = report.exitCode === 0 && notes.length > 0 && since.every(({ stream }) => largest.has(stream))
  if (!isWhole) {
    io.stderr.write(
      `${path} was left as it is: ${notes.length === 0 ? 'no checkpoint was verified' : 'see the findings'}\n`,
    )
    return
  }
  replaceFile(path, notes.join(''), '--keep')
}

/** Adds the keys that were taken from the copies to the trust file, unless anything was found. */
export function rememberKeys(path: string, report: Report, io: CommandIo): void {
  const keys = keysOnFirstUse(report)
  if (keys.length === 0) return
  if (report.exitCode !== 0) {
    io.stderr.write(`${path} was left as it is: see the findings\n`)
    return
  }
  const before = existsSync(path) ? (JSON.parse(readText(path, '--trust')) as { keys: readonly object[] }) : undefined
  const trusted = { ...before, keys: [...(before?.keys ?? []), ...keys.map((key) => ({ key }))] }
  replaceFile(path, `${JSON.stringify(trusted, undefined, 2)}\n`, '--trust')
}

/** The verifier keys that were taken from any of the copies. */
export function keysOnFirstUse({ sources }: Report): readonly string[] {
  return [...new Set(sources.flatMap(({ keysOnFirstUse: keys = [] }) => keys))]
}

function replaceFile(path: string, text: string, setting: string): void {
  try {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  } catch (cause) {
    throw refuse(setting, `${path}: ${errorText(cause)}`, { hint: 'name a file that can be written', cause })
  }
}

function readText(path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw refuse(setting, `${path}: ${errorText(cause)}`, { hint: 'name a file that can be read', cause })
  }
}

function refuse(setting: string, message: string, more: { hint: string; cause?: unknown }): AuditError {
  return new AuditError('INVALID_OPTION', `${setting} ${message}`, { setting, ...more })
}
