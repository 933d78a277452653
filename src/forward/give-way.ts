/** The priority of threads that work beside the application's, which gets the core first. */

import { randomBytes } from 'node:crypto'
import { constants, getPriority, platform, setPriority } from 'node:os'
import { promisify } from 'node:util'

/** Steps of nice below the process. `delivery`: a quarter of a core remains where none is free. `verification`: what is left over. */
const stepsBelow = { delivery: 5, verification: 19 }

/** Puts the calling thread below the others of its process. Linux only: elsewhere a priority is the whole process's. */
export async function giveWay(work: keyof typeof stepsBelow): Promise<void> {
  if (platform() !== 'linux') return
  try {
    // A thread begins with the priority of the one that starts it: the pool's, which all threads share, start first.
    await promisify(randomBytes)(1)
    setPriority(Math.min(getPriority() + stepsBelow[work], constants.priority.PRIORITY_LOW))
  } catch {
    // Where a sandbox forbids it, we have the same priority as everybody.
  }
}
