/**
 * Opening an NDJSON file for appending, and appending to it durably. Always holds: a file that is opened ends with a
 * whole line; after a failure the file holds no part of what was to be appended, or its next opening cuts it off.
 */

import fs from 'node:fs'
import { dirname } from 'node:path'
import { AuditError, errorCode, errorText } from '../errors.ts'
import { syncDirectory } from './file-series.ts'
import { mendLastLine } from './file-tail.ts'

const { O_APPEND, O_CREAT, O_RDWR } = fs.constants

/** Throws AuditError FILE_NOT_WRITABLE when `path` cannot be opened for appending; creates it when it is absent. */
export function checkFileWritable(path: string): void {
  try {
    fs.closeSync(openOrCreate(path))
  } catch (thrown) {
    throw new AuditError('FILE_NOT_WRITABLE', `cannot append to ${path}: ${errorText(thrown)}`, {
      setting: 'destinations.file.path',
      hint: hintFor(path, errorCode(thrown)),
      cause: thrown,
    })
  }
}

function hintFor(path: string, code: string | undefined): string {
  if (code === 'ENOENT') return `Create the directory first: mkdir -p ${dirname(path)}`
  if (code === 'EACCES' || code === 'EPERM')
    return `Let the user of this process write ${path}, or choose another path.`
  return 'Give the path of a regular file on a local disk that this process can write.'
}

/** Opens the file, or makes it with mode 0600; what a kill left half written at its end is cut off. */
export function openForAppend(path: string): number {
  const file = openOrCreate(path)
  try {
    mendLastLine(file, writeFully)
    return file
  } catch (thrown) {
    fs.closeSync(file)
    throw thrown
  }
}

function openOrCreate(path: string): number {
  const existing = fs.statSync(path, { throwIfNoEntry: false })
  if (existing?.isFile()) return fs.openSync(path, O_RDWR | O_APPEND)
  if (existing !== undefined) throw new Error('not a regular file')
  const file = fs.openSync(path, O_RDWR | O_APPEND | O_CREAT, 0o600)
  fs.fchmodSync(file, 0o600) // a umask may have taken bits away
  syncDirectory(path)
  return file
}

/**
 * Writes and syncs, or takes back what it wrote. After a failed sync the kernel may count pages as clean that never
 * reached the disk: cut off and written again they are dirty again, and the next sync means them.
 */
export function appendDurably(file: number, lines: Buffer): void {
  const { size } = fs.fstatSync(file)
  try {
    writeFully(file, lines)
    fs.fdatasyncSync(file)
  } catch (thrown) {
    cutBack(file, size)
    throw thrown
  }
}

/** A short write is a success to the kernel (a full disk ends one so): go on until all is written or it fails. */
function writeFully(file: number, bytes: Buffer): void {
  let written = 0
  while (written < bytes.length) written += fs.writeSync(file, bytes, written)
}

/** If even this fails, the next opening mends the last line, and whole records come twice. */
function cutBack(file: number, size: number): void {
  try {
    fs.ftruncateSync(file, size)
  } catch {
    // The write's own error is the one to report, and it follows.
  }
}
