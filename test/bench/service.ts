/**
 * A service that opens a spool with a backlog and goes on emitting while its delivery thread drains that at full speed:
 * what its event loop notices. The idle one does the same without a destination.
 */

import { cpSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Audit, createAudit } from '../../src/index.ts'
import type { Drainer, DrainerSetup } from './drainer.ts'
import { createEvent } from './event.ts'

const paced = { burstEvents: 5, everyMs: 5 }
/** How long the one without a destination is watched. */
const idleMs = 2_000

export function createService({ destination, backlog, directory }: DrainerSetup, does: 'delivers' | 'keeps'): Drainer {
  const spool = join(directory, 'spool')
  return {
    async prepare() {
      rmSync(spool, { recursive: true, force: true })
      cpSync(backlog.directory, spool, { recursive: true })
    },
    async drain() {
      const audit = createAudit({
        service: 'bench',
        policy: { level: 'all' },
        spool: { directory: spool },
        keys: { signingKeyFile: join(dirname(backlog.directory), 'bench.key') },
        destinations: does === 'delivers' ? [destination] : [],
        closeTimeoutMs: 60_000,
      })
      const watched = await watchLoop(audit, does === 'delivers' ? audit.flush() : sleep(idleMs))
      await audit.close()
      return { ...watched, records: watched.emitted + (does === 'delivers' ? backlog.records : 0) }
    },
  }
}

/** Emits at a steady rate until `over`; the 99th percentile of the loop's delay meanwhile is in microseconds. */
async function watchLoop(audit: Audit, over: Promise<unknown>) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let isOver = false
  const ended = over.finally(() => {
    isOver = true
  })
  delay.enable()
  let emitted = 0
  while (!isOver) {
    for (let end = emitted + paced.burstEvents; emitted < end; emitted += 1) audit.emit(createEvent(emitted))
    await sleep(paced.everyMs)
  }
  delay.disable()
  await ended
  return { emitted, loopDelayP99Us: delay.percentile(99) / 1_000 }
}
