/**
 * Who delivers the journal to a destination: one process at a time. The lock belongs to a transaction that stays open on a
 * connection of its own, and not to a session: behind a pooler sessions are shared, and a lock of a session would let
 * everybody in and outlive whoever took it. That transaction holds no snapshot and no row, so that it keeps no vacuum
 * from its work. It ends with the process, and the next one begins.
 */

import { monotonicMs } from '../clock.ts'
import type { Connection, Queryable } from './client.ts'

/** How often is looked whether the lock is still there; for so long two processes may deliver, which repeats records. */
const lookMs = 1_000

/** A connection whose holder alone delivers to the destination; `undefined` while another one does. It is open. */
export async function openAlone(connect: () => Connection, destination: string): Promise<Connection | undefined> {
  const [lock, work] = [connect(), connect()]
  const destroy = () => {
    lock.destroy()
    work.destroy()
  }
  try {
    await lock.open()
    if (!(await lockDestination(lock, destination))) return void destroy()
    await work.open()
  } catch (thrown) {
    destroy()
    throw thrown
  }
  return { ...work, query: guardedBy(lock, work), destroy }
}

/** Queries of `work` that reject once the lock is lost. */
function guardedBy(lock: Queryable, work: Queryable): Queryable['query'] {
  let lookedAtMs = monotonicMs()
  return async (text, values) => {
    if (monotonicMs() - lookedAtMs >= lookMs) {
      await lock.query('select')
      lookedAtMs = monotonicMs()
    }
    return work.query(text, values)
  }
}

/** Begins the transaction that holds the lock, if nobody else does. */
async function lockDestination(client: Queryable, destination: string): Promise<boolean> {
  // In one message: between two, a short limit of the server could end it already.
  await client.query(
    `begin read only;
     set local idle_in_transaction_session_timeout = 0;
     select set_config(name, '0', true) from pg_settings where name = 'transaction_timeout'`,
  )
  const { rows } = await client.query<{ locked: boolean }>(
    `select pg_try_advisory_xact_lock(hashtextextended('audit.sink_cursor ' || $1, 0)) as locked`,
    [destination],
  )
  // A statement with values leaves its snapshot behind until the next one.
  await client.query('select')
  return rows[0]?.locked === true
}
