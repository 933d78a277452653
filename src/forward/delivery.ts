/**
 * The delivery thread: one forwarder with its own cursor for each destination, so that none waits for another. Takes
 * `flush` and `stop`, tells its state when it changes and at least each second while records move. Beside the own spool
 * it drains slots that lost their process (`adopt.ts`), when it is told where to look.
 */

import type { MessagePort } from 'node:worker_threads'
import type { DestinationOptions } from '../destination/destination.ts'
import { errorText } from '../errors.ts'
import { Positions } from '../spool/positions.ts'
import { type AdoptedSlot, Adopter, type AdoptStart } from './adopt.ts'
import { type Lane, nameOf, openLane, runLane } from './lane.ts'
import type { ForwarderState } from './standing.ts'

const reportMs = 1_000

export interface DeliveryStart {
  readonly directory: string
  readonly memory: SharedArrayBuffer
  readonly destinations: readonly DestinationOptions[]
  /** Where slots without a process are looked for; absent for a single spool. */
  readonly adopt?: AdoptStart | undefined
}

/** What the delivery thread is told. */
export type DeliveryOrder =
  /** `name`: of the one destination that is meant; absent for all. */
  { readonly kind: 'flush'; readonly id: number; readonly name?: string | undefined } | { readonly kind: 'stop' }

/** What it tells. */
export type DeliveryMessage =
  | { readonly kind: 'states'; readonly states: readonly ForwarderState[]; readonly adopted?: AdoptedSlot | undefined }
  /** One destination began or ceased to fail. */
  | { readonly kind: 'changed'; readonly state: ForwarderState }
  /** `isConfirmed`: every destination that was meant has what was durable at the order; false when one has stopped. */
  | { readonly kind: 'flushed'; readonly id: number; readonly isConfirmed: boolean }
  /** A forwarder stopped for good: its disk or its configuration failed. */
  | { readonly kind: 'failed'; readonly name: string; readonly reason: string }
  /** A slot lost its process, and its records are delivered from here. */
  | { readonly kind: 'adopting'; readonly slot: string }
  /** A slot cannot be adopted until somebody looks at it. */
  | { readonly kind: 'passed-over'; readonly slot: string; readonly reason: string }
  | { readonly kind: 'stopped' }

type Post = (message: DeliveryMessage) => void

/** Runs until told to stop. */
export async function runDelivery(start: DeliveryStart, port: MessagePort): Promise<void> {
  const post: Post = (message) => port.postMessage(message)
  const stopping = new AbortController()
  const opened = await Promise.all(start.destinations.map((options) => openOwnLane(options, start, post)))
  const lanes = opened.filter((lane) => lane !== undefined)
  const adopter = start.adopt === undefined ? undefined : new Adopter(start.adopt, post)
  const tell = () => {
    post({ kind: 'states', states: lanes.map((lane) => lane.forwarder.state()), adopted: adopter?.adopted })
  }
  port.on('message', (order: DeliveryOrder) => {
    if (order.kind === 'stop') stopping.abort()
    else {
      void flush(lanes, order.name).then((isConfirmed) => {
        tell()
        post({ kind: 'flushed', id: order.id, isConfirmed })
      })
    }
  })
  const timer = setInterval(tell, reportMs)
  await Promise.all([...lanes.map((lane) => runOwnLane(lane, stopping.signal, post)), adopter?.run(stopping.signal)])
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve))
  clearInterval(timer)
  tell()
  post({ kind: 'stopped' })
  port.close()
}

async function openOwnLane(options: DestinationOptions, start: DeliveryStart, post: Post): Promise<Lane | undefined> {
  const { directory } = start
  const positions = new Positions(start.memory)
  try {
    const spool = { directory, durable: () => positions.durable() }
    return await openLane(options, spool, (state) => post({ kind: 'changed', state }))
  } catch (error) {
    post({ kind: 'failed', name: nameOf(options), reason: errorText(error) })
    return undefined
  }
}

async function runOwnLane(lane: Lane, signal: AbortSignal, post: Post): Promise<void> {
  try {
    await runLane(lane, signal)
  } catch (error) {
    post({ kind: 'failed', name: lane.destination.name, reason: errorText(error) })
  }
}

/** Waits for all, or for the one of this name; one that has stopped does not hold the others. */
async function flush(lanes: readonly Lane[], name: string | undefined): Promise<boolean> {
  const meant = lanes.filter((lane) => name === undefined || lane.destination.name === name)
  const settled = await Promise.allSettled(meant.map((lane) => lane.forwarder.flush()))
  return settled.length > 0 && settled.every(({ status }) => status === 'fulfilled')
}
