/**
 * The way of an event, in the one place that knows the order: admission (look, convert, decide, redact), seal, append.
 * Runs on the application thread, synchronously, and never throws: what the spool cannot take goes to standard error,
 * and a sealed `audit.gap` accounts for it before the next event. The chain's head moves only after the append.
 */

import { Chain, type ChainHead, isFarBack } from '../chain/chain.ts'
import { errorText } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { CatalogueCheck } from '../event/catalogue-check.ts'
import { attachmentOf } from '../event/commit.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import { type ControlFact, encodeControl, encodeRecord, type Position } from '../event/record.ts'
import type { RunningReason } from '../spool/handover.ts'
import type { Spool } from '../spool/spool.ts'
import type { AppendMode } from '../spool/spool-options.ts'
import { SpoolRefusal } from '../spool/state.ts'
import { Admission, type Ambient, type PolicyInForce } from './admission.ts'
import type { Correlation } from './correlation.ts'
import type { EventCounts } from './counts.ts'
import { Emergencies } from './emergency.ts'
import { successionFact, type TrailOwner } from './opening.ts'
import { Emergency, type EmergencyCause, type Receipt, suppressed, Written, type WrittenRecord } from './receipt.ts'
import type { Suppressions } from './suppressions.ts'

/** What sealing asks of the spool. */
export type SealingSpool = Pick<Spool, 'append' | 'durable' | 'enterStream' | 'refusal' | 'startStream' | 'waitForRoom'>

export interface SealerParts {
  /** What judges events until another does. */
  readonly inForce: PolicyInForce
  readonly catalogue: CatalogueCheck
  readonly suppressions: Suppressions
  readonly spool: SealingSpool
  readonly head: ChainHead
  /** What the first records of this opening say. */
  readonly opening: readonly ControlFact[]
  readonly service: string
  readonly owner: TrailOwner
  /** How long an event waits for room; 0: not at all. */
  readonly blockMsMax: number
  readonly counts: EventCounts
  /** Hears that the spool did not take a record. */
  readonly onRefusal: () => void
}

/** The receipt, and the event as the trail has it. */
export interface Shown {
  readonly receipt: Receipt
  readonly event: ConvertedEvent
}

export class Sealer {
  readonly #parts: SealerParts
  readonly #admission: Admission
  readonly #wait: (place: WrittenRecord) => Promise<void>
  readonly #emergencies = new Emergencies()
  /** Facts that must be sealed before anything else. */
  readonly #owed: ControlFact[]
  #chain: Chain
  #closed = false
  /** Set while a new stream is asked for. */
  #streamReason: RunningReason | undefined
  /** What a destination held of this stream that we do not. */
  #ahead: JsonObject | undefined
  /** An event has waited for room in vain; none waits again before one was taken. */
  #hasWaited = false

  constructor(parts: SealerParts) {
    this.#parts = parts
    this.#admission = new Admission(parts)
    parts.suppressions.attach(() => this.accountSuppressed())
    this.#emergencies.attach(() => this.#closed || this.accountEmergencies())
    this.#chain = new Chain(parts.head)
    this.#wait = (place) => parts.spool.durable(place)
    this.#owed = [...parts.opening]
    this.#attempt(() => this.#prepare())
  }

  get head(): ChainHead {
    return this.#chain.head
  }

  /** Records that went to standard error because the spool could not take them. */
  get emergencies(): number {
    return this.#emergencies.total
  }

  /** From now on events go to standard error: the stream is ending. */
  close(): void {
    this.#closed = true
  }

  /** The policy by which events are judged. */
  get inForce(): PolicyInForce {
    return this.#admission.inForce
  }

  /** The rule that suppresses an event, as far as a cheap look can tell; otherwise `seal` is given `looked`. */
  look(input: unknown, looked: Correlation): string | undefined {
    return this.#admission.look(input, looked)
  }

  /** Whether the stream is ending: nothing is emitted any more. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** What policy leaves of an event that is sealed elsewhere, or the rule that suppresses it. */
  admit(input: unknown, ambient: Ambient): ConvertedEvent | string {
    return this.#admission.admit(input, ambient)
  }

  /** Seals an event that policy wants. */
  seal(input: unknown, ambient: Ambient): Receipt {
    const admitted = this.#admission.admit(input, ambient)
    return typeof admitted === 'string' ? suppressed(admitted) : this.#place(admitted, ambient.isRequired === true)
  }

  /** The same for whoever sees the event afterwards. */
  sealShown(input: unknown, ambient: Ambient): Shown {
    const { event, rule } = this.#admission.admitShown(input, ambient)
    const receipt = rule === undefined ? this.#place(event, ambient.isRequired === true) : suppressed(rule)
    return { receipt, event }
  }

  /**
   * Judges by another policy from the next event on, once what the one before has suppressed and then `change` are
   * sealed. False when the spool cannot take that: then nothing has changed.
   */
  enforce(inForce: PolicyInForce, change: ControlFact): boolean {
    if (this.#closed || !this.accountSuppressed() || !this.sealFact(change)) return false
    this.#admission.enforce(inForce)
    return true
  }

  /** Seals a fact about the trail, in the reserve if need be; false when the spool cannot take it. */
  sealFact(fact: ControlFact): boolean {
    return this.#attempt(() => {
      this.#prepare()
      this.#appendFact(fact, true)
    })
  }

  /** Seals what accounts for emergency records, if there are any and the spool takes it. */
  accountEmergencies(): void {
    this.#attempt(() => {
      this.#prepare()
      this.#appendGap(true)
    })
  }

  /** Seals the counts of what policy did not want. False when the spool does not take them: they are kept. */
  accountSuppressed(): boolean {
    const { suppressions } = this.#parts
    if (suppressions.isEmpty) return true
    if (this.#closed) return false
    return this.#attempt(() => {
      this.#prepare()
      this.#appendFact(suppressions.fact(), true)
    })
  }

  /** Goes over to a stream that was asked for, if it is ready, and seals what is owed. */
  proceed(): void {
    this.#attempt(() => this.#prepare())
  }

  /** Asks for a new stream, which follows this one as soon as everything in this one is durable. */
  startStream(reason: RunningReason, ahead?: JsonObject): void {
    this.#streamReason ??= reason
    this.#ahead ??= ahead
    this.#parts.spool.startStream(reason)
  }

  #place(event: ConvertedEvent, isRequired: boolean): Receipt {
    if (this.#closed) return this.#divert(event, { reason: 'audit is closed', code: 'CLOSED' })
    // Once events go to standard error, they do until there is room for any: not a gap record for each that just fits.
    const refusal = this.#emergencies.isOpen && !isRequired ? this.#parts.spool.refusal() : undefined
    if (refusal !== undefined) return this.#divert(event, describe(refusal))
    try {
      return this.#append(event, isRequired)
    } catch (refusal) {
      this.#parts.onRefusal()
      return this.#waitFor(refusal) ? this.#placeAgain(event, isRequired) : this.#divert(event, describe(refusal))
    }
  }

  #placeAgain(event: ConvertedEvent, isRequired: boolean): Receipt {
    try {
      return this.#append(event, isRequired)
    } catch (refusal) {
      return this.#divert(event, describe(refusal))
    }
  }

  /** The one bounded wait for room; whether there is any now. A disk that fails is not waited for. */
  #waitFor(refusal: unknown): boolean {
    const { blockMsMax, spool } = this.#parts
    if (this.#hasWaited || blockMsMax === 0) return false
    if (!(refusal instanceof SpoolRefusal) || refusal.reason === 'failed') return false
    this.#hasWaited = true
    return spool.waitForRoom(blockMsMax)
  }

  /** Throws when the spool cannot take it. What went to standard error before is accounted for first. */
  #append(event: ConvertedEvent, isRequired: boolean): Written {
    this.#prepare()
    this.#appendGap(isRequired) // without the reserve: else each event would spend some of it
    const position = this.#nextPosition()
    const mode = { mayUseReserve: isRequired, disclosures: attachmentOf(event.disclosures) }
    const written = this.#write(encodeRecord(event, position), position, mode)
    this.#parts.counts.countRecorded(event.action, event.outcome)
    if (!isRequired) this.#hasWaited = false
    return written
  }

  /** Seals what is owed, and goes over to a stream that is ready. */
  #prepare(): void {
    this.#sealOwed()
    const stream = this.#streamReason === undefined ? undefined : this.#parts.spool.enterStream()
    if (stream === undefined) return
    this.#beginStream(stream)
    this.#sealOwed()
  }

  #sealOwed(): void {
    for (let fact = this.#owed[0]; fact !== undefined; fact = this.#owed[0]) {
      this.#appendFact(fact, true)
      this.#owed.shift()
    }
  }

  #beginStream(stream: string): void {
    const { head } = this.#chain
    const predecessor = { ...head, reason: this.#streamReason ?? 'clock' }
    const fact = successionFact(this.#parts.owner, predecessor, this.#ahead)
    this.#streamReason = undefined
    this.#ahead = undefined
    this.#chain = new Chain({ stream, epoch: head.epoch, sequence: 0, hash: undefined, recorded: undefined })
    this.#owed.push(fact)
  }

  #appendGap(mayUseReserve: boolean): void {
    if (!this.#emergencies.isOpen) return
    this.#appendFact({ type: 'audit.gap', details: this.#emergencies.gap() }, mayUseReserve)
    this.#emergencies.settle()
  }

  #appendFact(fact: ControlFact, mayUseReserve: boolean): void {
    const position = this.#nextPosition()
    const record = encodeControl({ service: this.#parts.service, ...fact }, position)
    const append = () => {
      this.#write(record, position, { isCheckpoint: fact.type === 'audit.checkpoint', mayUseReserve })
    }
    if (sealsSuppressed(fact)) this.#parts.suppressions.sealAs(position, append)
    else append()
  }

  /** A clock that went far back asks for a new stream; until it is there, `recorded` stands still. */
  #nextPosition(): Position {
    const position = this.#chain.next()
    if (isFarBack(position)) this.startStream('clock')
    return position
  }

  #write(record: string, position: Position, mode: AppendMode): Written {
    const hash = this.#parts.spool.append(record, mode)
    this.#chain.advance(position, hash)
    return new Written({ id: position.id, stream: position.stream, sequence: position.sequence, hash }, this.#wait)
  }

  /** Whether the spool took it: when not, `audit.state` says so, and the next event takes the emergency path. */
  #attempt(append: () => void): boolean {
    try {
      append()
      return true
    } catch {
      this.#parts.onRefusal()
      return false
    }
  }

  /** The emergency path. */
  #divert(event: ConvertedEvent, cause: EmergencyCause): Receipt {
    this.#emergencies.write(encodeRecord(event, this.#chain.next()), cause.reason)
    return new Emergency(cause)
  }
}

function describe(refusal: unknown): EmergencyCause {
  const isRoom = refusal instanceof SpoolRefusal && (refusal.reason === 'full' || refusal.reason === 'unsynced')
  return { reason: errorText(refusal), code: isRoom ? 'SPOOL_FULL' : 'SPOOL_FAILED' }
}

/** Whether the record of a fact accounts for suppressed events: this writer's, or those that it found. */
function sealsSuppressed({ type, details }: ControlFact): boolean {
  return type === 'audit.suppressed' || (type === 'audit.stream.opened' && details.suppressed !== undefined)
}
