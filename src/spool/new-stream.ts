/**
 * Numbers are never issued twice: when the next opening must start a new stream instead of going on in the old one.
 * Every row is a way in which what stands here may be less than what somebody outside has seen.
 */

import { formatTimestamp, nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { type ControlFact, parseRecord } from '../event/record.ts'
import { clockBackMsMax } from '../limits.ts'
import type { ControlState, StreamReason } from './control.ts'
import { cursorName, type RecordNumber, readCursor } from './cursor.ts'
import type { Files } from './files.ts'
import { hasMoved, placeOf } from './guard.ts'
import { controlPath } from './refusals.ts'
import type { PathSegment } from './segment.ts'
import { isForked } from './set-aside.ts'
import { nextSequenceOf, type Tail, type TailStream } from './tail.ts'

export interface Opening {
  readonly directory: string
  readonly deployment: string
  readonly bootId: string
  readonly machine: string
}

/** What decides whether a stream goes on. */
export interface Ending {
  readonly state: ControlState
  readonly path: readonly PathSegment[]
  readonly tail: Tail
  /** A destination that has confirmed more of the stream than stands here. */
  readonly ahead: RecordNumber | undefined
}

/** Why a new stream starts, if one does. The first that holds is named; `loss` is written by a repair. */
export function reasonForNewStream(files: Files, opening: Opening, ending: Ending): StreamReason | undefined {
  const { state, path, tail, ahead } = ending
  const { directory, bootId, machine } = opening
  const place = placeOf(files, { directory, control: controlPath(directory), machine })
  if (hasMoved(state.place, place)) return 'copied'
  if (path.some((one) => one.header.epoch > state.epoch)) return 'recovery'
  if (!state.clean && (bootId === '' || bootId !== state.bootId)) return 'boot'
  if (!state.clean && tail.tornBytes > 0) return 'torn'
  if (ahead !== undefined || isForked(files, directory, lastStream(tail).stream)) return 'ahead'
  if (isClockFarBack(lastRecorded(state, tail))) return 'clock'
  return state.deployment === opening.deployment ? undefined : 'deployment'
}

/** The stream that the spool ends with: the last that has records, or the one of the watermark. */
export function lastStream({ streams }: Tail): TailStream {
  const last = streams.findLast(({ records }) => records.length > 0) ?? streams[0]
  if (last === undefined) throw new RangeError('a tail without a stream')
  return last
}

/** `recorded` of the last record, above the watermark or below. */
export function lastRecorded({ watermark }: ControlState, tail: Tail): string | undefined {
  const last = tail.records.at(-1)?.record
  return last === undefined ? watermark.recorded : parseRecord(last)?.recorded
}

/**
 * The furthest record of the last stream that a destination has confirmed although it does not stand here: a disk that
 * lied about a sync, or segments of an older copy beside newer cursors.
 */
export function confirmedAhead(files: Files, directory: string, tail: Tail): RecordNumber | undefined {
  const last = lastStream(tail)
  let furthest: RecordNumber | undefined
  for (const name of files.list(directory).map(cursorName)) {
    const confirmed = name === undefined ? undefined : confirmedBy(files, directory, name)
    if (confirmed?.stream !== last.stream || confirmed.sequence < nextSequenceOf(last)) continue
    if (confirmed.sequence > (furthest?.sequence ?? 0)) furthest = confirmed
  }
  return furthest
}

/** Nothing where a later version wrote the cursor: whoever delivers refuses it by name. */
function confirmedBy(files: Files, directory: string, name: string): RecordNumber | undefined {
  try {
    return readCursor(files, directory, name).confirmed
  } catch (error) {
    if (error instanceof AuditError && error.code === 'SPOOL_VERSION') return undefined
    throw error
  }
}

/** What the next opening must say of records that a destination has and this spool has not. */
export function missingHere(tail: Tail, ahead: RecordNumber | undefined): ControlFact[] {
  if (ahead === undefined) return []
  const [stream, from, to] = [ahead.stream, nextSequenceOf(lastStream(tail)), ahead.sequence]
  return [{ type: 'audit.gap', details: { reason: 'ahead', stream, from, to, count: to - from + 1, bytes: 0 } }]
}

function isClockFarBack(recorded: string | undefined): boolean {
  return recorded !== undefined && recorded > (formatTimestamp(nowMs() + clockBackMsMax) ?? recorded)
}
