/** Every attack in every copy: what verification said, and whether that is what it must say. */

import { unverifiedVerdicts } from '../../src/verify/report.ts'
import { type Attack, attacks, type Copy, type Expected, expectedIn } from './attacks.ts'
import type { Copies, Outcome } from './copies.ts'

export const copies: readonly Copy[] = ['spool', 'postgres', 'ndjson', 'ndjson.gz', 'otlp', 'stdin', 'archive']

/** One attack in one copy. */
export interface Cell {
  readonly attack: Attack
  readonly copy: Copy
  /** What the matrix shows: findings, a verdict, or that the attack cannot be made there. */
  readonly shown: string
  /** What is wrong with it; absent where it is as it must be. */
  readonly complaint?: string
}

/** Tries each attack; `isWanted` leaves some out. */
export async function* runMatrix(
  places: Copies,
  isWanted: (attack: Attack, copy: Copy) => boolean = () => true,
): AsyncGenerator<Cell> {
  for (const attack of attacks) {
    for (const copy of copies) {
      // One after the other: they share a database and two cores.
      if (isWanted(attack, copy)) yield await tryAttack(places, attack, copy)
    }
  }
}

async function tryAttack(places: Copies, attack: Attack, copy: Copy): Promise<Cell> {
  const expected = expectedIn(attack, copy)
  if (expected === undefined) return { attack, copy, shown: '—' }
  const outcome = await places.verify(attack, copy)
  const shown = outcome.findings.length > 0 ? outcome.findings.join(', ') : outcome.verdict
  const complaint = complain(expected, outcome)
  return { attack, copy, shown, ...(complaint !== undefined && { complaint }) }
}

function complain({ finds, verdict }: Expected, outcome: Outcome): string | undefined {
  const wanted = [...finds].sort()
  const isUnverified = unverifiedVerdicts.some((one) => one === verdict)
  const exitCode = finds.length > 0 ? 1 : isUnverified ? 2 : 0
  if (wanted.join() !== outcome.findings.join()) return `found ${outcome.findings}, not ${wanted}`
  if (finds.length === 0 && verdict !== outcome.verdict) return `the verdict is ${outcome.verdict}, not ${verdict}`
  return exitCode === outcome.exitCode ? undefined : `the exit code is ${outcome.exitCode}, not ${exitCode}`
}
