/**
 * Reading a spool from outside, in order and whole: beside a live writer up to the position it publishes; without one
 * the reader takes the lock and recovers first, so that everything written is durable, and releases it again.
 */

import { durableEnd, readPresentControl } from './control.ts'
import { bootId, type Files } from './files.ts'
import { isLocked, lockSpool } from './lock.ts'
import { SpoolReader } from './reader.ts'
import { inspectSpool, recoverSpool } from './recover.ts'
import { openDirectory, unlinkSegments } from './segment.ts'

/** Opens a reader for the records that are durable now, oldest first. Throws `SOURCE_UNREADABLE` where no spool is, and what recovery throws. */
export function openReader(files: Files, directory: string): SpoolReader {
  if (!isLocked(directory)) settle(files, directory)
  const end = durableEnd(readPresentControl(files, directory))
  return new SpoolReader(files, directory, () => end)
}

function settle(files: Files, directory: string): void {
  readPresentControl(files, directory) // a lock file has no business where no spool is
  const lock = lockSpool(directory)
  try {
    settleHeld(files, directory)
  } finally {
    lock.release()
  }
}

/** Makes everything written durable and readable. The caller holds the lock. Throws what recovery throws. */
export function settleHeld(files: Files, directory: string): void {
  const { deployment } = readPresentControl(files, directory).state
  const context = { directory, deployment, bootId: bootId() }
  const tail = inspectSpool(files, context)?.tail
  if (tail === undefined || (tail.records.length === 0 && tail.tornBytes === 0)) return // all of it is durable
  const recovered = recoverSpool(files, context)
  files.close(recovered.segment.file)
  const own = openDirectory(files, directory)
  unlinkSegments(files, own, recovered.superseded)
  files.close(own.file)
}
