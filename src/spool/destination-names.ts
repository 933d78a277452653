/**
 * The durable set of destination names while no writer lives: who must confirm a segment before it goes, adding names
 * to it, and taking one off, which is a fact for the next opening to seal.
 */

import type { ControlFact } from '../event/record.ts'
import { amendControl, type ControlState, readPresentControl } from './control.ts'
import { cursorFileName, type RecordNumber, readCursor } from './cursor.ts'
import { type Files, machineId } from './files.ts'
import { lockSpool } from './lock.ts'
import { checkOperatorTexts, repairUnfinished } from './refusals.ts'
import { openDirectory } from './segment.ts'

export interface DestinationDrop {
  readonly name: string
  readonly why: string
  readonly operator: string
}

export type DropOutcome =
  | { readonly kind: 'dropped'; readonly left: readonly string[]; readonly confirmed: RecordNumber | undefined }
  /** No such name is in the set. */
  | { readonly kind: 'unknown'; readonly names: readonly string[] }

/** Names in the set. Throws `SOURCE_UNREADABLE`, `SPOOL_CORRUPT` or `SPOOL_VERSION`. */
export function destinationNames(files: Files, directory: string): readonly string[] {
  return readPresentControl(files, directory).state.destinations ?? []
}

/**
 * Takes a name off the set; durable on return. Throws `INVALID_OPTION` for a text that is too long, `SPOOL_LOCKED` while
 * a writer lives, and as `destinationNames`.
 */
export function dropDestination(files: Files, directory: string, drop: DestinationDrop): DropOutcome {
  checkOperatorTexts(drop)
  readPresentControl(files, directory) // a lock file has no business where no spool is
  const lock = lockSpool(directory)
  try {
    if (files.list(directory).includes('repair')) throw repairUnfinished(directory)
    const names = destinationNames(files, directory)
    if (!names.includes(drop.name)) return { kind: 'unknown', names }
    const confirmed = confirmedBy(files, directory, drop.name)
    const left = names.filter((name) => name !== drop.name)
    const fact: ControlFact = { type: 'audit.destination.dropped', details: { ...drop, ...placeOf(confirmed) } }
    const change = (state: ControlState): ControlState => ({
      ...state,
      destinations: left.length === 0 ? undefined : left,
      facts: [...(state.facts ?? []), fact],
    })
    const own = openDirectory(files, directory)
    try {
      amendControl(files, own, { machine: machineId(), change })
    } finally {
      files.close(own.file)
    }
    return { kind: 'dropped', left, confirmed }
  } finally {
    lock.release()
  }
}

/** Adds names to the set; durable on return. The caller holds the lock. Throws `INVALID_OPTION` where control has no room. */
export function addDestinations(files: Files, directory: string, names: readonly string[]): void {
  const change = (state: ControlState): ControlState => ({
    ...state,
    destinations: [...new Set([...(state.destinations ?? []), ...names])],
  })
  const own = openDirectory(files, directory)
  try {
    amendControl(files, own, { machine: machineId(), change })
  } finally {
    files.close(own.file)
  }
}

/** How far it had come, for the trail. */
function placeOf(confirmed: RecordNumber | undefined) {
  return confirmed === undefined ? {} : { stream: confirmed.stream, seq: confirmed.sequence }
}

function confirmedBy(files: Files, directory: string, name: string): RecordNumber | undefined {
  return files.list(directory).includes(cursorFileName(name)) ? readCursor(files, directory, name).confirmed : undefined
}
