/**
 * Where a repair puts what it takes out of a spool: `quarantine/corrupt/REPAIR` and `quarantine/torn/REPAIR`, whole
 * files under their own names. Nothing there is ever read or removed by us. Each step may be repeated after a kill.
 */

import { dirname, join } from 'node:path'
import { ensureDirectory, exists, type Files, syncNames } from './files.ts'
import { segmentNumber } from './format.ts'
import { removeIfPresent } from './whole-file.ts'

export type QuarantineKind = 'corrupt' | 'torn'

const copyBytes = 1024 * 1024

export function quarantinePath(directory: string, kind: QuarantineKind, repair: string): string {
  return join(directory, 'quarantine', kind, repair)
}

/** Makes a directory and every one above it up to `root`; durable on return. */
export function ensureDurably(files: Files, root: string, path: string): void {
  ensureDirectory(path)
  for (let at = path; at !== root; at = dirname(at)) syncNames(files, dirname(at))
}

/** Moves a file; durable on return. Done already when it is gone. */
export function moveFile(files: Files, from: string, to: string): void {
  if (!exists(from)) return
  files.rename(from, to)
  syncNames(files, dirname(to))
  syncNames(files, dirname(from))
}

/** Copies a file under a temporary name and gives it its own when it is whole; durable on return. */
export function copyFile(files: Files, from: string, to: string): void {
  if (exists(to) || !exists(from)) return
  const temporary = `${to}.tmp`
  removeIfPresent(files, temporary)
  const source = files.open(from, 'read')
  const copy = files.open(temporary, 'create')
  try {
    const size = files.size(source)
    for (let at = 0; at < size; at += copyBytes) {
      const bytes = Buffer.alloc(Math.min(copyBytes, size - at))
      files.write(copy, bytes.subarray(0, files.read(source, bytes, at)), at)
    }
    files.sync(copy)
  } finally {
    files.close(copy)
    files.close(source)
  }
  files.rename(temporary, to)
  syncNames(files, dirname(to))
}

/** The highest number of a segment in quarantine: no number is given twice. */
export function highestQuarantined(files: Files, directory: string): number {
  let highest = 0
  for (const kind of ['corrupt', 'torn'] as const) {
    const folder = join(directory, 'quarantine', kind)
    for (const repair of exists(folder) ? files.list(folder) : []) {
      const numbers = files.list(join(folder, repair)).map((name) => segmentNumber(name) ?? 0)
      highest = Math.max(highest, ...numbers)
    }
  }
  return highest
}
