/**
 * The events of one transaction of the sequencer, in portions: while we seal one, the server stores the records of the one
 * before and takes the next out of the outbox. What is not stored when the last is sealed is the caller's to store.
 */

import type { Queryable } from './client.ts'
import { claimEvents, type OutboxRow } from './outbox.ts'
import { deriveOthers } from './projection.ts'
import { appendRecords, encodeRecords } from './records.ts'
import type { Sealing } from './sealing.ts'

/** Fewer cost a round trip more each, more are a longer wait before both sides work. */
export const portionEvents = 1_000

export interface Claimed {
  readonly events: number
  /** Of the last of them; without any, the one above which was claimed. */
  readonly lastNumber: number
}

/** Claims at most so many events above a number, and seals each. Rejects with the driver's error, or what `seal` throws. */
export async function sealPortions(
  client: Queryable,
  limit: { readonly above: number; readonly events: number },
  { sealing, seal }: { readonly sealing: Sealing; readonly seal: (row: OutboxRow) => void },
): Promise<Claimed> {
  const claim = ({ events, lastNumber }: Claimed): Promise<OutboxRow[]> => {
    return claimEvents(client, { above: lastNumber, rows: Math.min(portionEvents, limit.events - events) })
  }
  let claimed: Claimed = { events: 0, lastNumber: limit.above }
  let rows = await claim(claimed)
  let storing = Promise.resolve()
  for (;;) {
    claimed = { events: claimed.events + rows.length, lastNumber: rows.at(-1)?.number ?? claimed.lastNumber }
    const isLast = rows.length < portionEvents || claimed.events >= limit.events
    const claiming = isLast ? Promise.resolve([]) : claim(claimed)
    claiming.catch(() => {}) // it is awaited below, unless sealing throws
    for (const row of rows) seal(row)
    rows = await claiming
    await storing
    if (rows.length === 0) return claimed
    storing = storeSealed(client, sealing)
    storing.catch(() => {}) // as above
  }
}

/** Stores what has been sealed since the last time. */
export async function storeSealed(client: Queryable, sealing: Sealing): Promise<void> {
  const records = sealing.take().map(({ hash, ...record }) => deriveOthers(record, hash))
  const outcomes = await appendRecords(client, encodeRecords(records))
  const refused = outcomes.find(({ status }) => status !== 'appended')
  if (refused !== undefined) throw new Error(`the journal refused record ${refused.refusedSequence}: ${refused.status}`)
}
