/**
 * Which of the running counts in control no record has sealed, decided by recovery. Always holds: after a kill a count
 * is sealed once. Before the record that seals a window is appended, the slot names that record (`sealedAs`): the window
 * is done with exactly when it stands in the spool. A power cut may leave a slot that is older than the records above the
 * watermark (with the watermark every slot was synced); then those tell, by their epoch and by `from`.
 */

import { parseRecord, type RecordMembers } from '../event/record.ts'
import type { ControlState } from './control.ts'
import type { Files } from './files.ts'
import { readWindows, type SavedWindow } from './running-counts.ts'
import { nextSequenceOf, type Tail } from './tail.ts'

export interface Standing {
  readonly state: ControlState
  readonly tail: Tail
  /** Of the machine now; `''` where it is not known. */
  readonly bootId: string
}

/** The windows that are still to be sealed, oldest first. */
export function readUnsealed(files: Files, directory: string, { state, tail, bootId }: Standing): SavedWindow[] {
  const windows = readWindows(files, directory)
  if (windows.length === 0) return []
  const ends = new Map(tail.streams.map((one) => [one.stream, nextSequenceOf(one) - 1]))
  const { predecessor } = state
  if (predecessor !== undefined) ends.set(predecessor.stream, predecessor.sequence)
  const hadPower = bootId !== '' && bootId === state.bootId
  const younger = hadPower ? [] : tail.records.map(({ record }) => parseRecord(record))
  return windows
    .filter(({ sealedAs }) => {
      const end = sealedAs === undefined ? 0 : ends.get(sealedAs.stream)
      return sealedAs === undefined || (end !== undefined && end < sealedAs.sequence) // an older stream ended behind it
    })
    .filter((window) => !younger.some((record) => record !== undefined && seals(record, window)))
    .map(({ sealedAs: _, ...window }) => window)
}

/** A writer begins by sealing what those before it left, and then its own windows in order. */
function seals({ event_type, epoch = 0, details = {} }: RecordMembers, window: SavedWindow): boolean {
  if (event_type !== 'audit.suppressed' && event_type !== 'audit.stream.opened') return false
  if (epoch !== window.epoch) return epoch > window.epoch
  return event_type === 'audit.suppressed' && typeof details.from === 'string' && details.from >= window.from
}
