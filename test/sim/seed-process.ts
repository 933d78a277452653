/**
 * Makes a thread of a process repeatable: the clocks and identifiers that the code under test draws come from the
 * history that runs in it. Importing this replaces Node's own random sources; so only what runs histories does.
 */

import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { useClocks } from '../../src/clock.ts'
import { Random } from './random.ts'

/** Both clocks of the simulated world; they stand still unless a history moves them. */
export interface SimClock {
  wallMs: number
  monotonicMs: number
}

let random = new Random(0)
let clock: SimClock = { wallMs: 0, monotonicMs: 0 }

/** From now on the thread draws identifiers from this history's seed and reads its clocks. */
export function seedProcess(historyRandom: Random, historyClock: SimClock): void {
  random = historyRandom
  clock = historyClock
}

function uuid(): string {
  const hex = random.fill(Buffer.alloc(16)).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

const replaced = {
  randomUUID: uuid,
  randomBytes: (size: number) => random.fill(Buffer.alloc(size)),
}
Object.assign(crypto, replaced)
syncBuiltinESMExports()
useClocks({ wallMs: () => clock.wallMs, monotonicMs: () => clock.monotonicMs })
