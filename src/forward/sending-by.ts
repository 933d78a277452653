/** A destination with something before or behind each sending; whatever else it is stays. */

import type { Destination } from '../destination/destination.ts'
import type { RecordNumber } from '../spool/cursor.ts'

/** The same destination, sending by `send`. */
export function sendingBy(destination: Destination, send: Destination['send']): Destination {
  const { name, sendingsMax, keepsChain, repeatsBatches } = destination
  const [head, cross] = [destination.head?.bind(destination), destination.cross?.bind(destination)]
  const putBack = destination.putBack?.bind(destination)
  const optional = { ...(head && { head }), ...(cross && { cross }), ...(putBack && { putBack }) }
  return { name, sendingsMax, keepsChain, repeatsBatches, send, close: () => destination.close(), ...optional }
}

/**
 * A destination that keeps the chain, told with each batch what it must hold: the record confirmed last, unless that one
 * was set aside and so never came there. Any other destination is left as it is.
 */
export function expecting(
  destination: Destination,
  confirmed: () => RecordNumber | undefined,
  isSetAside: (number: RecordNumber) => boolean,
): Destination {
  if (destination.keepsChain !== true) return destination
  /** The end of a batch on its way: what is sent behind it comes after that. */
  let ahead: RecordNumber | undefined
  return sendingBy(destination, async (batch, signal) => {
    const last = later(confirmed(), ahead)
    const after = last === undefined || isSetAside(last) ? undefined : last
    const end = batch.records.at(-1)
    ahead = end
    try {
      return await destination.send({ ...batch, after }, signal)
    } finally {
      if (ahead === end) ahead = undefined
    }
  })
}

/** Across streams nothing is later: then what is confirmed counts. */
function later(confirmed: RecordNumber | undefined, ahead: RecordNumber | undefined): RecordNumber | undefined {
  const isLater = ahead?.stream === confirmed?.stream && (ahead?.sequence ?? 0) > (confirmed?.sequence ?? 0)
  return isLater && ahead !== undefined ? { stream: ahead.stream, sequence: ahead.sequence } : confirmed
}
