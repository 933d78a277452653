/**
 * What a fault test is, and what it says. A test injects a fault into the real product, lets it die or go on, and
 * holds what is left against what was acknowledged. It throws when a promise broke; otherwise it returns counts.
 */

import type { Lab } from './lab.ts'
import type { Need } from './needs.ts'

/** `short` fits in every test run; `long` is what the table of docs/reliability.md was made with. */
export type Size = 'short' | 'long'

/** How many of what; the keys are plural nouns. */
export type Counts = Readonly<Record<string, number>>

/** What a test did and what it found. */
export interface Observed {
  readonly injected: Counts
  readonly survived: Counts
  /** One sentence, where the counts do not say it all. */
  readonly detail?: string
}

export interface FaultTest {
  readonly name: string
  /** Of the table in docs/reliability.md; `14b` follows 14. */
  readonly row: string
  /** What it promises, as a sentence. */
  readonly promise: string
  readonly needs: readonly Need[]
  readonly limitSeconds: Readonly<Record<Size, number>>
  run(lab: Lab, size: Size): Promise<Observed> | Observed
}

export interface FaultResult {
  readonly name: string
  readonly row: string
  readonly promise: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly injected: Counts
  readonly survived: Counts
  readonly detail: string
  /** Why it was skipped, or what broke. */
  readonly reason?: string
  readonly ms: number
}

/** `1,200 kills, 3 clones`. */
export function formatCounts(counts: Counts): string {
  return Object.entries(counts)
    .map(([what, count]) => `${count.toLocaleString('en-US')} ${count === 1 ? singular(what) : what}`)
    .join(', ')
}

/** The plural in the words is the first that ends in `s`: `bits flipped`, `full disks`, `copies`. */
function singular(what: string): string {
  const words = what.split(' ')
  const at = words.findIndex((word) => word.endsWith('s'))
  return words.map((word, index) => (index === at ? word.replace(/ies$/, 'ys').replace(/s$/, '') : word)).join(' ')
}
