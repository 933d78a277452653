/**
 * Delivers the journal of a database: seals its outbox, and runs a lane for each destination with a cursor of its own in
 * the database. None waits for another, and delivery goes on while another process seals. A record that a destination
 * refuses by itself is set aside in the database.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { createDestination } from '../destination/create.ts'
import type { Destination, DestinationOptions } from '../destination/destination.ts'
import type { SeenHeadFile } from '../postgres/seen-head.ts'
import type { SequencerState, Sequencing } from '../postgres/sequencing.ts'
import type { StandbyDemand } from '../postgres/standbys.ts'
import { Forwarder } from './forwarder.ts'
import { JournalQuarantine } from './journal-quarantine.ts'
import { JournalSource } from './journal-source.ts'
import type { SetAsideRun } from './quarantine.ts'
import type { ForwarderState } from './standing.ts'
import { inTurns } from './turns.ts'

/** How often it is looked how far the journal is, for the backlog of a destination that takes nothing. */
const lookMs = 5_000

export interface JournalListener {
  /** A destination began or ceased to fail. */
  changed(state: ForwarderState): void
  /** Why nothing is read of the journal for this destination; `undefined`: it is read again. */
  obstructed(name: string, reason: string | undefined): void
  /** The destination refuses a record by itself, and it lies in quarantine. */
  quarantined(name: string, run: SetAsideRun): void
}

export interface JournalParts {
  readonly url: string
  readonly destinations: readonly DestinationOptions[]
  readonly sequencing: Sequencing
  readonly seen: SeenHeadFile
  /** How many must hold what is delivered. */
  readonly standbys: StandbyDemand
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
  readonly quarantine: JournalQuarantine
  readonly forwarder: Forwarder
}

export class JournalDelivery {
  readonly #sequencing: Sequencing
  readonly #owed: OwedSealing
  readonly #lanes: readonly Lane[]

  /** Throws `INVALID_OPTION` for a destination that cannot be meant. */
  static async open(parts: JournalParts): Promise<JournalDelivery> {
    const owed = new OwedSealing(parts.sequencing)
    const lanes = await Promise.all(parts.destinations.map((options) => openLane(options, parts, owed)))
    return new JournalDelivery(parts.sequencing, owed, lanes)
  }

  private constructor(sequencing: Sequencing, owed: OwedSealing, lanes: readonly Lane[]) {
    this.#sequencing = sequencing
    this.#owed = owed
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
    this.#owed.begin()
    const stopping = new AbortController()
    const all = AbortSignal.any([signal, stopping.signal])
    const running = Promise.all(this.#lanes.map((lane) => runLane(lane, all)))
    const isFlushed = await this.#flushAll()
    const isRead = this.#lanes.every(({ source }) => source.obstacle === undefined)
    stopping.abort()
    await running
    return isRead && isFlushed
  }

  /** What the journal says of records that were set aside is delivered too. */
  async #flushAll(): Promise<boolean> {
    for (;;) {
      const before = this.#quarantined
      const flushed = await Promise.allSettled(this.#lanes.map(({ forwarder }) => forwarder.flush()))
      const isFlushed = flushed.every(({ status }) => status === 'fulfilled')
      if (!isFlushed || this.#quarantined === before) return isFlushed
      await Promise.allSettled(this.#lanes.map(({ source }) => source.look()))
    }
  }

  get #quarantined(): number {
    return this.#lanes.reduce((sum, { forwarder }) => sum + forwarder.state().quarantined, 0)
  }
}

/** Seals what the journal owes while it is drained: then no sequencer runs beside. One after the other. */
class OwedSealing {
  readonly #sequencing: Sequencing
  #isDraining = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(sequencing: Sequencing) {
    this.#sequencing = sequencing
  }

  begin(): void {
    this.#isDraining = true
  }

  async seal(signal: AbortSignal): Promise<void> {
    if (!this.#isDraining) return
    this.#last = this.#last.then(() => this.#sequencing.drain(signal)).catch(() => {}) // it stays owed
    await this.#last
  }
}

async function openLane(
  options: DestinationOptions,
  { url, seen, standbys, listener }: Omit<JournalParts, 'destinations' | 'sequencing'>,
  owed: OwedSealing,
): Promise<Lane> {
  const destination = inTurns(await createDestination(options))
  const { name } = destination
  const onObstacle = (reason: string | undefined) => listener.obstructed(name, reason)
  const source = new JournalSource({ url, name, seen, standbys, onObstacle })
  const quarantine = new JournalQuarantine({
    journal: source,
    destination,
    seal: (signal) => owed.seal(signal),
    onSetAside: (run) => listener.quarantined(name, run),
  })
  const onStateChange = (state: ForwarderState) => listener.changed(state)
  const forwarder = new Forwarder({ destination, source, quarantine, options, onStateChange })
  return { destination, source, quarantine, forwarder }
}

async function runLane({ destination, source, quarantine, forwarder }: Lane, signal: AbortSignal): Promise<void> {
  const ending = new AbortController()
  const lasting = AbortSignal.any([signal, ending.signal])
  try {
    const beside = [quarantine.run(lasting), keepLooking(source, lasting)]
    await Promise.all([forwarder.run(signal).finally(() => ending.abort()), ...beside])
  } finally {
    await source.close()
    await destination.close()
  }
}

async function keepLooking(source: JournalSource, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(lookMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
    if (!signal.aborted) await source.look().catch(() => {}) // whoever reads records says that the database is away
  }
}
