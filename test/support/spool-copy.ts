/** A spool directory as a backup sees it, and put back in ways that the spool can or cannot notice. */

import fs from 'node:fs'
import { join } from 'node:path'

/** The contents of every file, by its path within the directory. */
export type SpoolCopy = ReadonlyMap<string, Buffer>

export function copySpool(directory: string): SpoolCopy {
  const names = fs.readdirSync(directory, { recursive: true, withFileTypes: true })
  const paths = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  return new Map(paths.map((path) => [path.slice(directory.length + 1), fs.readFileSync(path)]))
}

/** Puts the contents back into the files that are there: no inode and no time of birth changes. */
export function restoreInPlace(copy: SpoolCopy, directory: string): void {
  for (const path of copySpool(directory).keys()) if (!copy.has(path)) fs.rmSync(join(directory, path))
  for (const [path, contents] of copy) {
    const file = fs.openSync(join(directory, path), 'r+')
    fs.ftruncateSync(file, 0)
    fs.writeSync(file, contents, 0, contents.length, 0)
    fs.closeSync(file)
  }
}

/** Makes another directory of the copy. */
export function cloneSpool(copy: SpoolCopy, directory: string): void {
  for (const [path, contents] of copy) {
    const target = join(directory, path)
    fs.mkdirSync(join(target, '..'), { recursive: true })
    fs.writeFileSync(target, contents, { mode: 0o600 })
  }
}
