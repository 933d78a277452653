/**
 * What an archive lies in: files by their path, here in a folder (`bucket.ts`: in a bucket). Always holds: a path has its
 * whole content or none, because files are written under another name, synced and renamed; `sync` makes the names durable.
 * A crash leaves files that end in `.new`, which nothing reads and the next writing of the same path replaces.
 */

import { closeSync, fsyncSync, openSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errorCode } from '../errors.ts'

/** Files by paths with forward slashes. */
export interface ArchiveStore {
  /** For people. */
  readonly name: string
  /** `undefined` for what is not there. */
  read(path: string): Promise<Buffer | undefined>
  /** Replaces what is there; durable after the next `sync`. */
  write(path: string, bytes: Uint8Array): Promise<void>
  /**
   * As `write`, if what is there is still `held` (`undefined`: nothing); false, and nothing is written, when somebody else
   * has replaced it. Two that do so in one folder at the same instant may not see each other; in a bucket they do.
   */
  replace(path: string, bytes: Uint8Array, held: Uint8Array | undefined): Promise<boolean>
  /** Removes what may be there, and the folder that it leaves empty. */
  remove(path: string): Promise<void>
  sync(): Promise<void>
  /** The names in a folder, by default on the first level; none where there is no such folder. */
  list(folder?: string): Promise<string[]>
}

/** An archive in a folder, which the first `write` makes. */
export function openFolder(directory: string): ArchiveStore {
  const unsynced = new Set<string>()
  const read = (path: string) => readFile(join(directory, path)).catch(absent)
  const write = async (path: string, bytes: Uint8Array) => {
    const target = join(directory, path)
    await makeFolder(dirname(target), unsynced)
    await writeSynced(`${target}.new`, bytes)
    await rename(`${target}.new`, target)
    unsynced.add(dirname(target))
  }
  return {
    name: directory,
    read,
    write,
    async replace(path, bytes, held) {
      const found = await read(path)
      const isHeld = held === undefined ? found === undefined : found?.equals(held) === true
      if (isHeld) await write(path, bytes)
      return isHeld
    },
    async remove(path) {
      const target = join(directory, path)
      await rm(target, { force: true })
      await rmdir(dirname(target)).catch(() => undefined) // it holds something else, or is gone
      unsynced.add(dirname(dirname(target)))
    },
    async sync() {
      for (const folder of unsynced) syncFolder(folder)
      unsynced.clear()
    },
    list: async (folder = '') => ((await readdir(join(directory, folder)).catch(absent)) ?? []).sort(),
  }
}

function absent(thrown: unknown): undefined {
  const code = errorCode(thrown)
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw thrown
}

/** A folder is durable when the one that it lies in is synced: all those that were made. */
async function makeFolder(folder: string, unsynced: Set<string>): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) unsynced.add(dirname(made))
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

function syncFolder(folder: string): void {
  let descriptor: number
  try {
    descriptor = openSync(folder, 'r')
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return // removed since
    throw thrown
  }
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
