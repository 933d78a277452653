/** A small JSON file that people may read and write too: what an operator asks of delivery, and what delivery answers. */

import { dirname } from 'node:path'
import { exists, type Files } from '../spool/files.ts'
import { readWhole, writeWhole } from '../spool/whole-file.ts'

/** Durable on return; the folder must be there. */
export function writeJson(files: Files, path: string, value: object): void {
  const directory = files.openDirectory(dirname(path))
  try {
    writeWhole(files, directory, { path, bytes: Buffer.from(`${JSON.stringify(value)}\n`) })
  } finally {
    files.close(directory)
  }
}

/** `undefined` where there is none, and for half a file of somebody else's hand: asked again, it is whole. */
export function readJson<Value>(files: Files, path: string): Value | undefined {
  if (!exists(path)) return undefined
  try {
    return JSON.parse(readWhole(files, path).toString('utf8')) as Value
  } catch {
    return undefined
  }
}
