/**
 * The emergency path: records that the spool could not take go to standard error, as NDJSON without stream, seq and
 * prev, and are accounted for by a sealed `audit.gap` when the spool takes records again; while it takes none, once a
 * minute in its reserve, as far as that goes. Always holds: each of them is in exactly one account, and an account is
 * let go of only when its gap record is in the spool.
 */

import { afterMs, monotonicMs } from '../clock.ts'
import type { JsonObject } from '../event/canonical.ts'
import { writeLine } from './standard-error.ts'

/** How long an account stays open: what a kill loses of it, in milliseconds. */
const accountMs = 60_000

/** Emergency records that no sealed gap accounts for yet. */
interface Account {
  count: number
  /** Of their lines, without line ends. */
  bytes: number
  /** `recorded` of the first and of the last. */
  readonly from: string
  to: string
  /** Those that not even standard error could take. */
  lost: number
}

export class Emergencies {
  #total = 0
  #account: Account | undefined
  #seal: () => void = () => {}
  #dueAtMs = 0
  #forgetTimer = (): void => {}

  /** Takes what seals the gap, if the spool takes it, when the account has been open for its time. */
  attach(seal: () => void): void {
    this.#seal = seal
  }

  /** How many records have gone this way. */
  get total(): number {
    return this.#total
  }

  /** Whether some of them are not accounted for. */
  get isOpen(): boolean {
    return this.#account !== undefined
  }

  /** Writes a record; `reason` says why the spool could not take it. Never throws. */
  write(record: string, reason: string): void {
    const { stream: _stream, seq: _seq, prev: _prev, ...members } = JSON.parse(record) as JsonObject
    const line = JSON.stringify({ ...members, emergency: reason })
    const isLost = writeLine(line) === 'lost'
    const recorded = String(members.recorded)
    if (this.#account === undefined) this.#awaitDue()
    this.#account ??= { count: 0, bytes: 0, from: recorded, to: recorded, lost: 0 }
    const account = this.#account
    account.count += 1
    account.bytes += Buffer.byteLength(line)
    account.to = recorded
    if (isLost) account.lost += 1
    this.#total += 1
    if (monotonicMs() >= this.#dueAtMs) this.#tend() // an event loop that stands still calls no timer
  }

  /** Details of the `audit.gap` that accounts for them. */
  gap(): JsonObject {
    const { count = 0, bytes = 0, from = '', to = '', lost = 0 } = this.#account ?? {}
    return { reason: 'emergency', count, bytes, from, to, ...(lost === 0 ? {} : { lost }) }
  }

  /** That gap is in the spool. */
  settle(): void {
    this.#account = undefined
    this.#forgetTimer()
  }

  /** What the spool refuses is tried again after as long. */
  #tend(): void {
    this.#awaitDue()
    this.#seal()
  }

  #awaitDue(): void {
    this.#forgetTimer()
    this.#dueAtMs = monotonicMs() + accountMs
    this.#forgetTimer = afterMs(accountMs, () => this.#tend())
  }
}
