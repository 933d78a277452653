/**
 * Delivers the journal of a database: seals its outbox, and runs a forwarder for each destination with a cursor of its
 * own in the database. None waits for another, and delivery goes on while another process seals.
 */

import { createDestination } from '../destination/create.ts'
import type { Destination, DestinationOptions } from '../destination/destination.ts'
import type { SeenHeadFile } from '../postgres/seen-head.ts'
import type { SequencerState, Sequencing } from '../postgres/sequencing.ts'
import { Forwarder } from './forwarder.ts'
import { JournalSource } from './journal-source.ts'
import type { ForwarderState } from './standing.ts'

export interface JournalListener {
  /** A destination began or ceased to fail. */
  changed(state: ForwarderState): void
  /** Why nothing is read of the journal for this destination; `undefined`: it is read again. */
  obstructed(name: string, reason: string | undefined): void
}

export interface JournalParts {
  readonly url: string
  readonly destinations: readonly DestinationOptions[]
  readonly sequencing: Sequencing
  readonly seen: SeenHeadFile
  readonly listener: JournalListener
}

/** How the delivery of a journal stands. */
export interface JournalState {
  readonly sequencer: SequencerState
  readonly destinations: readonly ForwarderState[]
}

interface Lane {
  readonly destination: Destination
  readonly source: JournalSource
  readonly forwarder: Forwarder
}

export class JournalDelivery {
  readonly #sequencing: Sequencing
  readonly #lanes: readonly Lane[]

  /** Throws `INVALID_OPTION` for a destination that cannot be meant. */
  static async open(parts: JournalParts): Promise<JournalDelivery> {
    const lanes = await Promise.all(parts.destinations.map((options) => openLane(options, parts)))
    return new JournalDelivery(parts.sequencing, lanes)
  }

  private constructor(sequencing: Sequencing, lanes: readonly Lane[]) {
    this.#sequencing = sequencing
    this.#lanes = lanes
  }

  state(): JournalState {
    return {
      sequencer: this.#sequencing.state,
      destinations: this.#lanes.map(({ forwarder }) => forwarder.state()),
    }
  }

  /** Seals and delivers until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#sequencing.run(signal), ...this.#lanes.map((lane) => runLane(lane, signal))])
  }

  /** Seals what is there, delivers everything that is sealed, and ends; to whether that was before the signal aborted. */
  async drain(signal: AbortSignal): Promise<boolean> {
    await this.#sequencing.drain(signal)
    const stopping = new AbortController()
    const all = AbortSignal.any([signal, stopping.signal])
    const running = Promise.all(this.#lanes.map((lane) => runLane(lane, all)))
    const flushed = await Promise.allSettled(this.#lanes.map(({ forwarder }) => forwarder.flush()))
    const isRead = this.#lanes.every(({ source }) => source.obstacle === undefined)
    stopping.abort()
    await running
    return isRead && flushed.every(({ status }) => status === 'fulfilled')
  }
}

async function openLane(
  options: DestinationOptions,
  { url, seen, listener }: Pick<JournalParts, 'url' | 'seen' | 'listener'>,
): Promise<Lane> {
  const destination = await createDestination(options)
  const { name } = destination
  const source = new JournalSource({ url, name, seen, onObstacle: (reason) => listener.obstructed(name, reason) })
  const forwarder = new Forwarder({ destination, source, options, onStateChange: (state) => listener.changed(state) })
  return { destination, source, forwarder }
}

async function runLane({ destination, source, forwarder }: Lane, signal: AbortSignal): Promise<void> {
  try {
    await forwarder.run(signal)
  } finally {
    await source.close()
    await destination.close()
  }
}
