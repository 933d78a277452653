/**
 * One sending at a time, for a destination that takes no more, whoever sends: the forwarder, or a repetition that an
 * operator asked for. A destination that takes several is left as it is.
 */

import type { Batch, Delivery, Destination } from '../destination/destination.ts'
import { sendingBy } from './sending-by.ts'

export function inTurns(destination: Destination): Destination {
  if ((destination.sendingsMax ?? 1) > 1) return destination
  let last: Promise<unknown> = Promise.resolve()
  const send = (batch: Batch, signal: AbortSignal): Promise<Delivery> => {
    const delivery = last.then(() => destination.send(batch, signal))
    last = delivery.catch(() => {}) // whoever sent it hears of it
    return delivery
  }
  return sendingBy(destination, send)
}
