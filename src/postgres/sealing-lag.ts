/**
 * Whether the outbox of a database is sealed as it should be. Events that wait are not lost, and nobody can verify them
 * either: a sequencer that lags or has stopped must be seen.
 */

import type { Queryable } from './client.ts'
import type { Difference } from './inspect.ts'
import { readBacklog } from './outbox.ts'

/** An event waits for half a second while a sequencer is at work; behind a transaction that stays open, for as long. */
export const lagSecondsMax = 60

export interface Waiting {
  /** Counted up to 100,000. */
  readonly events: number
  readonly oldestSeconds: number
}

/** Why a sequencer, or whoever watches one, is not well; empty while nothing waits for too long. */
export function reasonsAgainstLag(waiting: Waiting): string[] {
  return isLagging(waiting) ? [`the outbox is not sealed as fast as it fills: ${describe(waiting)}`] : []
}

/** For `doctor`: what waits for too long in a database, and what may be the cause. */
export async function inspectOutbox(client: Queryable): Promise<Difference[]> {
  const waiting = await readBacklog(client)
  if (!isLagging(waiting)) return []
  const expected = `events that wait for less than ${lagSecondsMax} s`
  const found = `${describe(waiting)}; ${await readCause(client)}`
  return [{ kind: 'outbox', object: 'audit.outbox', expected, found }]
}

function isLagging({ oldestSeconds }: Waiting): boolean {
  return oldestSeconds > lagSecondsMax
}

function describe({ events, oldestSeconds }: Waiting): string {
  const count = events === 1 ? '1 event waits' : `${events} events wait`
  return `${count}, the oldest for ${Math.floor(oldestSeconds)} s`
}

/** A sequencer that seals moves the head of the journal. */
async function readCause(client: Queryable): Promise<string> {
  const { rows } = await client.query<{ seconds: string | null }>(
    `select extract(epoch from clock_timestamp() - h.recorded_at) as seconds
     from audit.journal j join audit.stream_head h on h.stream = j.stream`,
  )
  const seconds = rows[0]?.seconds
  if (seconds === undefined || seconds === null) return 'nothing was ever sealed here'
  return `a sequencer has sealed something ${Math.floor(Number(seconds))} s ago`
}
