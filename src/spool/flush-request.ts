/**
 * The file `flush`: a program whose records another process delivers asks it to send at once. It holds a random UUID
 * and a line end; another one than before is a request. Nothing answers but the cursors, and nothing removes it: what
 * is found at the start, or is torn, costs one sending before its time. A wish and no state, so it is never synced.
 */

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { errorCode } from '../errors.ts'
import { exists, type Files } from './files.ts'

const requestBytes = 37

/** Asks whoever delivers to send at once. Where the disk refuses, records wait for their batch instead. */
export function requestFlush(files: Files, directory: string): void {
  const path = join(directory, 'flush')
  try {
    const file = files.open(path, exists(path) ? 'write' : 'create')
    try {
      files.write(file, Buffer.from(`${randomUUID()}\n`), 0)
    } finally {
      files.close(file)
    }
  } catch (error) {
    if (errorCode(error) === undefined) throw error
  }
}

/** The last request; `undefined` where there was none, or where it cannot be read. */
export function readFlushRequest(files: Files, directory: string): string | undefined {
  try {
    const file = files.open(join(directory, 'flush'), 'read')
    try {
      const text = Buffer.alloc(requestBytes)
      return text.toString('latin1', 0, files.read(file, text, 0))
    } finally {
      files.close(file)
    }
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return undefined
  }
}
