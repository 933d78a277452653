/**
 * Looking at a slot from outside, without its lock and without writing: whether records may be left in it for
 * destinations of ours. Looks can be wrong while somebody writes it; what is done about it is done under its lock.
 */

import { type ControlReading, durableEnd, readControl } from '../spool/control.ts'
import { cursorName, type RecordNumber, readCursor } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'

export interface SlotLook {
  readonly deployment: string
  /** The stream that was written there last. */
  readonly stream: string
  /** Destinations, of those asked for, that the slot has and that lack a durable record of it. */
  readonly owed: readonly string[]
  /** Its writer did not end it: more may be written than is durable. */
  readonly unclean: boolean
  /** Changes with everything above, and with anything that a writer there does. */
  readonly mark: string
}

/** Looks at a slot on behalf of these destinations. `undefined` where no spool is yet; throws what reading throws. */
export function lookAtSlot(files: Files, directory: string, names: readonly string[]): SlotLook | undefined {
  const control = readControl(files, directory)
  if (control.kind === 'absent') return undefined
  if (control.kind === 'damaged') return { deployment: '', stream: '', owed: [], unclean: true, mark: 'damaged' }
  const { state, published } = control
  const last = lastRecord(control)
  const cursors = readCursors(files, directory, names)
  const wanted = names.filter((name) => state.destinations?.includes(name) ?? true)
  const owed = wanted.filter((name) => !isSame(cursors.get(name), last))
  const mark = JSON.stringify([control.generation, state, published, [...cursors]])
  return { deployment: state.deployment, stream: state.stream, owed, unclean: !state.clean, mark }
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
