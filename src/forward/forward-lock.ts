/**
 * `forward.lock` in a spool directory: whoever delivers its records holds it, the delivery thread of the application or
 * a sidecar, from before the first cursor is opened until the last one is closed. So two never deliver at once, and
 * each goes on where the other's cursor is. The kernel frees it with the process; the file holds the holder's pid.
 */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockFile, type SpoolLock } from '../spool/lock.ts'

/** How often it is tried while somebody else has it, in milliseconds; a try costs 4 ms. */
const retryMs = 1_000

/** Takes it now, or names the process that has it. */
export function takeForwardLock(directory: string): SpoolLock | { readonly holder: string } {
  return lockFile(join(directory, 'forward.lock'), 0)
}

/**
 * Takes it as soon as it is free; `undefined` when the signal aborts first. `onWait` hears who has it, once a holder.
 * Rejects when the file cannot be opened.
 */
export async function awaitForwardLock(
  directory: string,
  signal: AbortSignal,
  onWait: (holder: string) => void,
): Promise<SpoolLock | undefined> {
  let told: string | undefined
  while (!signal.aborted) {
    const taken = takeForwardLock(directory)
    if (!('holder' in taken)) return taken
    if (taken.holder !== told) onWait(taken.holder)
    told = taken.holder
    await sleep(retryMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
  }
  return undefined
}
