/** A spool full of records that nobody has delivered yet, made by the product itself. */

import { join } from 'node:path'
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { createAudit } from '../../src/index.ts'
import { durableEnd, readPresentControl } from '../../src/spool/control.ts'
import { diskFiles } from '../../src/spool/files.ts'
import type { SpoolEnd } from '../../src/spool/positions.ts'
import { createEvent, requestContext } from './event.ts'

export interface Backlog {
  /** The spool. */
  readonly directory: string
  /** Events and our own records. */
  readonly records: number
}

const burstEvents = 64

/** Seals so many events into a new spool below `folder`, each burst within a trace, and closes it. */
export async function recordBacklog(folder: string, events: number): Promise<Backlog> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  const directory = join(folder, 'spool')
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'all' },
    spool: { directory },
    keys: { signingKeyFile: join(folder, 'bench.key') },
    destinations: [],
    closeTimeoutMs: 120_000,
  })
  for (let index = 0; index < events; index += burstEvents) {
    await yieldToEventLoop() // checkpoints come back through the event loop
    context.with(requestContext(index), () => {
      for (let at = index; at < Math.min(events, index + burstEvents); at += 1) audit.emit(createEvent(at))
    })
  }
  await audit.close()
  if (audit.state.emergencies > 0) throw new Error(`${audit.state.emergencies} events did not reach the spool`)
  return { directory, records: audit.state.sequence }
}

/** Where the records of a spool end that nobody writes any more. */
export function endOf({ directory }: Backlog): SpoolEnd {
  return durableEnd(readPresentControl(diskFiles, directory))
}
