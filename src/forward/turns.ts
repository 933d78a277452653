/**
 * One sending at a time, for a destination that takes no more, whoever sends: the forwarder, or a repetition that an
 * operator asked for. A destination that takes several is left as it is.
 */

import type { Destination } from '../destination/destination.ts'
import { sendingBy } from './sending-by.ts'

export function inTurns(destination: Destination): Destination {
  if ((destination.sendingsMax ?? 1) > 1) return destination
  let last: Promise<unknown> = Promise.resolve()
  const inTurn =
    (send: Destination['send']): Destination['send'] =>
    (batch, signal) => {
      const delivery = last.then(() => send(batch, signal))
      last = delivery.catch(() => {}) // whoever sent it hears of it
      return delivery
    }
  const putBack = destination.putBack?.bind(destination)
  const turned = sendingBy(destination, inTurn(destination.send.bind(destination)))
  return putBack === undefined ? turned : { ...turned, putBack: inTurn(putBack) }
}
