/**
 * One writer per spool directory: a kernel lock (`flock`) on the file `lock`, held through an open descriptor for as
 * long as the spool is open. The kernel frees it when the process dies, SIGKILL included; a stopped process keeps it.
 * Node has no flock, so util-linux `flock` takes it on our inherited descriptor (4 ms). The file is never unlinked:
 * a new inode would be a second lock. It holds the writer's pid, for the error of the next one only.
 */

import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { AuditError, errorCode } from '../errors.ts'

const exclusiveLockFlag = 0x20 // O_EXLOCK of macOS, where flock(1) does not exist

export interface SpoolLock {
  /** Device and inode of the lock file. */
  readonly identity: string
  release(): void
}

/** Takes the lock or throws `SPOOL_LOCKED`; `waitSeconds` bridges a reader that looked just now. */
export function lockSpool(directory: string, waitSeconds = 0.2): SpoolLock {
  const taken = lockFile(join(directory, 'lock'), waitSeconds)
  if (!('holder' in taken)) return taken
  throw new AuditError('SPOOL_LOCKED', `spool ${directory} is written by process ${taken.holder}`, {
    setting: 'spool.directory',
    hint: "One process writes a spool: end the other, or give each its own (spool.directory, or instances: 'slots').",
  })
}

/** Locks a file, which is made where it is missing and then holds our pid; or names the holder. */
export function lockFile(path: string, waitSeconds: number): SpoolLock | { readonly holder: string } {
  const file = openLock(path)
  if (file === undefined || !takeLock(file, ['-x', '-w', String(waitSeconds)])) {
    if (file !== undefined) fs.closeSync(file)
    return { holder: fs.readFileSync(path, 'utf8').trim() || '(unknown)' }
  }
  notePid(file)
  const { dev, ino } = fs.fstatSync(file)
  return { identity: `${dev}:${ino}`, release: () => fs.closeSync(file) }
}

/** Over what stands there, which takes no room. A full disk keeps the pid out; the lock is ours all the same. */
function notePid(file: number): void {
  const text = `${process.pid}\n`
  try {
    fs.writeSync(file, text, 0)
    fs.ftruncateSync(file, text.length)
  } catch (error) {
    if (errorCode(error) === undefined) throw error // else the next one is told a holder that is not known, or is gone
  }
}

/** Whether a writer holds the lock. Writes nothing. */
export function isLocked(directory: string): boolean {
  let file: number
  try {
    file = fs.openSync(join(directory, 'lock'), 'r')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
  try {
    return !takeLock(file, ['-s', '-n'])
  } finally {
    fs.closeSync(file)
  }
}

/** `undefined` where opening takes the lock and somebody else has it. */
function openLock(path: string): number | undefined {
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT
  if (process.platform !== 'darwin') return fs.openSync(path, flags, 0o600)
  try {
    return fs.openSync(path, flags | exclusiveLockFlag | fs.constants.O_NONBLOCK, 0o600)
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') return undefined
    throw error
  }
}

function takeLock(file: number, mode: readonly string[]): boolean {
  if (process.platform === 'darwin') return true // taken by open
  const run = spawnSync('flock', [...mode, '3'], { stdio: ['ignore', 'ignore', 'ignore', file] })
  if (run.error === undefined) return run.status === 0
  throw new AuditError('PLATFORM_UNSUPPORTED', 'the spool needs flock(1) to make sure that one process writes it', {
    setting: 'spool.directory',
    hint: 'Install util-linux (it holds flock); on platforms without it only verification works.',
    cause: run.error,
  })
}
