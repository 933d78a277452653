/**
 * Reading a spool from outside, in order and whole: beside a live writer up to the position it publishes; without one
 * the reader takes the lock and recovers first, so that everything written is durable, and releases it again.
 */

import { controlDamaged, noSpool, readControl } from './control.ts'
import { bootId, type Files } from './files.ts'
import { isLocked, lockSpool } from './lock.ts'
import type { SpoolEnd } from './positions.ts'
import { SpoolReader } from './reader.ts'
import { inspectSpool, recoverSpool } from './recover.ts'
import { segmentPath } from './segment.ts'

/** Opens a reader for the records that are durable now, oldest first. Throws `SOURCE_UNREADABLE` where no spool is, and what recovery throws. */
export function openReader(files: Files, directory: string): SpoolReader {
  if (!isLocked(directory)) settle(files, directory)
  const end = publishedEnd(files, directory)
  return new SpoolReader(files, directory, () => end)
}

function settle(files: Files, directory: string): void {
  const deployment = stateOf(files, directory).state.deployment
  const lock = lockSpool(directory)
  try {
    const context = { directory, deployment, bootId: bootId() }
    const tail = inspectSpool(files, context)?.tail
    if (tail === undefined || (tail.records.length === 0 && tail.tornBytes === 0)) return // all of it is durable
    const recovered = recoverSpool(files, context)
    files.close(recovered.segment.file)
    for (const segment of recovered.superseded) files.unlink(segmentPath(directory, segment))
    if (recovered.superseded.length > 0) files.syncDirectory(directory)
  } finally {
    lock.release()
  }
}

function publishedEnd(files: Files, directory: string): SpoolEnd {
  const { state, published } = stateOf(files, directory)
  const { segment, offset, nextSequence } = state.watermark
  if (published === undefined || published.epoch !== state.epoch || state.clean)
    return { segment, offset, nextSequence }
  return published.segment > segment || (published.segment === segment && published.offset > offset)
    ? published
    : { segment, offset, nextSequence }
}

function stateOf(files: Files, directory: string) {
  const control = readControl(files, directory)
  if (control.kind === 'absent') throw noSpool(directory)
  if (control.kind === 'damaged') throw controlDamaged(directory, 'both slots are damaged')
  return control
}
