/**
 * A lane: one destination, its cursor in one spool, and the forwarder between them. Opened for the own spool and for an
 * adopted slot alike; whoever runs it closes it by running it to its end.
 */

import { createDestination } from '../destination/create.ts'
import type { Destination, DestinationOptions } from '../destination/destination.ts'
import { diskFiles } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { Forwarder } from './forwarder.ts'
import { SpoolSource } from './spool-source.ts'
import type { ForwarderState } from './standing.ts'

/** The spool that a lane reads. */
export interface LaneSpool {
  readonly directory: string
  readonly durable: () => SpoolEnd
}

export interface Lane {
  readonly forwarder: Forwarder
  readonly destination: Destination
  readonly source: SpoolSource
}

/** The durable name of a destination. */
export function nameOf(options: DestinationOptions): string {
  return options.name ?? options.type
}

/** Opens a lane; rejects for settings that cannot be meant and for a cursor that cannot be opened. */
export async function openLane(
  options: DestinationOptions,
  spool: LaneSpool,
  onStateChange: (state: ForwarderState) => void,
): Promise<Lane> {
  const destination = await createDestination(options)
  const source = new SpoolSource({ files: diskFiles, name: nameOf(options), ...spool })
  return { forwarder: new Forwarder({ destination, source, options, onStateChange }), destination, source }
}

/** Delivers until the signal aborts, then releases everything. Rejects when the spool itself cannot be read. */
export async function runLane(lane: Lane, signal: AbortSignal): Promise<void> {
  try {
    await lane.forwarder.run(signal)
  } finally {
    await lane.destination.close()
    lane.source.close()
  }
}

/** Delivers what is there now and returns when every record is confirmed, or when the signal aborts. */
export async function drainLane(lane: Lane, signal: AbortSignal): Promise<void> {
  const drained = new AbortController()
  const running = runLane(lane, AbortSignal.any([signal, drained.signal]))
  const end = () => drained.abort() // a flush that rejects was ended by the signal or by the run, which says why
  await lane.forwarder.flush().then(end, end)
  await running
}
