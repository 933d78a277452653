/**
 * Which segments may go, on the sync thread: the oldest, as long as every destination of the durable set of names has
 * durably confirmed all their records, the next segment is durable and states the tree before it, and they have been
 * kept long enough. Reads cursor files, which forwarders of this or another process write. Decides; the sync thread
 * saves control and unlinks.
 */

import { errorCode } from '../errors.ts'
import { readCursor } from './cursor.ts'
import type { Files } from './files.ts'
import { fileBytes, listSegments, type PathSegment } from './segment.ts'
import { readSegmentStart, statesTree } from './segment-start.ts'

/** A segment as reclaim sees it. */
export interface RetainedSegment {
  readonly segment: number
  readonly stream: string
  /** Sequence of its first record; `undefined` where it does not say. */
  readonly base: number | undefined
  /** When the writer went over to it, milliseconds since the epoch. */
  readonly sinceMs: number
  readonly bytes: number
}

export interface ReclaimRules {
  readonly destinations: readonly string[]
  /** Only what was given up this long ago, in milliseconds. */
  readonly keepMs: number
  readonly nowMs: number
}

/** All segments on a path, oldest first. */
export function retainedSegments(files: Files, directory: string, path: readonly PathSegment[]): RetainedSegment[] {
  return path.map((one) => {
    const { segment, stream, createdMs } = one.header
    const { base, stated } = readSegmentStart(files, directory, one)
    return {
      segment,
      stream,
      base,
      sinceMs: stated?.writtenMs ?? createdMs,
      bytes: fileBytes(files, directory, segment),
    }
  })
}

/**
 * Bytes of the segments below the one being written, but for those that are superseded: what the application thread
 * goes by until the sync thread, which takes its time to start, has counted.
 */
export function heldBytes(
  files: Files,
  { directory, segment, superseded }: { directory: string; segment: number; superseded: readonly number[] },
): number {
  const held = listSegments(files, directory).filter((one) => one < segment && !superseded.includes(one))
  return held.reduce((sum, one) => sum + fileBytes(files, directory, one), 0)
}

/** How many of the segments may go, from the oldest on; never the last one. */
export function countReclaimable(
  files: Files,
  directory: string,
  { retained, rules }: { retained: readonly RetainedSegment[]; rules: ReclaimRules },
): number {
  if (rules.destinations.length === 0) return 0
  let count = 0
  for (; count < retained.length - 1; count += 1) {
    const successor = retained[count + 1]
    if (successor === undefined || successor.sinceMs + rules.keepMs > rules.nowMs) break
  }
  for (const name of rules.destinations) {
    if (count === 0) return 0
    count = Math.min(count, countConfirmed(retained, confirmedOf(files, directory, name)))
  }
  const mayBegin = ({ segment }: RetainedSegment) => statesTree(files, directory, segment)
  return count === 0 ? 0 : Math.max(0, retained.slice(0, count + 1).findLastIndex(mayBegin))
}

type Confirmed = { readonly stream: string; readonly sequence: number } | undefined

/** What a destination has durably confirmed; nothing where there is no readable cursor. */
function confirmedOf(files: Files, directory: string, name: string): Confirmed {
  try {
    return readCursor(files, directory, name).confirmed
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return undefined // a destination that never began: it needs everything
  }
}

/** Leading segments all of whose records are confirmed: delivery goes in order, so a later stream confirms an earlier. */
function countConfirmed(retained: readonly RetainedSegment[], confirmed: Confirmed): number {
  const last = retained.findLastIndex((one) => one.stream === confirmed?.stream)
  if (confirmed === undefined || last < 0) return 0
  let count = retained.findIndex((one) => one.stream === confirmed.stream)
  for (let at = count + 1; at <= last; at += 1) {
    const base = retained[at]?.base
    if (base !== undefined && base <= confirmed.sequence + 1) count = at
  }
  return count
}
