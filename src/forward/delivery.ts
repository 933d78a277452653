/**
 * The delivery thread: one forwarder with its own cursor for each destination, so that none waits for another. It
 * delivers while it holds `forward.lock`; while a sidecar has that, it waits and tells what the cursors say. Takes
 * `flush` and `stop`, tells its state when it changes and each second. Beside the own spool it drains slots that lost
 * their process (`adopt.ts`), when it is told where to look.
 */

import type { MessagePort } from 'node:worker_threads'
import type { DestinationOptions } from '../destination/destination.ts'
import { errorText } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { Positions } from '../spool/positions.ts'
import { type AdoptedSlot, Adopter, type AdoptStart } from './adopt.ts'
import type { AheadRecord } from './ahead.ts'
import { ExternalView } from './external.ts'
import type { FlushOnly, FlushOutcome } from './flushes.ts'
import { awaitForwardLock } from './forward-lock.ts'
import { giveWay } from './give-way.ts'
import { type Lane, type LaneListener, nameOf, openLane, runLane } from './lane.ts'
import type { DeliveryFact } from './quarantine.ts'
import type { SealedRecord } from './quarantine-folder.ts'
import { Sealing } from './sealing.ts'
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
  | { readonly kind: 'flush'; readonly id: number; readonly only?: FlushOnly | undefined }
  /** The answer to `quarantined`. */
  | { readonly kind: 'sealed'; readonly id: number; readonly isSealed: boolean }
  | { readonly kind: 'stop' }

/** What it tells. */
export type DeliveryMessage =
  | { readonly kind: 'states'; readonly states: readonly ForwarderState[]; readonly adopted?: AdoptedSlot | undefined }
  /** One destination began or ceased to fail. */
  | { readonly kind: 'changed'; readonly state: ForwarderState }
  | { readonly kind: 'flushed'; readonly id: number; readonly outcome: FlushOutcome }
  /** A destination is ahead of the stream being written. */
  | { readonly kind: 'ahead'; readonly name: string; readonly found: AheadRecord }
  /** Records were set aside: to be sealed, and answered when that is durable. */
  | { readonly kind: 'quarantined'; readonly id: number; readonly fact: DeliveryFact }
  /** A forwarder stopped for good: its disk or its configuration failed. */
  | { readonly kind: 'failed'; readonly name: string; readonly reason: string }
  /** This process delivers the records of this spool; until it ends or lets go, we wait. */
  | { readonly kind: 'waiting'; readonly holder: string }
  /** The wait is over: we deliver. */
  | { readonly kind: 'delivering' }
  /** A slot lost its process, and its records are delivered from here. */
  | { readonly kind: 'adopting'; readonly slot: string }
  /** A slot cannot be adopted until somebody looks at it. */
  | { readonly kind: 'passed-over'; readonly slot: string; readonly reason: string }
  | { readonly kind: 'stopped' }

type Post = (message: DeliveryMessage) => void

/** Runs until told to stop. */
export async function runDelivery(start: DeliveryStart, port: MessagePort): Promise<void> {
  void giveWay('delivery')
  const post: Post = (message) => port.postMessage(message)
  const stopping = new AbortController()
  const sealing = new Sealing((id, fact) => post({ kind: 'quarantined', id, fact }))
  const seal: LaneListener['seal'] = (fact, signal) => sealing.seal(fact, signal)
  const adopter = start.adopt === undefined ? undefined : new Adopter(start.adopt, post, seal)
  const own = new OwnDelivery(start, { post, seal })
  const tell = () => post({ kind: 'states', states: own.states(), adopted: adopter?.adopted })
  port.on('message', (order: DeliveryOrder) => {
    if (order.kind === 'stop') stopping.abort()
    else if (order.kind === 'sealed') sealing.answer(order.id, order.isSealed)
    else {
      void own.flush(order.only).then((outcome) => {
        tell()
        post({ kind: 'flushed', id: order.id, outcome })
      })
    }
  })
  const timer = setInterval(tell, reportMs)
  await Promise.all([own.run(stopping.signal), adopter?.run(stopping.signal)])
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve))
  clearInterval(timer)
  tell()
  post({ kind: 'stopped' })
  port.close()
}

/** Delivery of the own spool: waits for its lock, then runs a lane for each destination. */
class OwnDelivery {
  readonly #start: DeliveryStart
  readonly #post: Post
  readonly #seal: LaneListener['seal']
  readonly #view: ExternalView
  readonly #opened = Promise.withResolvers<readonly Lane[]>()
  /** Aborts when the wait for the lock is over, whatever its end. */
  readonly #waiting = new AbortController()
  #isElsewhere = false
  #lanes: readonly Lane[] = []

  constructor(start: DeliveryStart, { post, seal }: { post: Post; seal: LaneListener['seal'] }) {
    this.#start = start
    this.#post = post
    this.#seal = seal
    const positions = new Positions(start.memory)
    const spool = { directory: start.directory, durable: () => positions.durable() }
    this.#view = new ExternalView(diskFiles, spool, start.destinations.map(nameOf))
  }

  states(): readonly ForwarderState[] {
    return this.#isElsewhere ? this.#view.states() : this.#lanes.map((lane) => lane.forwarder.state())
  }

  /** While another process delivers, by its cursors. */
  async flush(only: FlushOnly | undefined): Promise<FlushOutcome> {
    if (this.#isElsewhere) {
      const outcome = await this.#view.flush(only, this.#waiting.signal)
      if (outcome !== 'stopped') return outcome
    }
    return flushLanes(await this.#opened.promise, only)
  }

  /** Delivers until the signal aborts. Never rejects: what goes wrong is told. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      const lock = await awaitForwardLock(this.#start.directory, signal, (holder) => this.#waitFor(holder))
      if (lock === undefined) return
      try {
        await this.#deliver(signal)
      } finally {
        lock.release()
      }
    } catch (error) {
      this.#post({ kind: 'failed', name: 'delivery', reason: errorText(error) })
    } finally {
      this.#opened.resolve([])
      this.#waiting.abort()
    }
  }

  async #deliver(signal: AbortSignal): Promise<void> {
    const listener = { post: this.#post, seal: this.#seal }
    const opened = await Promise.all(
      this.#start.destinations.map((options) => openOwnLane(options, this.#start, listener)),
    )
    this.#lanes = opened.filter((lane) => lane !== undefined)
    if (this.#isElsewhere) this.#post({ kind: 'delivering' })
    this.#isElsewhere = false
    this.#opened.resolve(this.#lanes)
    this.#waiting.abort()
    await Promise.all(this.#lanes.map((lane) => runOwnLane(lane, signal, this.#post)))
  }

  #waitFor(holder: string): void {
    this.#isElsewhere = true
    this.#post({ kind: 'waiting', holder })
  }
}

async function openOwnLane(
  options: DestinationOptions,
  start: DeliveryStart,
  { post, seal }: { post: Post; seal: LaneListener['seal'] },
): Promise<Lane | undefined> {
  const { directory } = start
  const positions = new Positions(start.memory)
  const name = nameOf(options)
  try {
    return await openLane(
      options,
      { directory, durable: () => positions.durable(), moved: (end, ms) => positions.moved(end, ms) },
      {
        changed: (state) => post({ kind: 'changed', state }),
        ahead: (found) => post({ kind: 'ahead', name, found }),
        seal,
      },
    )
  } catch (error) {
    post({ kind: 'failed', name, reason: errorText(error) })
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
async function flushLanes(lanes: readonly Lane[], only: FlushOnly | undefined): Promise<FlushOutcome> {
  const meant = lanes.filter((lane) => only === undefined || lane.destination.name === only.name)
  const settled = await Promise.allSettled(meant.map((lane) => lane.forwarder.flush()))
  if (settled.length === 0 || settled.some(({ status }) => status === 'rejected')) return 'stopped'
  const isQuarantined = only !== undefined && meant.some((lane) => isSetAside(lane, only.record))
  return isQuarantined ? 'quarantined' : 'confirmed'
}

function isSetAside({ folders }: Lane, record: SealedRecord): boolean {
  return folders.forked.holds(record) || folders.poison.holds(record)
}
