/**
 * The policy level: which operations are recorded at all. One table, documented in docs/policy.md and tested
 * cell by cell. A level never hides a denied read: a denial is what an auditor looks for.
 */

import type { Operation, Outcome } from '../event/event.ts'

/** Every level, widest first. */
export const levels = ['all', 'writes_only', 'mutations_only', 'deletes_only', 'failures_only'] as const

export type Level = (typeof levels)[number]

/** Whether an event is kept under a level. An absent operation counts as `other`, an absent outcome as `unknown`. */
export function levelKeeps(level: Level, operation: Operation = 'other', outcome: Outcome = 'unknown'): boolean {
  switch (level) {
    case 'all':
      return true
    case 'writes_only':
      return operation !== 'read' || outcome === 'denied'
    case 'mutations_only':
      return operation !== 'read' && operation !== 'create'
    case 'deletes_only':
      return operation === 'delete'
    case 'failures_only':
      return outcome !== 'success'
  }
}
