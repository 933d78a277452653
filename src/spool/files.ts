/**
 * The file-system port of the spool: everything the spool asks of a disk, and nothing else. The real disk stands
 * below; a simulated one implements the same interface, so that both run the same protocol code.
 * Every call is synchronous: the application thread writes, a thread of its own syncs, and libuv's pool, which
 * starves under load, is not involved. A short write is success to the kernel, never to us: `write` loops.
 */

import * as fs from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface Files {
  /** Opens a file; `create` demands that it does not exist yet. */
  open(path: string, how: 'create' | 'write' | 'read'): number
  /**
   * Opens a directory for `syncDirectory`. A caller keeps its own, opened before it makes the names it will sync: the
   * kernel reports a failed write-back once to each descriptor, and not at all to those opened later.
   */
  openDirectory(path: string): number
  close(file: number): void
  /** Reads until the range is full or the file ends; returns the bytes read. */
  read(file: number, into: Uint8Array, position: number): number
  /** Writes the whole range or throws. */
  write(file: number, from: Uint8Array, position: number): void
  size(file: number): number
  /** fdatasync. */
  sync(file: number): void
  /** fsync of an open directory: makes its names durable, creations, renames and removals. */
  syncDirectory(directory: number): void
  rename(from: string, to: string): void
  unlink(path: string): void
  list(directory: string): string[]
  /** Device and inode of what a path names now; it changes when something else gets the name. */
  identity(path: string): string
  /** When what a path names now was made, where the file system remembers: a freed inode is soon given out again. */
  born?(path: string): string
  /** Bytes that the file system of a directory has left for us. */
  freeBytes(directory: string): number
}

const flags = { create: fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_RDWR, write: 'r+', read: 'r' }

export const diskFiles: Files = {
  open: (path, how) => fs.openSync(path, flags[how], 0o600),
  openDirectory: (path) => fs.openSync(path, 'r'),
  close: (file) => fs.closeSync(file),
  size: (file) => fs.fstatSync(file).size,
  sync: (file) => fs.fdatasyncSync(file),
  syncDirectory: (directory) => fs.fsyncSync(directory),
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  list: (directory) => fs.readdirSync(directory),

  read(file, into, position) {
    let done = 0
    while (done < into.length) {
      const count = fs.readSync(file, into, done, into.length - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  },

  write(file, from, position) {
    let done = fs.writeSync(file, from, 0, from.length, position)
    while (done < from.length) done += fs.writeSync(file, from, done, from.length - done, position + done)
  },

  identity(path) {
    const { dev, ino } = fs.statSync(path)
    return `${dev}:${ino}`
  },

  born(path) {
    // Where the kernel has no such time Node gives the last change instead, or zero. A file that is new has not changed
    // since; the directory has, by getting it.
    const [own, above] = [path, dirname(path)].map((one) => fs.statSync(one, { bigint: true }))
    const isKnown = [own, above].some((one) => one !== undefined && one.birthtimeNs !== one.ctimeNs)
    return own === undefined || own.birthtimeNs === 0n || !isKnown ? '' : String(own.birthtimeNs)
  },

  freeBytes(directory) {
    const { bavail, bsize } = fs.statfsSync(directory)
    return bavail * bsize
  },
}

/** Creates the directory and those above it, mode 0700. The names that it makes are durable on return. */
export function ensureDirectory(path: string): void {
  const first = fs.mkdirSync(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  const top = dirname(resolve(first))
  for (let above = dirname(resolve(path)); above.startsWith(top); above = dirname(above)) {
    syncNames(diskFiles, above)
    if (above === top) return
  }
}

/** Makes the names in a directory durable, also those that somebody else has made. */
export function syncNames(files: Files, path: string): void {
  const directory = files.openDirectory(path)
  try {
    files.syncDirectory(directory)
  } finally {
    files.close(directory)
  }
}

/** File systems that acknowledge writes another host may lose, or that have no reliable locks (statfs magic). */
const networkFileSystems = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x00c36400, 'CephFS'],
  [0x01021997, '9p'],
])

/** The name of the network file system below `path`, or `undefined` on a local one. */
export function networkFileSystem(path: string): string | undefined {
  return networkFileSystems.get(fs.statfsSync(path).type)
}

/** Identifies this boot of the machine; empty where the platform has no such thing. */
export function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return '' // no Linux: an unclean end then always counts as another boot
  }
}

/** Identifies this installation of the machine; empty where the platform has no such thing. */
export function machineId(): string {
  try {
    return fs.readFileSync('/etc/machine-id', 'utf8').trim()
  } catch {
    return '' // no systemd: device and inode alone must tell a copy
  }
}

/** Whether the path exists, whatever it is. */
export function exists(path: string): boolean {
  return fs.existsSync(path)
}
