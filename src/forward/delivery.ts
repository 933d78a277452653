/**
 * The delivery thread: one forwarder with its own cursor for each destination, so that none waits for another. Takes
 * `flush` and `stop`, tells its state when it changes and at least each second while records move.
 */

import type { MessagePort } from 'node:worker_threads'
import { createDestination } from '../destination/create.ts'
import type { Destination, DestinationOptions } from '../destination/destination.ts'
import { errorText } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { Positions } from '../spool/positions.ts'
import { Forwarder, type ForwarderState } from './forwarder.ts'
import { SpoolSource } from './spool-source.ts'

const reportMs = 1_000

export interface DeliveryStart {
  readonly directory: string
  readonly memory: SharedArrayBuffer
  readonly stream: string
  readonly destinations: readonly DestinationOptions[]
}

/** What the delivery thread is told. */
export type DeliveryOrder = { readonly kind: 'flush'; readonly id: number } | { readonly kind: 'stop' }

/** What it tells. */
export type DeliveryMessage =
  | { readonly kind: 'states'; readonly states: readonly ForwarderState[] }
  /** One destination began or ceased to fail. */
  | { readonly kind: 'changed'; readonly state: ForwarderState }
  | { readonly kind: 'flushed'; readonly id: number }
  /** A forwarder stopped for good: its disk or its configuration failed. */
  | { readonly kind: 'failed'; readonly name: string; readonly reason: string }
  | { readonly kind: 'stopped' }

interface Lane {
  readonly forwarder: Forwarder
  readonly destination: Destination
  readonly source: SpoolSource
}

/** Runs until told to stop. */
export async function runDelivery(start: DeliveryStart, port: MessagePort): Promise<void> {
  const post = (message: DeliveryMessage) => port.postMessage(message)
  const stopping = new AbortController()
  const positions = new Positions(start.memory)
  const opened = await Promise.all(start.destinations.map((options) => openLane(options, { start, positions, post })))
  const lanes = opened.filter((lane) => lane !== undefined)
  const tell = () => post({ kind: 'states', states: lanes.map((lane) => lane.forwarder.state()) })
  port.on('message', (order: DeliveryOrder) => {
    if (order.kind === 'stop') stopping.abort()
    else
      void flush(lanes)
        .then(tell)
        .then(() => post({ kind: 'flushed', id: order.id }))
  })
  const timer = setInterval(tell, reportMs)
  await Promise.all(lanes.map((lane) => runLane(lane, stopping.signal, post)))
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve))
  clearInterval(timer)
  tell()
  post({ kind: 'stopped' })
  port.close()
}

async function openLane(
  options: DestinationOptions,
  { start, positions, post }: { start: DeliveryStart; positions: Positions; post: (message: DeliveryMessage) => void },
): Promise<Lane | undefined> {
  const name = options.name ?? options.type
  try {
    const destination = await createDestination(options)
    const { directory, stream } = start
    const source = new SpoolSource({ files: diskFiles, directory, name, stream, durable: () => positions.durable() })
    const onStateChange = (state: ForwarderState) => post({ kind: 'changed', state })
    return { forwarder: new Forwarder({ destination, source, options, onStateChange }), destination, source }
  } catch (error) {
    post({ kind: 'failed', name, reason: errorText(error) })
    return undefined
  }
}

async function runLane(lane: Lane, signal: AbortSignal, post: (message: DeliveryMessage) => void): Promise<void> {
  try {
    await lane.forwarder.run(signal)
  } catch (error) {
    post({ kind: 'failed', name: lane.destination.name, reason: errorText(error) })
  } finally {
    await lane.destination.close()
    lane.source.close()
  }
}

/** Resolves when every destination has what was durable at the call; one that has stopped does not hold the others. */
async function flush(lanes: readonly Lane[]): Promise<void> {
  await Promise.allSettled(lanes.map((lane) => lane.forwarder.flush()))
}
