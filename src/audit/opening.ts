/** What the first records of a stream say: how the one before ended, and what happened while no writer lived. */

import type { JsonObject } from '../event/canonical.ts'
import type { ControlFact } from '../event/record.ts'
import type { Predecessor } from '../spool/control.ts'
import type { Recovered } from '../spool/recover.ts'
import { detailsOf } from './suppressions.ts'

/** Whose trail it is. */
export interface TrailOwner {
  readonly deployment: string
  /** The key that signs from here on. */
  readonly verifierKey: string
}

/**
 * The facts to seal, in order, when a spool was opened: `audit.stream.opened`, with what was suppressed before and
 * not sealed, then what recovery left to be said; counts of a second window follow. `ahead`: see `successionFact`.
 */
export function openingFacts(owner: TrailOwner, recovered: Recovered, ahead?: JsonObject): ControlFact[] {
  const { previousEnd, tornBytes, predecessor, facts } = recovered
  const [found, ...more] = recovered.suppressed.map(detailsOf)
  const reason = predecessor?.reason ?? (previousEnd === 'none' ? 'first' : 'reopened')
  const counts = { recovered: recovered.recovered, torn_bytes: tornBytes, quarantined: quarantinedBy(facts) }
  const ending = { previous_end: previousEnd, ...counts }
  const before = { ...predecessorMembers(predecessor), ...(ahead === undefined ? {} : { ahead }) }
  const suppressed = found === undefined ? {} : { suppressed: found }
  const counted = more.map((details): ControlFact => ({ type: 'audit.suppressed', details }))
  return [opened({ ...ownerMembers(owner), reason, ...ending, ...before, ...suppressed }), ...facts, ...counted]
}

/**
 * The fact with which a stream begins that follows another in the running process; `ahead` says what a destination held
 * of the other, so that its copy can be verified against that instead of against our branch.
 */
export function successionFact(owner: TrailOwner, predecessor: Predecessor, ahead?: JsonObject): ControlFact {
  const ending = { previous_end: 'clean', recovered: 0, torn_bytes: 0, quarantined: 0 }
  const found = ahead === undefined ? {} : { ahead }
  return opened({
    ...ownerMembers(owner),
    reason: predecessor.reason,
    ...ending,
    ...predecessorMembers(predecessor),
    ...found,
  })
}

/** Records that repairs set aside whole, as far as they are still to be said. */
function quarantinedBy(facts: readonly ControlFact[]): number {
  return facts.reduce((sum, { type, details }) => {
    const { quarantined } = details
    return type === 'audit.gap' && typeof quarantined === 'number' ? sum + quarantined : sum
  }, 0)
}

function opened(details: JsonObject): ControlFact {
  return { type: 'audit.stream.opened', details }
}

/** The key proves nothing by standing here: it is there for who trusts it on first use, and says so. */
function ownerMembers({ deployment, verifierKey: verifier_key }: TrailOwner): JsonObject {
  return { deployment, verifier_key }
}

function predecessorMembers(predecessor: Predecessor | undefined): JsonObject {
  if (predecessor === undefined) return {}
  const { stream, sequence, hash, reason } = predecessor
  return { predecessor: { stream, seq: sequence, ...(hash === undefined ? {} : { hash }), reason } }
}
