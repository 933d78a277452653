/**
 * The destinations of a trail, seen from the application thread: what the delivery thread or the files of a sidecar tell
 * of them, said once on standard error for each change, and waiting until they have confirmed. Without destinations
 * nobody delivers.
 */

import type { DestinationOptions } from '../destination/destination.ts'
import { AuditError } from '../errors.ts'
import type { AdoptedSlot } from '../forward/adopt.ts'
import type { AheadRecord } from '../forward/ahead.ts'
import type { DeliveryMessage, DeliveryStart } from '../forward/delivery.ts'
import { ExternalDelivery } from '../forward/external-delivery.ts'
import type { FlushOnly, FlushOutcome } from '../forward/flushes.ts'
import type { DeliveryFact } from '../forward/quarantine.ts'
import type { ForwarderState } from '../forward/standing.ts'
import { Positions } from '../spool/positions.ts'
import { announce, notice } from './notice.ts'
import type { WrittenReceipt } from './receipt.ts'
import { DeliveryThread } from './threads.ts'

/** Who hears of delivery, and seals for it. */
export interface DeliveryListener {
  /** After each word of the delivery thread, at least each second while records move. */
  heard(): void
  /** A destination is ahead of the stream being written. */
  ahead(name: string, found: AheadRecord): void
  /** Seals that records were set aside; resolves to whether that is durable. */
  seal(fact: DeliveryFact): Promise<boolean>
}

/** Whoever delivers: a thread of this process, or a sidecar. */
interface Deliverer {
  flush(only?: FlushOnly): Promise<FlushOutcome>
  stop(): Promise<void>
  abandon(): void
}

export interface DeliveryPlan {
  /** The module of the delivery thread. */
  readonly worker: URL
  readonly start: DeliveryStart
  /** A sidecar delivers. */
  readonly isExternal: boolean
}

export class Destinations {
  readonly #names: readonly string[]
  readonly #deliverer: Deliverer | undefined
  #states: readonly ForwarderState[]
  #adopted: AdoptedSlot | undefined
  #lastError: string | undefined

  constructor(plan: DeliveryPlan, listener: DeliveryListener) {
    const { destinations } = plan.start
    this.#states = destinations.map(startingState)
    this.#names = this.#states.map((state) => state.name)
    if (destinations.length === 0) return
    this.#deliverer = plan.isExternal ? this.#watchSidecar(plan, listener) : this.#startThread(plan, listener)
  }

  /** A slot that lost its process and is drained by this one. */
  get adopted(): AdoptedSlot | undefined {
    return this.#adopted
  }

  get states(): readonly ForwarderState[] {
    return this.#states
  }

  /** The last trouble that is not over. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /** Throws `INVALID_OPTION` for a name that no destination has. */
  check(name: string): void {
    if (this.#names.includes(name)) return
    const known = this.#names.join(', ')
    throw new AuditError('INVALID_OPTION', `no destination is named ${JSON.stringify(name)}`, {
      setting: 'until',
      hint: known === '' ? 'This trail has no destinations: until may be durable.' : `Name one of: durable, ${known}.`,
    })
  }

  /** Resolves when every destination has confirmed what was durable at the call, or when the thread is gone. */
  async flush(): Promise<void> {
    await this.#deliverer?.flush()
  }

  /** Resolves when this destination has confirmed the durable record; rejects when it never will, or has stopped. */
  async confirmed(name: string, { stream, sequence, hash }: WrittenReceipt): Promise<void> {
    const outcome = await this.#deliverer?.flush({ name, record: { stream, sequence, hash } })
    if (outcome === 'confirmed') return
    if (outcome === 'quarantined') {
      throw new AuditError('QUARANTINED', `${name} holds another record in the place of this one, and refuses it`, {
        hint: 'The record is durable in the spool and in its quarantine; docs/operations.md says what has happened.',
      })
    }
    throw new AuditError('CLOSED', `delivery to ${name} has stopped before the record was confirmed`, {
      hint: 'The record is durable in the spool and is delivered after the next start.',
    })
  }

  /** Ends the thread; what was not confirmed is sent at the next start. */
  async stop(): Promise<void> {
    await this.#deliverer?.stop()
  }

  /** Ends the thread in the middle of whatever it does. */
  abandon(): void {
    this.#deliverer?.abandon()
  }

  #hear(message: DeliveryMessage): void {
    if (message.kind === 'states') {
      for (const state of message.states) this.#keep(state)
      this.#adopted = message.adopted
    }
    if (message.kind === 'changed') this.#hearChange(message.state)
    if (message.kind === 'failed') {
      this.#lastError = `destination ${message.name}: ${message.reason}`
      announce(`destination ${message.name} has stopped: ${message.reason}; its records stay in the spool`)
    }
    if (message.kind === 'waiting') announce(waitingText(message.holder))
    if (message.kind === 'delivering') announce('the spool is delivered from here again')
    if (message.kind === 'adopting') notice(`${message.slot} has lost its process: its records are sent from here`)
    if (message.kind === 'passed-over') notice(`${message.slot} is not adopted: ${message.reason}`)
  }

  #startThread({ worker, start }: DeliveryPlan, listener: DeliveryListener): Deliverer {
    const thread = new DeliveryThread(worker, { role: 'deliver', start }, (message) => {
      this.#hear(message)
      if (message.kind === 'ahead') listener.ahead(message.name, message.found)
      if (message.kind === 'quarantined') {
        void listener.seal(message.fact).then((isSealed) => thread.answerSealed(message.id, isSealed))
      }
      listener.heard()
    })
    return thread
  }

  #watchSidecar({ start }: DeliveryPlan, listener: DeliveryListener): Deliverer {
    const positions = new Positions(start.memory)
    const spool = { directory: start.directory, durable: () => positions.durable() }
    return new ExternalDelivery(spool, start.destinations, (message) => {
      if (message.kind === 'states') this.#hear(message)
      else listener.ahead(message.name, message.found)
      listener.heard()
    })
  }

  /** In the order of the configuration, also one that could not be opened. */
  #keep(state: ForwarderState): void {
    this.#states = this.#states.map((one) => (one.name === state.name ? state : one))
  }

  #hearChange(state: ForwarderState): void {
    this.#keep(state)
    this.#lastError = state.lastError === undefined ? undefined : `destination ${state.name}: ${state.lastError}`
    if (state.condition === 'ok') announce(`destination ${state.name} takes records again`)
    else announce(`destination ${state.name} does not take records: ${state.lastError}; they are kept and sent again`)
  }
}

function waitingText(holder: string): string {
  return (
    `process ${holder} delivers this spool and holds its forward.lock: this one waits, and goes on when that one ends; ` +
    "where that is a sidecar to stay, set delivery: 'external'"
  )
}

/** What is known of a destination before the delivery thread has said anything. */
function startingState({ name, type }: DestinationOptions): ForwarderState {
  const nothing = { confirmed: undefined, delivered: 0, quarantined: 0, failures: 0, backlog: undefined }
  return { name: name ?? type, condition: 'ok', ...nothing }
}
