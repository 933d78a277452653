/** Small files read and written as a whole. Always holds: a file that has its name is whole and durable. */

import { exists, type Files } from './files.ts'

export function readWhole(files: Files, path: string): Buffer {
  const file = files.open(path, 'read')
  try {
    const bytes = Buffer.alloc(files.size(file))
    files.read(file, bytes, 0)
    return bytes
  } finally {
    files.close(file)
  }
}

/**
 * Writes and syncs it under a temporary name before it gets its own; durable on return. `directory` is the caller's open
 * one. What a crash leaves without the name is written anew.
 */
export function writeWhole(files: Files, directory: number, { path, bytes }: { path: string; bytes: Buffer }): void {
  const temporary = `${path}.tmp`
  removeIfPresent(files, temporary)
  const file = files.open(temporary, 'create')
  try {
    files.write(file, bytes, 0)
    files.sync(file)
  } finally {
    files.close(file)
  }
  files.rename(temporary, path)
  files.syncDirectory(directory)
}

export function removeIfPresent(files: Files, path: string): void {
  if (exists(path)) files.unlink(path)
}
