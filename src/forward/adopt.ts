/**
 * Adoption: a slot that lost its process and still owes records to destinations of ours is recovered and drained from
 * here, one at a time. Always holds: a slot's `lock` and `forward.lock` are held from before its recovery until its
 * last cursor is saved, so that its adopter, a sidecar and a process that wants it never both deliver; the own lanes do
 * not wait for it. A process that comes back meanwhile takes another slot. Nothing is removed: its next owner reclaims.
 */

import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DestinationOptions } from '../destination/destination.ts'
import { destinationOfSlot } from '../destination/slot-path.ts'
import { AuditError, errorText } from '../errors.ts'
import { durableEnd, readPresentControl } from '../spool/control.ts'
import { diskFiles } from '../spool/files.ts'
import { listSlots } from '../spool/instances.ts'
import { lockSpool, type SpoolLock } from '../spool/lock.ts'
import { settleHeld } from '../spool/settle.ts'
import { takeForwardLock } from './forward-lock.ts'
import { drainLane, type Lane, nameOf, openLane } from './lane.ts'
import { type Heir, lookAtSlot, type SlotLook } from './orphan.ts'
import type { SealFact } from './quarantine.ts'
import type { ForwarderState } from './standing.ts'

/** How often slots are looked at. A slot must stand still from one look to the next before its lock is tried. */
const lookMs = 2_000

export interface AdoptStart {
  /** The directory that holds the slots. */
  readonly parent: string
  /** The own slot. */
  readonly own: string
  readonly deployment: string
  /** As they were given: not yet those of one slot. */
  readonly destinations: readonly DestinationOptions[]
}

/** The slot that is being drained. */
export interface AdoptedSlot {
  readonly slot: string
  readonly destinations: readonly ForwarderState[]
}

/** What an adopter tells. */
export type AdoptionMessage =
  | { readonly kind: 'adopting'; readonly slot: string }
  | { readonly kind: 'passed-over'; readonly slot: string; readonly reason: string }

export class Adopter {
  readonly #start: AdoptStart
  readonly #post: (message: AdoptionMessage) => void
  readonly #seal: SealFact
  readonly #heir: Heir
  /** How each slot looked at the last look. */
  #marks = new Map<string, string>()
  /** How a slot looked when nothing was left to do there. */
  readonly #finished = new Map<string, string>()
  #adopted: { readonly slot: string; readonly lanes: readonly Lane[] } | undefined

  constructor(start: AdoptStart, post: (message: AdoptionMessage) => void, seal: SealFact) {
    this.#start = start
    this.#post = post
    this.#seal = seal
    this.#heir = { deployment: start.deployment, names: start.destinations.map(nameOf) }
  }

  get adopted(): AdoptedSlot | undefined {
    if (this.#adopted === undefined) return undefined
    const { slot, lanes } = this.#adopted
    return { slot, destinations: lanes.map((lane) => lane.forwarder.state()) }
  }

  /** Looks and drains until the signal aborts. Never rejects: what goes wrong with a slot is told, and it is passed over. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (await this.#adoptOne(signal)) continue
      await sleep(lookMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
    }
  }

  /** Whether a slot was adopted: then another may be waiting. */
  async #adoptOne(signal: AbortSignal): Promise<boolean> {
    let slot: string | undefined
    try {
      slot = this.#findOrphan()
      return slot !== undefined && (await this.#adopt(slot, signal))
    } catch (error) {
      this.#passOver(slot ?? basename(this.#start.parent), error)
      return false
    }
  }

  /**
   * A slot that may have lost its process: it owes something, and nothing moved in it since the last look. Which of
   * several is left to chance, so that many adopters do not all try the same lock (4 ms each) at every look.
   */
  #findOrphan(): string | undefined {
    const before = this.#marks
    this.#marks = new Map()
    const candidates = this.#lookAtAll().filter(([slot, look]) => {
      this.#marks.set(slot, look.mark)
      return before.get(slot) === look.mark && this.#finished.get(slot) !== look.mark && look.mayOwe
    })
    return candidates[Math.floor(Math.random() * candidates.length)]?.[0]
  }

  #lookAtAll(): [string, SlotLook][] {
    const { parent, own } = this.#start
    const others = listSlots(diskFiles, parent).filter((slot) => slot !== own)
    return others.flatMap((slot) => {
      try {
        const look = lookAtSlot(diskFiles, join(parent, slot), this.#heir)
        return look === undefined ? [] : [[slot, look]]
      } catch (error) {
        this.#passOver(slot, error)
        return []
      }
    })
  }

  async #adopt(slot: string, signal: AbortSignal): Promise<boolean> {
    const directory = join(this.#start.parent, slot)
    const forwarding = takeForwardLock(directory)
    if ('holder' in forwarding) return false // a sidecar delivers it
    try {
      const lock = lockIfFree(directory)
      if (lock === undefined) return false
      try {
        await this.#adoptHeld(slot, signal)
        return true
      } finally {
        lock.release()
      }
    } finally {
      forwarding.release()
    }
  }

  async #adoptHeld(slot: string, signal: AbortSignal): Promise<void> {
    const directory = join(this.#start.parent, slot)
    settleHeld(diskFiles, directory)
    const look = lookAtSlot(diskFiles, directory, this.#heir)
    if (look !== undefined && look.owed.length > 0) await this.#drain(slot, look, signal)
    const left = lookAtSlot(diskFiles, directory, this.#heir)
    if (left !== undefined) this.#finished.set(slot, left.mark)
  }

  async #drain(slot: string, { owed }: SlotLook, signal: AbortSignal): Promise<void> {
    const directory = join(this.#start.parent, slot)
    const end = durableEnd(readPresentControl(diskFiles, directory))
    const lanes: Lane[] = []
    const drain = async (options: DestinationOptions) => {
      const spool = { directory, durable: () => end }
      const lane = await openLane(destinationOfSlot(options, slot), spool, { seal: this.#seal })
      lanes.push(lane)
      await drainLane(lane, signal)
    }
    this.#adopted = { slot, lanes }
    this.#post({ kind: 'adopting', slot })
    const destinations = this.#start.destinations.filter((options) => owed.includes(nameOf(options)))
    const outcomes = await Promise.allSettled(destinations.map(drain))
    this.#adopted = undefined
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Not looked at again until it changes; said each time, and by the listener once. */
  #passOver(slot: string, error: unknown): void {
    const mark = this.#marks.get(slot)
    if (mark !== undefined) this.#finished.set(slot, mark)
    this.#post({ kind: 'passed-over', slot, reason: errorText(error) })
  }
}

function lockIfFree(directory: string): SpoolLock | undefined {
  try {
    return lockSpool(directory, 0)
  } catch (error) {
    if (error instanceof AuditError && error.code === 'SPOOL_LOCKED') return undefined
    throw error
  }
}
