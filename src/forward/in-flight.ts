/**
 * What was on its way when a process ended, for destinations whose batches have names made of their bounds (an object's
 * key, a webhook's id): the same records make the first batch again, so that the repetition has the same name.
 */

import type { Batcher } from './batcher.ts'
import type { RecordSource } from './source.ts'

/** Takes those records in hand and makes them the next batch; false where nothing was on its way. */
export async function takeInFlight(source: RecordSource, inHand: Batcher): Promise<boolean> {
  if (source.inFlightTo === undefined) return false
  const { stream, sequence } = source.inFlightTo
  for (let count = 0; ; ) {
    const records = await source.next(inHand.room) // in order: a batch is never more than there is room for
    inHand.add(records)
    const index = records.findIndex((record) => record.stream === stream && record.sequence === sequence)
    if (index >= 0) {
      inHand.limitNext(count + index + 1)
      return true
    }
    count += records.length
    if (records.length === 0 || inHand.isFull) return false // settings were made smaller since
  }
}
