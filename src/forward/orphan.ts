/**
 * Looking at a slot from outside, without its lock and without writing: whether records may be left in it for
 * destinations of ours. Looks can be wrong while somebody writes it; what is done about it is done under its lock.
 */

import { type ControlReading, durableEnd, readControl } from '../spool/control.ts'
import { cursorName, type RecordNumber, readCursor } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'

/** Who would deliver what a slot still owes. */
export interface Heir {
  readonly deployment: string
  /** Names of its destinations. */
  readonly names: readonly string[]
}

export interface SlotLook {
  /** Destinations, of the heir's, that the slot has and that lack a durable record of it. */
  readonly owed: readonly string[]
  /** Worth its lock: something is owed, or its writer did not end it, and more may be written than is durable. */
  readonly mayOwe: boolean
  /** Changes with anything that a writer or an heir does there. */
  readonly mark: string
}

/** Looks at a slot. `undefined` where no spool is yet; throws what reading throws. */
export function lookAtSlot(files: Files, directory: string, heir: Heir): SlotLook | undefined {
  const control = readControl(files, directory)
  if (control.kind === 'absent') return undefined
  if (control.kind === 'damaged') return { owed: [], mayOwe: true, mark: 'damaged' } // adoption says what is wrong
  const { state, published } = control
  const cursors = readCursors(files, directory, heir.names)
  const mark = JSON.stringify([control.generation, state, published, [...cursors]])
  if (state.deployment !== heir.deployment) return { owed: [], mayOwe: false, mark }
  const last = lastRecord(control)
  const wanted = heir.names.filter((name) => state.destinations?.includes(name) ?? true)
  const owed = wanted.filter((name) => !isSame(cursors.get(name), last))
  return { owed, mayOwe: owed.length > 0 || (!state.clean && wanted.length > 0), mark }
}

/** The last durable record; a stream that has none yet goes on where its predecessor ends. */
function lastRecord(control: Extract<ControlReading, { kind: 'state' }>): RecordNumber | undefined {
  const { state } = control
  const sequence = durableEnd(control).nextSequence - 1
  if (sequence > 0) return { stream: state.stream, sequence }
  return state.predecessor
}

function readCursors(files: Files, directory: string, names: readonly string[]): Map<string, RecordNumber | undefined> {
  const present = new Set(files.list(directory).map(cursorName))
  const found = names.filter((name) => present.has(name))
  return new Map(found.map((name) => [name, readCursor(files, directory, name).confirmed]))
}

function isSame(a: RecordNumber | undefined, b: RecordNumber | undefined): boolean {
  return a?.stream === b?.stream && a?.sequence === b?.sequence
}
