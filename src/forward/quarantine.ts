/**
 * What the forwarder does with records that a destination refuses for ever: finds which they are, and has them set
 * aside. Forked ones contradict what the destination holds; poison is refused by itself. Always holds: they are durable
 * in quarantine before the cursor moves past them. That the trail says so is tried first, and where it cannot be sealed
 * at once (the spool is full, the program is closing) it is owed, across restarts.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Delivery, DestinationFact, StreamHead } from '../destination/destination.ts'
import { errorCode, errorText } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { StoredRecord } from '../event/record.ts'
import type { SetAsideKind } from '../spool/set-aside.ts'
import { Bell } from './bell.ts'

/** How long a fact that could not be sealed waits for the next try, in milliseconds. */
const retryMs = 1_000

/** Records of one stream, in order, that a destination does not take. */
export interface SetAsideRun {
  readonly kind: SetAsideKind
  readonly records: readonly StoredRecord[]
  /** What the destination holds in the place of the first, or as its head, as far as it said. */
  readonly held?: StreamHead | undefined
  readonly reason: string
}

/** What the forwarder asks. */
export interface Quarantine {
  /** Whether the record follows, in its stream, one that was set aside. */
  follows(record: StoredRecord): boolean
  /** Puts the records away, durably. Resolves to `undefined`, or to why it cannot be done now. */
  setAside(run: SetAsideRun, signal: AbortSignal): Promise<string | undefined>
}

/** Where set-aside records are kept. */
export interface QuarantineKeeper {
  follows(record: StoredRecord): boolean
  /** Durable on return. Throws what the disk throws. */
  keep(run: SetAsideRun): void
  /** What is kept and not sealed yet, in order. */
  owed(): readonly OwedFact[]
}

export interface OwedFact {
  readonly fact: QuarantineFact
  /** It is sealed: it is owed no longer. Throws what the disk throws. */
  settle(): void
}

/** What is sealed of a run: that it was set aside, and what became of it. One fact a run, because there may be many. */
export interface QuarantineFact {
  readonly kind: SetAsideKind
  readonly type: 'audit.quarantined' | 'audit.quarantine.resolved'
  /** The stream of the records: what is sealed about forked ones is sealed in another. */
  readonly stream: string
  readonly details: JsonObject
}

/** What whoever delivers has sealed: about records that were set aside, or what a destination did. */
export type DeliveryFact = QuarantineFact | DestinationFact

/** Has a fact sealed; resolves to whether it is durable in the trail. False on abort. */
export type SealFact = (fact: DeliveryFact, signal: AbortSignal) => Promise<boolean>

export type QuarantineKeepers = Readonly<Record<SetAsideKind, QuarantineKeeper>>

/** The quarantine of one destination, on its keepers. */
export class SealedQuarantine implements Quarantine {
  readonly #keepers: QuarantineKeepers
  readonly #seal: SealFact
  readonly #kept: Bell
  #sealing: Promise<boolean> = Promise.resolve(true)

  /** `kept` rings when something was put away. */
  constructor(keepers: QuarantineKeepers, seal: SealFact, kept = new Bell()) {
    this.#keepers = keepers
    this.#seal = seal
    this.#kept = kept
  }

  follows(record: StoredRecord): boolean {
    return this.#keepers.forked.follows(record)
  }

  async setAside(run: SetAsideRun, signal: AbortSignal): Promise<string | undefined> {
    try {
      this.#keepers[run.kind].keep(run)
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      return `they cannot be set aside: ${errorText(error)}`
    }
    await this.#sealOwed(signal)
    this.#kept.ring()
    return undefined
  }

  /** Seals what is owed, now and while the signal lasts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (await this.#sealOwed(signal)) await this.#kept.wait(signal)
      else await sleep(retryMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
    }
  }

  /** One after the other, so that no fact is sealed twice; whether nothing is owed any more. */
  #sealOwed(signal: AbortSignal): Promise<boolean> {
    this.#sealing = this.#sealing.then(() => this.#sealAll(signal))
    return this.#sealing
  }

  async #sealAll(signal: AbortSignal): Promise<boolean> {
    for (const { fact, settle } of [...this.#keepers.forked.owed(), ...this.#keepers.poison.owed()]) {
      // In their order, each when the one before is durable.
      if (!(await this.#seal(fact, signal))) return false
      try {
        settle()
      } catch (error) {
        if (errorCode(error) === undefined) throw error
        return false // it will be sealed again: said twice is better than not at all
      }
    }
    return true
  }
}

/**
 * The first forked run of a refused batch, and how many records go before it. Whatever follows a forked record in its
 * stream is forked too, because it names that one's hash.
 */
export function findForks(
  records: readonly StoredRecord[],
  { reason, forked }: Extract<Delivery, { status: 'rejected' }>,
  quarantine: Quarantine,
): { readonly from: number; readonly run: SetAsideRun } | undefined {
  const [first] = records
  const from = first !== undefined && quarantine.follows(first) ? 0 : forked?.index
  const fork = from === undefined ? undefined : records[from]
  if (from === undefined || fork === undefined) return undefined
  const behind = records.slice(from)
  const end = behind.findIndex((record, at) => record.stream !== fork.stream || record.sequence !== fork.sequence + at)
  const held = forked?.index === from ? forked.held : undefined
  return { from, run: { kind: 'forked', records: end < 0 ? behind : behind.slice(0, end), held, reason } }
}

/** What a destination holds, as members of a fact or of a line. */
export function heldMembers(held: StreamHead | undefined): { held_seq?: number; held_hash?: string } {
  if (held === undefined) return {}
  return { held_seq: held.sequence, ...(held.hash === undefined ? {} : { held_hash: held.hash }) }
}

/** Why records wait: the first of them is refused, and may not be left out. */
export function describeRefusal([record]: readonly StoredRecord[], reason: string): string {
  return `record ${record?.sequence} of stream ${record?.stream} is refused, and all behind it wait: ${reason}`
}
