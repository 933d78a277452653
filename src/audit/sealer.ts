/**
 * The way of an event, in the one place that knows the order: convert, decide, redact, seal, append. Runs on the
 * application thread, synchronously, and never throws: what the spool cannot take goes to standard error instead, and
 * a sealed `audit.gap` accounts for it before the next event. The chain's head moves only after the append.
 */

import { randomUUID } from 'node:crypto'
import { Chain, type ChainHead, isFarBack } from '../chain/chain.ts'
import { errorText } from '../errors.ts'
import { isIntegerLikeKey, type JsonObject } from '../event/canonical.ts'
import { convertEvent } from '../event/convert.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import type { TraceReference } from '../event/event.ts'
import { factsOf } from '../event/facts.ts'
import { type ControlFact, encodeControl, encodeRecord, type Position } from '../event/record.ts'
import type { Policy } from '../policy/policy.ts'
import type { Redaction } from '../policy/redact.ts'
import type { RunningReason } from '../spool/handover.ts'
import type { Spool } from '../spool/spool.ts'
import type { AppendMode } from '../spool/spool-options.ts'
import { SpoolRefusal } from '../spool/state.ts'
import { ambientContext } from './context.ts'
import type { EventCounts } from './counts.ts'
import { Emergencies } from './emergency.ts'
import { successionFact } from './opening.ts'
import { Emergency, type EmergencyCause, type Receipt, suppressed, Written, type WrittenRecord } from './receipt.ts'

/** What sealing asks of the spool. */
export type SealingSpool = Pick<Spool, 'append' | 'durable' | 'enterStream' | 'refusal' | 'startStream' | 'waitForRoom'>

export interface SealerParts {
  readonly policy: Policy
  readonly redaction: Redaction
  readonly spool: SealingSpool
  readonly head: ChainHead
  /** What the first records of this opening say. */
  readonly opening: readonly ControlFact[]
  readonly service: string
  readonly deployment: string
  /** How long an event waits for room; 0: not at all. */
  readonly blockMsMax: number
  readonly counts: EventCounts
  /** Hears that the spool did not take a record. */
  readonly onRefusal: () => void
}

/** What comes with an event from OpenTelemetry. */
export interface Ambient {
  readonly trace: TraceReference | undefined
  readonly service?: string | undefined
  readonly resource: JsonObject | undefined
  /** Later processors will see the event: hand it back redacted, whatever the decision. */
  readonly handBack: boolean
  /** The event may go into the spool's reserve. */
  readonly isRequired?: boolean | undefined
}

/** The receipt, and the event as the trail has it, when it was asked for. */
export interface Sealed {
  readonly receipt: Receipt
  readonly event: ConvertedEvent
}

export class Sealer {
  readonly #parts: SealerParts
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

  seal(input: unknown, ambient: Ambient): Sealed {
    const { policy, redaction, service, counts } = this.#parts
    const event = convertEvent(input)
    if (event.trace === undefined && ambient.trace !== undefined) event.trace = ambient.trace
    event.correlation_id ??= ambientContext()?.correlation_id ?? event.trace?.id ?? randomUUID()
    const correlation = event.correlation_id
    const decision = policy.decide(factsOf(event), () => correlation)
    if (!decision.kept) {
      if (ambient.handBack) redaction.redact(event)
      counts.countSuppressed(decision.rule)
      return { receipt: suppressed(decision.rule), event }
    }
    if (ambient.resource !== undefined) setResource(event, ambient.resource)
    if (decision.isMetadata) {
      event.details = undefined
      event.changes = undefined
    }
    event.sampling = decision.sampling
    const redactions = redaction.redact(event)
    if (redactions.length > 0) event.redactions = redactions
    event.level = policy.level
    event.policy = policy.hash
    event.service = ambient.service ?? service
    return { receipt: this.#place(event, ambient.isRequired === true), event }
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
    const written = this.#write(encodeRecord(event, position), position, { mayUseReserve: isRequired })
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
    const fact = successionFact(this.#parts.deployment, predecessor, this.#ahead)
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
    this.#write(record, position, { isCheckpoint: fact.type === 'audit.checkpoint', mayUseReserve })
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

/** A copy, because redaction works in place and the resource is shared by all events. */
function setResource(event: ConvertedEvent, resource: JsonObject): void {
  event.resource = { ...resource }
  if (Object.keys(resource).some(isIntegerLikeKey)) event.hasIntegerLikeKey = true
}
