/**
 * Slot 3 of control: counts of the events that policy did not want, as far as no record has sealed them, so that a kill
 * loses at most what the last second added. While a spool is open the application thread alone writes it, without sync.
 * Always holds: what is counted adds up, also where single rules have no room. Which windows are sealed is decided by
 * recovery (`unsealed-counts.ts`).
 */

import { errorCode } from '../errors.ts'
import type { Outcome } from '../event/event.ts'
import type { RecordNumber } from './cursor.ts'
import type { Files } from './files.ts'
import { controlPath } from './refusals.ts'
import { encodeSlot, readSlot, slotBytes } from './slots.ts'

/** Position of the slot in control. */
export const countsSlot = 3
/** Longest JSON text with one window, in bytes: leaves room for what the next process counts. */
const oneWindowBytesMax = 3_300
/** With several. A slot holds 4,068; the mark of a window that is being sealed has the rest. */
const slotTextBytesMax = 3_900
/** Stands for all rules that had no room of their own. */
export const otherRules = '…'
const otherRulesBytes = 80

/** How often a rule has suppressed an event of this operation and outcome. */
export interface RuleCount {
  readonly id: string
  readonly operation: string
  readonly outcome: Outcome
  readonly count: number
}

/** What one policy suppressed from one moment to another: the `details` of `audit.suppressed`. */
export interface SuppressionWindow {
  readonly from: string
  readonly to: string
  readonly policy: string
  readonly rules: readonly RuleCount[]
}

/** A window in the slot. */
export interface SavedWindow extends SuppressionWindow {
  /** Of the writer that counted. */
  readonly epoch: number
  /** The record that seals it, if that stands in the spool. */
  readonly sealedAs?: RecordNumber | undefined
}

/** The open slot of the application thread. */
export class CountsSlot {
  readonly #files: Files
  readonly #file: number
  #isOpen = true

  constructor(files: Files, directory: string) {
    this.#files = files
    this.#file = files.open(controlPath(directory), 'write')
  }

  /**
   * Replaces what the slot holds; survives SIGKILL on return. False when there was no room for each rule of the last
   * window. A disk that refuses is not reported: the counts are in memory, and the spool says how its disk is.
   */
  save(windows: readonly SavedWindow[]): boolean {
    const { bytes, isWhole } = encodeWindows(windows, windows.length > 1 ? slotTextBytesMax : oneWindowBytesMax)
    try {
      if (this.#isOpen) this.#files.write(this.#file, bytes, countsSlot * slotBytes)
    } catch (error) {
      if (errorCode(error) === undefined) throw error
    }
    return isWhole
  }

  close(): void {
    if (this.#isOpen) this.#files.close(this.#file)
    this.#isOpen = false
  }
}

/** The bytes of the slot. Rules that have no room are added up, window by window; the last may have none at all. */
export function encodeWindows(
  windows: readonly SavedWindow[],
  bytesMax = slotTextBytesMax,
): { readonly bytes: Buffer; readonly isWhole: boolean } {
  let room = bytesMax - textBytes({ windows: [] })
  const fitting = windows.flatMap((window) => {
    const roomForRules = room - textBytes({ ...window, rules: [] }) - 1
    if (roomForRules < otherRulesBytes) return []
    const rules = cutRules(window.rules, roomForRules)
    room = roomForRules - textBytes(rules)
    return [{ ...window, rules }]
  })
  const isWhole = fitting.length === windows.length && fitting.every(({ rules }, at) => rules === windows[at]?.rules)
  return { bytes: encodeSlot({ generation: 1, members: { windows: fitting } }), isWhole }
}

/** As many rules as have room in this many bytes of JSON; the others added up as one. The same array when all have. */
export function cutRules(rules: readonly RuleCount[], bytesMax: number): readonly RuleCount[] {
  let bytes = 0
  const ends = rules.map((rule) => (bytes += textBytes(rule) + 1))
  if (bytes <= bytesMax) return rules
  const room = bytesMax - otherRulesBytes
  const kept = rules.filter((_, index) => (ends[index] ?? 0) <= room)
  const rest = rules.slice(kept.length).reduce((sum, { count }) => sum + count, 0)
  return [...kept, { id: otherRules, operation: 'other', outcome: 'unknown', count: rest }]
}

/** What the slot holds; nothing where it was never written or a power cut has damaged it. */
export function readWindows(files: Files, directory: string): readonly SavedWindow[] {
  const path = controlPath(directory)
  if (!files.list(directory).includes('control')) return []
  const file = files.open(path, 'read')
  try {
    const windows = readSlot(files, { file, path }, countsSlot)?.members.windows
    return Array.isArray(windows) ? (windows as SavedWindow[]) : []
  } finally {
    files.close(file)
  }
}

function textBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}
