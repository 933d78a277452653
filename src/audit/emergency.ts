/**
 * The emergency path: records that the spool could not take go to standard error, as NDJSON without stream, seq and
 * prev, and are accounted for by one sealed `audit.gap` when the spool takes records again. Always holds: each of
 * them is in exactly one account, and an account is let go of only when its gap record is in the spool.
 */

import type { JsonObject } from '../event/canonical.ts'
import { writeLine } from './standard-error.ts'

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
    this.#account ??= { count: 0, bytes: 0, from: recorded, to: recorded, lost: 0 }
    const account = this.#account
    account.count += 1
    account.bytes += Buffer.byteLength(line)
    account.to = recorded
    if (isLost) account.lost += 1
    this.#total += 1
  }

  /** Details of the `audit.gap` that accounts for them. */
  gap(): JsonObject {
    const { count = 0, bytes = 0, from = '', to = '', lost = 0 } = this.#account ?? {}
    return { reason: 'emergency', count, bytes, from, to, ...(lost === 0 ? {} : { lost }) }
  }

  /** That gap is in the spool. */
  settle(): void {
    this.#account = undefined
  }
}
