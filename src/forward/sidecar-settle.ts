/**
 * What a sidecar does for a spool whose writer is gone: recovers it under its `lock`, so that everything written is
 * durable and can be delivered, and lets go. Always holds: a writer that comes back is not kept waiting, because the
 * lock is tried only where nothing has moved for a while, and held only for the recovery. Removes no segment that the
 * recovery has not replaced.
 */

import { AuditError, errorCode, errorText } from '../errors.ts'
import { type ControlReading, readPresentControl } from '../spool/control.ts'
import { addDestinations } from '../spool/destination-names.ts'
import type { Files } from '../spool/files.ts'
import { isLocked, lockSpool } from '../spool/lock.ts'
import { settleHeld } from '../spool/settle.ts'

/** After how many looks the lock of a spool that stands still is tried, at most: a try costs 4 ms. */
const looksMax = 8

export interface SettlerParts {
  readonly files: Files
  readonly directory: string
  /** Of the destinations: the spool keeps for them what they lack, where it does not already. */
  readonly names: readonly string[]
  readonly say: (text: string) => void
}

export class Settler {
  readonly #parts: SettlerParts
  /** How control looked at the last look. */
  #mark: string | undefined
  /** How it looked when nothing was left to do. */
  #settledMark: string | undefined
  #said: string | undefined
  /** Looks since it moved; the lock is tried after one, two, four of them, and then after every eight. */
  #stillLooks = 0

  constructor(parts: SettlerParts) {
    this.#parts = parts
  }

  /** Recovers a spool that has stood still since the last look and has no writer. Throws nothing: trouble is said once. */
  look(): void {
    this.#attempt(() => {
      const control = this.#read()
      const [before, mark] = [this.#mark, markOf(control)]
      this.#mark = mark
      this.#stillLooks = mark === before ? this.#stillLooks + 1 : 0
      const isDue = this.#stillLooks % looksMax === 0 || [1, 2, 4].includes(this.#stillLooks)
      if (this.#stillLooks === 0) this.#sayMissing(before === undefined ? [] : this.#missingIn(control))
      else if (isDue && mark !== this.#settledMark) this.#settle()
    })
  }

  /** Recovers it at once, where it has no writer; whether it has none. */
  lookNow(): boolean {
    const { directory } = this.#parts
    if (isLocked(directory)) return false
    this.#attempt(() => this.#settle())
    return true
  }

  #settle(): void {
    const { directory } = this.#parts
    const control = this.#read()
    const missing = this.#missingIn(control)
    if (isLocked(directory)) this.#sayMissing(missing)
    else if (!control.state.clean || missing.length > 0) this.#settleUnlocked(missing)
  }

  #settleUnlocked(missing: readonly string[]): void {
    const { files, directory } = this.#parts
    const lock = lockSpool(directory, 0)
    try {
      settleHeld(files, directory)
      if (missing.length > 0) addDestinations(files, directory, missing)
    } finally {
      lock.release()
    }
    this.#settledMark = markOf(this.#read())
  }

  #missingIn({ state }: Extract<ControlReading, { kind: 'state' }>): string[] {
    return this.#parts.names.filter((name) => !state.destinations?.includes(name))
  }

  #read(): Extract<ControlReading, { kind: 'state' }> {
    return readPresentControl(this.#parts.files, this.#parts.directory)
  }

  /** Its names are the writer's while it lives. */
  #sayMissing(missing: readonly string[]): void {
    if (missing.length === 0) return
    this.#say(
      `the application that writes it has no destination named ${missing.join(', ')}: it may give back what ` +
        `${missing.length === 1 ? 'that one lacks' : 'those lack'}. Configure the same destinations there, with delivery: 'external'`,
    )
  }

  #attempt(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof AuditError) && errorCode(error) === undefined) throw error
      const isBusy = error instanceof AuditError && error.code === 'SPOOL_LOCKED' // a writer was quicker
      if (!isBusy) this.#say(`it cannot be recovered: ${errorText(error)}; what was durable is delivered`)
    }
  }

  #say(text: string): void {
    if (this.#said === text) return
    this.#said = text
    this.#parts.say(text)
  }
}

function markOf({ generation, state, published }: Extract<ControlReading, { kind: 'state' }>): string {
  return JSON.stringify([generation, state, published])
}
