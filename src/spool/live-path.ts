/**
 * The segments that count, from control's first to the highest: step 3 of recovery. Refuses what no crash leaves
 * behind: a hole, another spool's segment, the traces of a second writer.
 */

import type { ControlState } from './control.ts'
import type { Files } from './files.ts'
import { damaged } from './refusals.ts'
import { type PathSegment, readPath, readSegmentHeader } from './segment.ts'

/** Oldest first; segments that no successor names are void and not among them. Throws `SPOOL_CORRUPT`. */
export function readLivePath(
  files: Files,
  directory: string,
  { state, segments }: { state: ControlState; segments: readonly number[] },
): PathSegment[] {
  const { watermark, firstSegment } = state
  const last = segments.at(-1)
  if (last === undefined) {
    throw damaged(directory, watermark.segment, { kind: 'missing', what: 'all segments are missing' })
  }
  for (const segment of segments.filter((number) => number > watermark.segment)) {
    const decoded = readSegmentHeader(files, directory, segment)
    if (decoded.ok && decoded.header.epoch < state.epoch) throw olderOwner(directory, segment, state.epoch)
  }
  const path = readPath(files, directory, { first: firstSegment, last })
  path.forEach(({ header }, index) => {
    const before = path[index - 1]?.header
    if (header.spoolId !== state.spoolId) {
      const what = `it belongs to another spool, ${header.spoolId}`
      throw damaged(directory, header.segment, { kind: 'corrupt', what })
    }
    if (before !== undefined && header.epoch < before.epoch) throw olderOwner(directory, header.segment, before.epoch)
  })
  if (path[0]?.header.segment === firstSegment) return path
  const what = `control begins with it, but the segments lead to ${path[0]?.header.segment}`
  throw damaged(directory, firstSegment, { kind: 'missing', what })
}

function olderOwner(directory: string, segment: number, epoch: number) {
  const what = `an earlier writer wrote it after epoch ${epoch} had begun: two processes have written this spool`
  return damaged(directory, segment, { kind: 'owner', what })
}
