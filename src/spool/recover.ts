/**
 * Opening a spool: what is there, what of it counts, and a state from which a writer can go on. Runs on the thread
 * that opens, under the lock, before any reader or emit. The steps, in this order; the table test has their rows:
 *
 * 1. Sync the directory. A repair that was interrupted: fail closed, it alone knows how to go on. Remove `*.tmp`
 *    (none ever got a name that counts).
 * 2. Read control: newest valid slot, published slot; one damaged slot leaves the other. No control and no segments,
 *    or one empty first segment: a new spool. No control beside segments, or both slots bad: fail closed.
 * 3. Walk back from the highest segment by header to `firstSegment`. A bad header, a missing segment, a segment of
 *    another spool is corruption. A segment above the watermark with an epoch below control's, or below that of the
 *    segment before it, is an older owner's: two processes wrote, fail closed. Segments off this path are void:
 *    unused spares, what a failed sync condemned, and files whose removal a power cut undid; so is an explicit first
 *    segment of another spool without a frame, of an opening that never came to its end.
 * 4. Scan frames from the watermark W, by stream. An explicit successor says where its predecessor ends, and frames
 *    must reach there; a planned one continues it only if its first frame links. A segment of another stream starts
 *    at sequence 1. Where frames end is the cut.
 * 5. Proof K: the furthest of W, the published slot, explicit headers with their lengths, and the known position of
 *    every header-valid frame behind the cut. K behind the cut is corruption; otherwise what follows the cut is torn:
 *    it was never acknowledged. Damage below W is not looked for here: `scrub`, `check` and `verify` find it.
 * 6. A new stream starts when the spool lies where control was not written (a copy); when a segment's epoch is above
 *    control's (a recovery that was itself killed, or control's renaming undone); when the end was unclean and the
 *    boot is another, or bytes stand behind the cut; when a destination has confirmed more than stands here; when the
 *    clock is more than 60 s behind the last record; when the deployment changed. A repair has started it already.
 * 7. Publish one explicit segment with what stands above W: one, so that a recovery that is killed leaves all or
 *    nothing of it. Of several streams only the last one's records: a stream begins when everything before is durable.
 *    A new stream gets a further, empty segment. Numbers go on above every number in use.
 * 8. Replace control by rename: place, boot id, epoch, new watermark, unclean, names of destinations, facts to seal,
 *    and the counts of suppressed events that no record seals.
 * 9. The caller starts readers and emits, and unlinks the superseded segments.
 */

import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { leafHash } from '../chain/hash.ts'
import { type ControlFact, parseRecord } from '../event/record.ts'
import {
  type ControlReading,
  type ControlState,
  type Predecessor,
  readControl,
  replaceControl,
  type StreamReason,
  type Watermark,
} from './control.ts'
import type { RecordNumber } from './cursor.ts'
import { type Files, machineId } from './files.ts'
import { isBefore } from './format.ts'
import { isFirstOpening, removeTemporaries, takeBack, withoutFirstOpenings } from './leftovers.ts'
import { readLivePath } from './live-path.ts'
import { confirmedAhead, lastRecorded, lastStream, missingHere, reasonForNewStream } from './new-stream.ts'
import { controlDamaged, damaged, repairUnfinished, segmentPath } from './refusals.ts'
import type { SavedWindow } from './running-counts.ts'
import {
  listSegments,
  type OpenDirectory,
  type OpenSegment,
  openDirectory,
  type PathSegment,
  publishSegment,
} from './segment.ts'
import { isNoSpace } from './state.ts'
import { nextSequenceOf, type Proof, scanTail, type Tail, type TailStream } from './tail.ts'
import { readUnsealed } from './unsealed-counts.ts'

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
  /** What to seal behind `opened`; control keeps it until a state without it is saved. */
  readonly facts: readonly ControlFact[]
  /** What policy suppressed and no record seals, oldest first; control keeps it until a record does. */
  readonly suppressed: readonly SavedWindow[]
  /** Segments that the new control no longer needs. */
  readonly superseded: readonly number[]
}

export interface RecoveryContext {
  readonly directory: string
  readonly deployment: string
  readonly bootId: string
  /** Default: this machine's. */
  readonly machineId?: string | undefined
  /** Names to be united with those in control: all must confirm a segment before it goes. */
  readonly destinations?: readonly string[] | undefined
}

/** What a closed spool holds, as recovery sees it (steps 2 to 6), before anything is changed. */
export interface Inspection {
  readonly state: ControlState
  readonly path: readonly PathSegment[]
  readonly tail: Tail
  /** Why the next opening starts a new stream, if it does. */
  readonly reason: StreamReason | undefined
  /** A record that a destination has confirmed and that does not stand here. */
  readonly ahead: RecordNumber | undefined
}

/** Looks, changes nothing. `undefined` for a directory without a spool. Throws `SPOOL_CORRUPT` or `SPOOL_VERSION`. */
export function inspectSpool(files: Files, context: RecoveryContext): Inspection | undefined {
  const { directory } = context
  if (files.list(directory).includes('repair')) throw repairUnfinished(directory)
  const control = readControl(files, directory)
  const segments = listSegments(files, directory)
  if (control.kind === 'damaged') throw controlDamaged(directory, 'both slots are damaged')
  if (control.kind === 'absent') {
    if (segments.length === 0 || isFirstOpening(files, directory, segments)) return undefined
    throw controlDamaged(directory, `it is missing although there are ${segments.length} segments`)
  }
  const { state } = control
  const { spoolId, watermark } = state
  const below = segments.filter((one) => one <= watermark.segment) // headers lead around what does not belong there
  const above = segments.slice(below.length) // a long backlog is not looked through for it
  const own = [...below, ...withoutFirstOpenings(files, directory, { segments: above, spoolId })]
  const path = readLivePath(files, directory, { state, segments: own })
  const tail = scanTail(files, directory, { path, watermark: state.watermark })
  checkProofs(directory, tail, [...controlProofs(control), ...path.flatMap(explicitProofs), ...tail.provenBehindCut])
  const ahead = confirmedAhead(files, directory, tail)
  const opening = { ...context, machine: context.machineId ?? machineId() }
  return { state, path, tail, ahead, reason: reasonForNewStream(files, opening, { state, path, tail, ahead }) }
}

/** Recovers or creates the spool. Throws `SPOOL_CORRUPT` or `SPOOL_VERSION`, and then has changed nothing that counts. */
export function recoverSpool(files: Files, context: RecoveryContext): Recovered {
  const { directory } = context
  const own = openDirectory(files, directory)
  try {
    files.syncDirectory(own.file)
    const found = inspectSpool(files, context)
    removeTemporaries(files, directory)
    const recover = () =>
      found === undefined ? createSpool(files, { ...context, own }) : publish(files, { ...context, own }, found)
    try {
      return recover()
    } catch (error) {
      if (!isNoSpace(error) || !takeBack(files, own, found)) throw error
      return recover() // once more, with the room of the ballast
    }
  } finally {
    files.close(own.file)
  }
}

/** A recovery that makes names in the directory. */
interface Recovering extends RecoveryContext {
  readonly own: OpenDirectory
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
  const watermark = { ...endOf(segment), nextSequence: 1 }
  const { bootId, destinations } = context
  const first: ControlState = { ...spool, bootId, firstSegment: 1, watermark, clean: false, destinations }
  const state = replaceControl(files, context.own, { state: first, machine: context.machineId ?? machineId() })
  const nothing = { recovered: 0, tornBytes: 0, predecessor: undefined, facts: [], suppressed: [], superseded: [] }
  return { state, segment, previousEnd: 'none', ...nothing }
}

function controlProofs({ state, published }: Extract<ControlReading, { kind: 'state' }>): Proof[] {
  const { segment, offset } = state.watermark
  const watermark = { segment, offset, by: 'the watermark in control' }
  return published === undefined ? [watermark] : [watermark, { ...published, by: 'the position published in control' }]
}

function explicitProofs({ header }: PathSegment): Proof[] {
  if (header.kind === 'planned') return []
  const by = `the header of segment ${header.segment}`
  return [
    { segment: header.previous, offset: header.previousLength, by },
    { segment: header.segment, offset: header.publishedLength, by },
  ]
}

/** Step 5. */
function checkProofs(directory: string, tail: Tail, proofs: readonly Proof[]): void {
  const { cut } = tail
  const beyond = proofs.filter((proof) => isBefore(cut, proof))
  if (beyond.length === 0) return
  const proof = beyond.reduce((best, one) => (isBefore(best, one) ? one : best))
  const last = lastStream(tail)
  const what = `synced frames are damaged or missing from offset ${cut.offset}: whole frames end with sequence ${nextSequenceOf(last) - 1} of stream ${last.stream}, but ${proof.by} says that all was durable up to offset ${proof.offset} of segment ${proof.segment}`
  throw damaged(directory, cut.segment, { kind: 'corrupt', offset: cut.offset, what })
}

/** Steps 7 and 8. */
function publish(files: Files, context: Recovering, found: Inspection): Recovered {
  const { state, path, tail, reason } = found
  const { directory, own, deployment, bootId } = context
  const { watermark } = state
  const before = listSegments(files, directory)
  const epoch = Math.max(state.epoch, ...path.map((one) => one.header.epoch)) + 1
  const spool = { spoolId: state.spoolId, deployment, epoch }
  const streams = streamsToPublish(found)
  const segment = publishStreams(files, own, { ...spool, streams, watermark, before })
  const last = lastStream(tail)
  const end = { stream: last.stream, sequence: nextSequenceOf(last) - 1, hash: lastHash(state, tail) }
  const facts = [...unsealed(state.facts ?? [], tail), ...missingHere(tail, found.ahead)]
  const names = new Set([...(state.destinations ?? []), ...(context.destinations ?? [])])
  // A stream without records was never seen by anyone: what it follows is still to be said.
  const carried = end.sequence === 0 ? state.predecessor : undefined
  const position =
    reason === undefined
      ? { nextSequence: end.sequence + 1, hash: end.hash, recorded: lastRecorded(state, tail) }
      : { nextSequence: 1 }
  const next: ControlState = {
    ...spool,
    stream: segment.stream,
    bootId,
    firstSegment: state.firstSegment,
    watermark: { ...endOf(segment), ...position },
    clean: false,
    predecessor: reason !== undefined && end.sequence > 0 ? { ...end, reason } : carried,
    destinations: names.size === 0 ? undefined : [...names],
    facts: facts.length === 0 ? undefined : facts,
  }
  const windows = readUnsealed(files, directory, { state, tail, bootId })
  const written = replaceControl(files, own, { state: next, machine: context.machineId ?? machineId(), windows })
  const kept = streams[0]?.after.segment ?? watermark.segment
  const live = new Set(path.map((one) => one.header.segment).filter((number) => number <= kept))
  return {
    state: written,
    segment,
    previousEnd: state.clean ? 'clean' : 'crash',
    recovered: tail.records.length,
    tornBytes: tail.tornBytes,
    predecessor: next.predecessor,
    facts,
    suppressed: windows,
    superseded: before.filter((number) => !live.has(number)),
  }
}

/** The last one and, to go on in, a fresh one where it ends. */
function streamsToPublish({ tail, reason }: Inspection): TailStream[] {
  const last = lastStream(tail)
  if (reason === undefined) return [last]
  const fresh = { stream: randomUUID(), firstSequence: 1, records: [], after: last.after }
  return last.records.length > 0 ? [last, fresh] : [fresh]
}

interface Publication {
  readonly spoolId: string
  readonly epoch: number
  readonly streams: readonly TailStream[]
  readonly watermark: Watermark
  /** Numbers in use. */
  readonly before: readonly number[]
}

/** Publishes each stream in an explicit segment of its own; the last one, open for writing. */
function publishStreams(files: Files, own: OpenDirectory, publication: Publication): OpenSegment & { stream: string } {
  const { spoolId, epoch, streams, watermark, before } = publication
  let segment = Math.max(watermark.segment, ...before)
  let previous = streams[0]?.after ?? watermark
  let open: (OpenSegment & { stream: string }) | undefined
  for (const { stream, firstSequence, records } of streams) {
    if (open !== undefined) files.close(open.file)
    const hash = firstSequence === watermark.nextSequence ? watermark.hash : undefined
    segment += 1
    const contents = { spoolId, epoch, stream, segment, previous, nextSequence: firstSequence, hash, records }
    open = { ...publishSegment(files, own, contents), stream }
    previous = open
  }
  if (open === undefined) throw new RangeError('a publication without a stream')
  return open
}

function lastHash({ watermark }: ControlState, tail: Tail): string | undefined {
  const last = tail.records.at(-1)?.record
  return last === undefined ? watermark.hash : leafHash(last)
}

/** A writer that was killed before it could save control has sealed some of the facts: they stand in the tail. */
function unsealed(facts: readonly ControlFact[], tail: Tail): ControlFact[] {
  if (facts.length === 0) return []
  const sealed = tail.records.map(({ record }) => parseRecord(record))
  return facts.filter(
    ({ type, details }) =>
      !sealed.some((record) => record?.event_type === type && isDeepStrictEqual(record.details, details)),
  )
}

function endOf({ segment, offset, frameNumber, frameCrc }: OpenSegment) {
  return { segment, offset, frameNumber, frameCrc }
}
