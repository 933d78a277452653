/** What a repair takes out of a spool, as far as it can be told: which records, how many bytes, how much of it whole. */

import { parseRecord } from '../event/record.ts'
import type { CheckedSpool } from './check.ts'
import { cursorName, readCursor } from './cursor.ts'
import type { RecordRange } from './examine.ts'
import type { Files } from './files.ts'
import { type SpoolPosition, segmentHeaderBytes } from './format.ts'
import { bytesUntilZeros, findFrames } from './frame-search.ts'
import { segmentPath } from './refusals.ts'
import { readSegmentHeader } from './segment.ts'

export interface LostRecords {
  /** By stream, in order; a stream of which nothing is known to be lost is not among them. */
  readonly ranges: readonly RecordRange[]
  readonly count: number
  /** Bytes that leave the spool. */
  readonly bytes: number
  /** Records that go to quarantine whole, behind the damage or by a second process; at least these. */
  readonly whole: number
}

/** Adds up what goes: `moved` whole, and of one segment what stands behind `keptTo`. */
export function lostRecords(
  files: Files,
  checked: CheckedSpool,
  { moved, keptTo }: { moved: readonly number[]; keptTo: SpoolPosition },
): LostRecords {
  const { directory, examined } = checked
  const ranges = lostRanges(checked, highestKnown(files, checked))
  let bytes = keptTo.segment > 0 ? restBytes(files, directory, keptTo) : 0
  for (const segment of moved) bytes += restBytes(files, directory, { segment, offset: segmentHeaderBytes })
  let whole = examined.behind.records
  for (const { kind, segment } of checked.damage) {
    if (kind === 'owner' && segment !== undefined) whole += countWhole(files, directory, segment)
  }
  return { ranges, count: ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0), bytes, whole }
}

/** Bytes behind the end of what stays in a segment. */
export function restBytes(files: Files, directory: string, { segment, offset }: SpoolPosition): number {
  const file = files.open(segmentPath(directory, segment), 'read')
  try {
    return bytesUntilZeros(files, { file, from: offset, to: files.size(file) })
  } finally {
    files.close(file)
  }
}

/** Where control is lost: the deployment that the newest `audit.stream.opened` names. */
export function deploymentIn(files: Files, { directory, segments }: CheckedSpool): string | undefined {
  for (const { header } of segments.path.toReversed()) {
    const file = files.open(segmentPath(directory, header.segment), 'read')
    try {
      const range = { file, salt: header.salt, from: segmentHeaderBytes, to: files.size(file) }
      for (const { frame } of findFrames(files, range)) {
        if (frame === undefined || !frame.record.includes('"audit.stream.opened"')) continue
        const record = parseRecord(frame.record)
        const deployment = record?.event_type === 'audit.stream.opened' ? record.details?.deployment : undefined
        if (typeof deployment === 'string') return deployment
      }
    } finally {
      files.close(file)
    }
  }
  return undefined
}

/** The highest sequence of each stream that anything tells of: whole frames behind the damage, control, cursors. */
function highestKnown(
  files: Files,
  { directory, state, known, segments, examined }: CheckedSpool,
): Map<string, number> {
  const highest = new Map<string, number>()
  const note = (stream: string | undefined, sequence: number) => {
    if (stream !== undefined) highest.set(stream, Math.max(sequence, highest.get(stream) ?? 0))
  }
  for (const { stream, to } of examined.behind.ranges) note(stream, to)
  note(state?.stream, (state?.watermark.nextSequence ?? 1) - 1)
  const at = segments.path.find(({ header }) => header.segment === known?.segment)?.header.stream
  note(at ?? state?.stream, (known?.nextSequence ?? 1) - 1)
  for (const name of files.list(directory).map(cursorName)) {
    const confirmed = name === undefined ? undefined : readCursor(files, directory, name).confirmed
    if (confirmed !== undefined && highest.has(confirmed.stream)) note(confirmed.stream, confirmed.sequence)
  }
  return highest
}

function lostRanges({ examined }: CheckedSpool, highest: ReadonlyMap<string, number>): RecordRange[] {
  const { end } = examined
  const ranges: RecordRange[] = []
  for (const [stream, to] of highest) {
    const from = stream === end?.stream ? end.sequence + 1 : 1
    if (to >= from) ranges.push({ stream, from, to })
  }
  return ranges
}

function countWhole(files: Files, directory: string, segment: number): number {
  const decoded = readSegmentHeader(files, directory, segment)
  if (!decoded.ok) return 0
  const file = files.open(segmentPath(directory, segment), 'read')
  try {
    let whole = 0
    const range = { file, salt: decoded.header.salt, from: segmentHeaderBytes, to: files.size(file) }
    for (const { frame } of findFrames(files, range)) if (frame !== undefined) whole += 1
    return whole
  } finally {
    files.close(file)
  }
}
