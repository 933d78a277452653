/**
 * The ballast: a file that only takes room, made when a spool is opened and given up once when its disk is full, so
 * that the segment which takes what is not durable, and the fact that the disk is full, still fit.
 */

import { errorCode } from '../errors.ts'
import type { Files } from './files.ts'
import { ballastPath } from './refusals.ts'

/**
 * Makes a ballast of this size, or leaves the one that is there; whether there is one now. Not where it would take more
 * than half of what is free, and a disk that refuses runs without.
 */
export function makeBallast(files: Files, directory: string, bytes: number): boolean {
  if (bytes === 0) return false
  const path = ballastPath(directory)
  try {
    const isPresent = files.list(directory).includes('ballast')
    if (!isPresent && files.freeBytes(directory) < 2 * bytes) return false
    const file = files.open(path, isPresent ? 'write' : 'create')
    try {
      if (files.size(file) < bytes) files.write(file, Buffer.alloc(bytes), 0)
      files.sync(file)
      return true
    } finally {
      files.close(file)
    }
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    releaseBallast(files, directory) // half a ballast only takes room
    return false
  }
}

/** Gives the ballast up; whether there was one. */
export function releaseBallast(files: Files, directory: string): boolean {
  try {
    files.unlink(ballastPath(directory))
    return true
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return false
  }
}
