/**
 * What a repair will do, decided before anything is changed: which segments stay, where the last of them ends, what
 * goes to quarantine, and the control file that follows. Nothing here writes.
 */

import { randomUUID } from 'node:crypto'
import { formatTimestamp, nowMs } from '../clock.ts'
import type { ControlFact } from '../event/record.ts'
import type { CheckedSpool } from './check.ts'
import { type ControlState, checkRoom, type Predecessor } from './control.ts'
import { cursorName } from './cursor.ts'
import { bootId, type Files } from './files.ts'
import type { SpoolPosition } from './format.ts'
import { deploymentIn, type LostRecords, lostRecords, restBytes } from './lost-records.ts'
import { highestQuarantined, type QuarantineKind } from './quarantine.ts'
import { checkOperatorTexts, type Damage } from './refusals.ts'

/** Most streams named in a gap; the count is of all. */
const streamsNamedMax = 8

export interface RepairRequest {
  /** Without it nothing is changed. */
  readonly acceptsLoss: boolean
  readonly operator: string
  readonly why?: string | undefined
  readonly onSegment?: ((index: number, of: number) => void) | undefined
}

/** What a repair did, or would do. */
export interface RepairPlan {
  /** Names the repair in quarantine and in the sealed gap. */
  readonly id: string
  readonly plannedAt: string
  readonly damage: readonly Damage[]
  readonly lost: LostRecords
  /** Segments that leave the spool. */
  readonly moved: readonly number[]
  /** Where what stays ends; segment 0 when nothing stays. */
  readonly keptTo: SpoolPosition
  /** The segment of which the beginning stays and all is copied. */
  readonly copied: { readonly segment: number; readonly kind: QuarantineKind } | undefined
  /** Number of the new stream's first segment. */
  readonly segment: number
  /** Control to be written, its watermark at the beginning of that segment. */
  readonly state: Omit<ControlState, 'watermark'>
}

export function planRepair(files: Files, checked: CheckedSpool, request: RepairRequest): RepairPlan {
  checkOperatorTexts(request)
  const { directory, segments, examined, state, known, damage } = checked
  const { end } = examined
  const keptTo = { segment: end?.segment ?? 0, offset: end?.offset ?? 0 }
  const kept = segments.path.map(({ header }) => header.segment).filter((number) => number <= keptTo.segment)
  const moved = segments.all.filter((number) => !kept.includes(number))
  const everUsed = [...segments.all, state?.watermark.segment ?? 0, known?.segment ?? 0]
  const segment = Math.max(...everUsed, highestQuarantined(files, directory)) + 1
  const hasRest = keptTo.segment > 0 && restBytes(files, directory, keptTo) > 0
  const kind = examined.torn !== undefined && examined.damage.length === 0 ? 'torn' : 'corrupt'
  const lost = lostRecords(files, checked, { moved, keptTo })
  const id = randomUUID()
  const newest = segments.path.at(-1)?.header
  const next: Omit<ControlState, 'watermark'> = {
    spoolId: state?.spoolId ?? newest?.spoolId ?? randomUUID(),
    deployment: state?.deployment ?? deploymentIn(files, checked) ?? '',
    stream: randomUUID(),
    epoch: Math.max(state?.epoch ?? 0, ...segments.path.map(({ header }) => header.epoch)) + 1,
    bootId: bootId(),
    firstSegment: kept[0] ?? segment,
    clean: false,
    predecessor: predecessorOf(checked),
    destinations: state?.destinations ?? destinationsWithCursor(files, directory),
    facts: [...(state?.facts ?? []), gapOf(lost, { ...request, id })],
  }
  checkRoom(next)
  const copied = hasRest ? ({ segment: keptTo.segment, kind } as const) : undefined
  return { id, plannedAt: formatTimestamp(nowMs()) ?? '', damage, lost, moved, keptTo, copied, segment, state: next }
}

/** The last whole record; where a stream has none, what that one followed. */
function predecessorOf({ examined: { end }, state }: CheckedSpool): Predecessor | undefined {
  if (end !== undefined && end.sequence > 0) {
    return { stream: end.stream, sequence: end.sequence, hash: end.hash, reason: 'loss' }
  }
  if (state?.predecessor !== undefined) return { ...state.predecessor, reason: 'loss' }
  const stream = end?.stream ?? state?.stream
  return stream === undefined ? undefined : { stream, sequence: 0, hash: undefined, reason: 'loss' }
}

function gapOf(lost: LostRecords, { operator, why, id }: RepairRequest & { id: string }): ControlFact {
  const [first, ...others] = lost.ranges
  const { count, bytes, whole } = lost
  const details = {
    reason: 'accepted_loss',
    count,
    bytes,
    quarantined: whole,
    ...first,
    ...(others.length === 0 ? {} : { others: others.slice(0, streamsNamedMax) }),
    operator,
    ...(why === undefined ? {} : { why }),
    repair: id,
  }
  return { type: 'audit.gap', details }
}

/** Where control is lost, a cursor is what is left of a destination's name. */
function destinationsWithCursor(files: Files, directory: string): string[] | undefined {
  const names = files
    .list(directory)
    .map(cursorName)
    .filter((name) => name !== undefined)
  return names.length === 0 ? undefined : names
}
