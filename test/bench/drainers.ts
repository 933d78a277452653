/** The ways in which `drain` brings a backlog to its destination: ours, and loops that do as little as can be. */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DestinationOptions } from '../../src/destination/destination.ts'
import { drainLane, nameOf, openLane } from '../../src/forward/lane.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { cursorFileName } from '../../src/spool/cursor.ts'
import { endOf } from './backlog.ts'
import type { Drainer, DrainerSetup } from './drainer.ts'
import { clearTables } from './postgres-load.ts'
import { createAppendLoop, createCopyLoop, createPostLoop } from './raw-loops.ts'
import { createService } from './service.ts'

export const drainers: Readonly<Record<string, (setup: DrainerSetup) => Drainer>> = {
  lane: createLane,
  service: (setup) => createService(setup, 'delivers'),
  'idle-service': (setup) => createService(setup, 'keeps'),
  post: createPostLoop,
  copy: createCopyLoop,
  append: (setup) => createAppendLoop(setup, { isSynced: true }),
  'append-unsynced': (setup) => createAppendLoop(setup, { isSynced: false }),
}

/** The product: what the delivery thread and `otel-audit forward` run, on the thread that is measured. */
function createLane({ destination, backlog }: DrainerSetup): Drainer {
  const { directory } = backlog
  const end = endOf(backlog)
  return {
    async prepare() {
      rmSync(join(directory, cursorFileName(nameOf(destination))), { force: true })
      await empty(destination)
    },
    async drain() {
      const lane = await openLane(destination, { directory, durable: () => end }, { seal: async () => true })
      await drainLane(lane, new AbortController().signal)
      const { delivered, failures, lastError } = lane.forwarder.state()
      if (failures > 0) throw new Error(`${nameOf(destination)} failed on the way: ${lastError}`)
      return { records: delivered }
    },
  }
}

async function empty(destination: DestinationOptions): Promise<void> {
  if (destination.type === 'file') rmSync(destination.path, { force: true })
  if (destination.type === 'postgres') await withConnection({ url: destination.url }, clearTables)
}
