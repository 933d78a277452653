/** What the first records of a stream of the journal say: why it began, and what it follows. */

import type { ControlFact } from '../event/record.ts'
import type { Journal } from './journal.ts'
import type { SeenHead } from './seen-head.ts'

/**
 * `failover`: another server or timeline. `restored`: records that this machine has seen are not here. `clock`: it
 * stands far before the last record. `damaged`: what was sealed last does not stand in the table.
 */
export type SuccessionReason = 'first' | 'failover' | 'restored' | 'clock' | 'damaged'

export interface Succession {
  readonly journal: Journal
  readonly reason: SuccessionReason
  readonly seen: SeenHead | undefined
  /** How far the database holds the stream of what was seen. */
  readonly held: number
  /** The key that signs from here on. */
  readonly verifierKey: string
}

/** `audit.stream.opened`, and `audit.gap` for records that were seen and are not here. */
export function openingOf({ journal, reason, seen, held, verifierKey }: Succession): ControlFact[] {
  const { deployment, stream, sequence: seq, hash } = journal
  const isFirst = seq === 0
  const counts = { recovered: 0, torn_bytes: 0, quarantined: 0 }
  const predecessor = isFirst ? {} : { predecessor: { stream, seq, ...(hash === undefined ? {} : { hash }), reason } }
  // Another machine, which had seen less, may have begun a stream meanwhile: what is lost is no less lost.
  const isLost = reason === 'restored' && seen !== undefined
  const ahead = isLost && seen.stream === stream ? { ahead: { seq: seen.sequence, hash: seen.hash } } : {}
  const previous_end = isFirst ? 'none' : 'crash'
  const details = { deployment, verifier_key: verifierKey, reason, previous_end, ...counts, ...predecessor, ...ahead }
  const opened: ControlFact = { type: 'audit.stream.opened', details }
  return isLost && seen.sequence > held ? [opened, gapOf(seen.stream, held + 1, seen.sequence)] : [opened]
}

function gapOf(stream: string, from: number, to: number): ControlFact {
  return { type: 'audit.gap', details: { reason: 'restored', stream, from, to, count: to - from + 1, bytes: 0 } }
}
