/** The priority of the delivery thread: below the application's, which gets the core first while a backlog is sent. */

import { randomBytes } from 'node:crypto'
import { constants, getPriority, platform, setPriority } from 'node:os'
import { promisify } from 'node:util'

/** A quarter of a core remains to us where none is free. */
const stepsBelow = 5

/** Puts the calling thread below the others of its process. Linux only: elsewhere a priority is the whole process's. */
export async function giveWay(): Promise<void> {
  if (platform() !== 'linux') return
  try {
    // A thread begins with the priority of the one that starts it: the pool's, which all threads share, start first.
    await promisify(randomBytes)(1)
    setPriority(Math.min(getPriority() + stepsBelow, constants.priority.PRIORITY_LOW))
  } catch {
    // Where a sandbox forbids it, we have the same priority as everybody.
  }
}
