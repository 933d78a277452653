/**
 * Opening a spool: what is there, what of it counts, and a state from which a writer can go on. Runs on the thread
 * that opens, under the lock, before any reader or emit. The steps, in this order; the table test has their rows:
 *
 * 1. Sync the directory; remove `*.tmp` (none ever got a name that counts).
 * 2. Read control: newest valid slot, published slot. No control and no segments: a new spool. No control beside
 *    segments, or both slots bad: fail closed.
 * 3. Walk back from the highest segment by header. A bad header or a missing predecessor is corruption. Segments off
 *    this path are void.
 * 4. Scan frames from the watermark W. An explicit successor says where its predecessor ends, and frames must reach
 *    there; a planned one continues it only if its first frame links. Where frames end is the cut.
 * 5. Proof K: the furthest of W, the published slot, explicit headers with their lengths, and the known position of
 *    every header-valid frame behind the cut. K behind the cut is corruption; otherwise what follows the cut is torn:
 *    it was never acknowledged.
 * 6. A new stream starts when the end was unclean and (the boot is another, or bytes stand behind the cut), when a
 *    segment's epoch is above control's (a recovery that was itself killed), when the clock is more than 60 s behind
 *    the last record, or when the deployment changed.
 * 7. Publish one explicit segment with everything above W; a new stream gets a further explicit segment.
 * 8. Replace control by rename: boot id, epoch, new watermark, unclean.
 * 9. The caller starts readers and emits, and unlinks the superseded segments.
 */

import { randomUUID } from 'node:crypto'
import { leafHash } from '../chain/hash.ts'
import { formatTimestamp, nowMs } from '../clock.ts'
import { parseRecord } from '../event/record.ts'
import { clockBackMsMax } from '../limits.ts'
import { type ControlState, type Predecessor, readControl, replaceControl, type Watermark } from './control.ts'
import type { Files } from './files.ts'
import { isBefore, type SpoolPosition } from './format.ts'
import { controlDamaged, damaged, segmentPath } from './refusals.ts'
import {
  listSegments,
  type OpenDirectory,
  type OpenSegment,
  openDirectory,
  type PathSegment,
  publishSegment,
  readPath,
  readSegmentHeader,
} from './segment.ts'
import { scanTail, type Tail } from './tail.ts'

export interface Recovered {
  /** Control as it now stands on disk; its watermark is the durable end and the place to go on. */
  readonly state: ControlState
  readonly segment: OpenSegment
  readonly previousEnd: 'none' | 'clean' | 'crash'
  /** Records above the watermark that were found whole and carried over. */
  readonly recovered: number
  /** Bytes of frames that were never acknowledged. */
  readonly tornBytes: number
  readonly predecessor: Predecessor | undefined
  /** Segments that the new control no longer needs. */
  readonly superseded: readonly number[]
}

export interface RecoveryContext {
  readonly directory: string
  readonly deployment: string
  readonly bootId: string
}

/** What a closed spool holds, as recovery sees it (steps 2 to 6), before anything is changed. */
export interface Inspection {
  readonly state: ControlState
  readonly path: readonly PathSegment[]
  readonly tail: Tail
  /** Why the next opening starts a new stream, if it does. */
  readonly reason: Predecessor['reason'] | undefined
}

/** Looks, changes nothing. `undefined` for a directory without a spool. Throws `SPOOL_CORRUPT` or `SPOOL_VERSION`. */
export function inspectSpool(files: Files, context: RecoveryContext): Inspection | undefined {
  const { directory } = context
  const control = readControl(files, directory)
  const segments = listSegments(files, directory)
  if (control.kind === 'damaged') throw controlDamaged(directory, 'both slots are damaged')
  if (control.kind === 'absent') {
    if (segments.length === 0 || isFirstOpening(files, directory, segments)) return undefined
    throw controlDamaged(directory, 'it is missing although there are segments')
  }
  const { state } = control
  const last = segments.at(-1)
  if (last === undefined) throw damaged(directory, state.watermark.segment, 'all segments are missing')
  const path = readPath(files, directory, { first: state.firstSegment, last })
  const tail = scanTail(files, directory, { path, watermark: state.watermark })
  const proof = furthest([state.watermark, control.published, ...explicitProofs(path), ...tail.knownBehindCut])
  if (isBefore(tail.cut, proof)) {
    throw damaged(directory, tail.cut.segment, `synced frames are damaged or missing from offset ${tail.cut.offset}`)
  }
  return { state, path, tail, reason: reasonForNewStream(context, { state, path, tail }) }
}

/** Recovers or creates the spool. Throws `SPOOL_CORRUPT` or `SPOOL_VERSION`, and then has changed nothing that counts. */
export function recoverSpool(files: Files, context: RecoveryContext): Recovered {
  const { directory } = context
  const own = openDirectory(files, directory)
  try {
    files.syncDirectory(own.file)
    for (const name of files.list(directory)) if (name.endsWith('.tmp')) files.unlink(`${directory}/${name}`)
    const found = inspectSpool(files, context)
    return found === undefined ? createSpool(files, { ...context, own }) : publish(files, { ...context, own }, found)
  } finally {
    files.close(own.file)
  }
}

/** A recovery that makes names in the directory. */
interface Recovering extends RecoveryContext {
  readonly own: OpenDirectory
}

/** A first opening that was killed before control got its name leaves one empty explicit segment. */
function isFirstOpening(files: Files, directory: string, segments: readonly number[]): boolean {
  if (segments.length !== 1 || segments[0] !== 1) return false
  const decoded = readSegmentHeader(files, directory, 1)
  return decoded.ok && decoded.header.epoch === 1 && decoded.header.kind === 'explicit' && decoded.header.base === 1
}

function createSpool(files: Files, context: Recovering): Recovered {
  for (const leftover of listSegments(files, context.directory)) files.unlink(segmentPath(context.directory, leftover))
  const spool = { spoolId: randomUUID(), deployment: context.deployment, stream: randomUUID(), epoch: 1 }
  const segment = publishSegment(files, context.own, {
    ...spool,
    segment: 1,
    previous: { segment: 0, offset: 0 },
    nextSequence: 1,
    hash: undefined,
    records: [],
  })
  const watermark = { segment: 1, offset: segment.offset, nextSequence: 1, frameNumber: 0, frameCrc: segment.frameCrc }
  const state = { ...spool, bootId: context.bootId, firstSegment: 1, watermark, clean: false }
  replaceControl(files, context.own, state)
  return { state, segment, previousEnd: 'none', recovered: 0, tornBytes: 0, predecessor: undefined, superseded: [] }
}

function explicitProofs(path: readonly PathSegment[]): SpoolPosition[] {
  return path
    .filter((one) => one.header.kind === 'explicit')
    .flatMap(({ header }) => [
      { segment: header.previous, offset: header.previousLength },
      { segment: header.segment, offset: header.publishedLength },
    ])
}

function furthest(positions: readonly (SpoolPosition | undefined)[]): SpoolPosition {
  let best: SpoolPosition = { segment: 0, offset: 0 }
  for (const position of positions) if (position !== undefined && isBefore(best, position)) best = position
  return best
}

function reasonForNewStream(
  context: RecoveryContext,
  found: { state: ControlState; path: readonly PathSegment[]; tail: Tail },
): Predecessor['reason'] | undefined {
  const { state, path, tail } = found
  if (path.some((one) => one.header.epoch > state.epoch)) return 'recovery'
  if (!state.clean && (context.bootId === '' || context.bootId !== state.bootId)) return 'boot'
  if (!state.clean && tail.tornBytes > 0) return 'torn'
  if (isClockFarBack(lastRecorded(state, tail))) return 'clock'
  return state.deployment === context.deployment ? undefined : 'deployment'
}

/** `recorded` of the last record, above the watermark or below. */
function lastRecorded({ watermark }: ControlState, tail: Tail): string | undefined {
  const last = tail.records.at(-1)?.record
  return last === undefined ? watermark.recorded : parseRecord(last)?.recorded
}

function isClockFarBack(recorded: string | undefined): boolean {
  return recorded !== undefined && recorded > (formatTimestamp(nowMs() + clockBackMsMax) ?? recorded)
}

/** Steps 7 and 8. */
function publish(files: Files, context: Recovering, found: Inspection): Recovered {
  const { state, tail, reason } = found
  const nextSegment = (listSegments(files, context.directory).at(-1) ?? 0) + 1
  const { watermark } = state
  const epoch = Math.max(state.epoch, ...found.path.map((one) => one.header.epoch)) + 1
  const nextSequence = watermark.nextSequence + tail.records.length
  const lastRecord = tail.records.at(-1)?.record
  const hash = lastRecord === undefined ? watermark.hash : leafHash(lastRecord)
  const recorded = lastRecorded(state, tail)
  const spool = { spoolId: state.spoolId, stream: state.stream, deployment: context.deployment, epoch }
  let segment = publishSegment(files, context.own, {
    ...spool,
    segment: nextSegment,
    previous: watermark,
    nextSequence: watermark.nextSequence,
    hash: watermark.hash,
    records: tail.records,
  })
  let next: ControlState = {
    ...spool,
    bootId: context.bootId,
    firstSegment: state.firstSegment,
    clean: false,
    watermark: { ...endOf(segment), nextSequence, hash, recorded },
  }
  // A stream without records was never seen by anyone: what it follows is still to be said.
  let predecessor = nextSequence === 1 ? state.predecessor : undefined
  if (reason !== undefined) {
    if (nextSequence > 1) predecessor = { stream: state.stream, sequence: nextSequence - 1, hash, reason }
    const stream = randomUUID()
    const previous = { segment: segment.segment, offset: segment.offset }
    files.close(segment.file)
    const fresh = {
      ...spool,
      stream,
      segment: nextSegment + 1,
      previous,
      nextSequence: 1,
      hash: undefined,
      records: [],
    }
    segment = publishSegment(files, context.own, fresh)
    next = { ...next, stream, watermark: { ...endOf(segment), nextSequence: 1 } }
  }
  next = { ...next, predecessor }
  replaceControl(files, context.own, next)
  const live = new Set(found.path.map((one) => one.header.segment).filter((number) => number <= watermark.segment))
  const all = listSegments(files, context.directory).filter((number) => number < nextSegment)
  return {
    state: next,
    segment,
    previousEnd: state.clean ? 'clean' : 'crash',
    recovered: tail.records.length,
    tornBytes: tail.tornBytes,
    predecessor,
    superseded: all.filter((number) => !live.has(number)),
  }
}

function endOf(segment: OpenSegment): Pick<Watermark, 'segment' | 'offset' | 'frameNumber' | 'frameCrc'> {
  return {
    segment: segment.segment,
    offset: segment.offset,
    frameNumber: segment.frameNumber,
    frameCrc: segment.frameCrc,
  }
}
