/**
 * Delivery to a local NDJSON file: one record a line, verbatim. Always holds: `delivered` means synced to disk, the
 * directory entry included; a reader never meets half a record between two whole ones; what was written and not
 * confirmed when the process was killed is cut back or known again (`file-tail.ts`), so that it does not come twice.
 * One process writes a file; a second one needs a path of its own.
 */

import fs from 'node:fs'
import { dirname } from 'node:path'
import { AuditError, errorCode, errorText } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import type { Delivery, Destination, HeadReading, StreamHead } from './destination.ts'
import { headIn, heldInstead, linesFrom, mendLastLine } from './file-tail.ts'
import type { FileDestinationOptions } from './options.ts'

const newline = 0x0a
const { O_APPEND, O_CREAT, O_RDWR } = fs.constants

/** A destination that appends to `path` and syncs before it confirms. The file is opened by the first batch. */
export function createFileDestination(options: FileDestinationOptions): Destination {
  const { path } = options
  let file: number | undefined
  /** Lines that the file has already of what is about to be sent; not known until the first record comes. */
  let known: Buffer[] | undefined
  const release = () => {
    if (file !== undefined) fs.closeSync(file)
    file = undefined
  }
  return {
    name: options.name ?? 'file',
    async send({ records }): Promise<Delivery> {
      try {
        file ??= openForAppend(path)
        known ??= records[0] === undefined ? [] : linesFrom(file, records[0])
        const count = countKnown(records, known)
        const held = heldInstead(known[count], records[count])
        if (held !== undefined) {
          known = undefined
          return { status: 'rejected', reason: describeFork(path, held), forked: { index: count, held } }
        }
        appendDurably(file, encodeLines(records.slice(count)))
        known = count === records.length ? known.slice(count) : []
        return { status: 'delivered' }
      } catch (thrown) {
        if (file !== undefined) known = [] // a later sync must not give credit for bytes that this one may have lost
        return { status: 'retry', reason: `${path}: ${errorText(thrown)}${abandon(release)}` }
      }
    },
    async head(stream): Promise<HeadReading> {
      try {
        file ??= openForAppend(path)
        return { status: 'known', head: headIn(file, stream) }
      } catch (thrown) {
        return { status: 'retry', reason: `${path}: ${errorText(thrown)}${abandon(release)}` }
      }
    },
    async close() {
      release()
      known = undefined
    },
  }
}

function describeFork(path: string, { sequence, hash }: StreamHead): string {
  return `${path}: fork, sequence ${sequence} is held with another hash: ${hash}`
}

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

function openForAppend(path: string): number {
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
  syncDirectory(dirname(path))
  return file
}

/** Makes the new file's name survive a power cut; its content is synced by each batch. */
function syncDirectory(path: string): void {
  const directory = fs.openSync(path, fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(directory)
  } finally {
    fs.closeSync(directory)
  }
}

/** How many of the records, from the first on, the file has in the same place and with the same bytes. */
function countKnown(records: readonly StoredRecord[], known: readonly Buffer[]): number {
  const differs = records.findIndex((record, index) => known[index]?.equals(record.bytes) !== true)
  return differs < 0 ? records.length : differs
}

function encodeLines(records: readonly StoredRecord[]): Buffer {
  const lines = Buffer.allocUnsafe(records.reduce((bytes, record) => bytes + record.bytes.length + 1, 0))
  let end = 0
  for (const { bytes } of records) {
    end += bytes.copy(lines, end)
    end = lines.writeUInt8(newline, end)
  }
  return lines
}

/**
 * Writes and syncs, or takes back what it wrote. After a failed sync the kernel may count pages as clean that never
 * reached the disk: cut off and written again they are dirty again, and the next sync means them.
 */
function appendDurably(file: number, lines: Buffer): void {
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

/** Closes after a failure, so that the next try looks at the file afresh; returns what there is to add to the reason. */
function abandon(release: () => void): string {
  try {
    release()
    return ''
  } catch (thrown) {
    return `; closing: ${errorText(thrown)}`
  }
}
