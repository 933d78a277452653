/**
 * The way of an event, in the one place that knows the order: convert, decide, redact, seal, append. Runs on the
 * application thread, synchronously, and never throws: what the spool cannot take goes to standard error instead.
 * The chain's head moves only after the append.
 */

import { randomUUID } from 'node:crypto'
import { Chain, type ChainHead } from '../chain/chain.ts'
import { errorText } from '../errors.ts'
import { isIntegerLikeKey, type JsonObject } from '../event/canonical.ts'
import { convertEvent } from '../event/convert.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import type { TraceReference } from '../event/event.ts'
import { type ControlType, encodeControl, encodeRecord, type Position } from '../event/record.ts'
import type { Policy } from '../policy/policy.ts'
import type { Redaction } from '../policy/redact.ts'
import type { Spool } from '../spool/spool.ts'
import { ambientContext } from './context.ts'
import { writeEmergency } from './notice.ts'
import { Emergency, type Receipt, suppressed, Written } from './receipt.ts'

export interface SealerParts {
  readonly policy: Policy
  readonly redaction: Redaction
  readonly spool: Spool
  readonly head: ChainHead
  readonly service: string
}

/** What comes with an event from OpenTelemetry. */
export interface Ambient {
  readonly trace: TraceReference | undefined
  readonly service?: string | undefined
  readonly resource: JsonObject | undefined
  /** Later processors will see the event: hand it back redacted, whatever the decision. */
  readonly handBack: boolean
}

/** The receipt, and the event as the trail has it, when it was asked for. */
export interface Sealed {
  readonly receipt: Receipt
  readonly event: ConvertedEvent
}

export class Sealer {
  readonly #parts: SealerParts
  readonly #chain: Chain
  readonly #wait: (sequence: number) => Promise<void>
  #closed = false
  #emergencies = 0

  constructor(parts: SealerParts) {
    this.#parts = parts
    this.#chain = new Chain(parts.head)
    this.#wait = (sequence) => parts.spool.durable(sequence)
  }

  get head(): ChainHead {
    return this.#chain.head
  }

  /** Records that went to standard error because the spool could not take them. */
  get emergencies(): number {
    return this.#emergencies
  }

  /** From now on events go to standard error: the stream is ending. */
  close(): void {
    this.#closed = true
  }

  seal(input: unknown, ambient: Ambient): Sealed {
    const { policy, redaction, service } = this.#parts
    const event = convertEvent(input)
    const decision = policy.decide(event)
    if (!decision.kept) {
      if (ambient.handBack) redaction.redact(event)
      return { receipt: suppressed(decision.rule), event }
    }
    if (ambient.resource !== undefined) setResource(event, ambient.resource)
    const redactions = redaction.redact(event)
    if (redactions.length > 0) event.redactions = redactions
    event.level = policy.level
    event.policy = policy.hash
    event.service = ambient.service ?? service
    if (event.trace === undefined && ambient.trace !== undefined) event.trace = ambient.trace
    event.correlation_id ??= ambientContext()?.correlation_id ?? event.trace?.id ?? randomUUID()
    return { receipt: this.#append(event), event }
  }

  /** Seals a record of our own; `undefined` when the spool cannot take it. */
  sealControl(type: ControlType, details: JsonObject): Written | undefined {
    const position = this.#chain.next()
    const record = encodeControl({ type, details, service: this.#parts.service }, position)
    try {
      return this.#write(record, position, type === 'audit.checkpoint')
    } catch {
      return undefined // the spool says so itself: audit.state, and the next event takes the emergency path
    }
  }

  #append(event: ConvertedEvent): Receipt {
    const position = this.#chain.next()
    const record = encodeRecord(event, position)
    if (this.#closed) return this.#emergency(record, 'audit is closed')
    try {
      return this.#write(record, position, false)
    } catch (error) {
      return this.#emergency(record, errorText(error))
    }
  }

  #write(record: string, position: Position, isCheckpoint: boolean): Written {
    const hash = this.#parts.spool.append(record, { isCheckpoint })
    this.#chain.advance(position, hash)
    return new Written({ id: position.id, stream: position.stream, sequence: position.sequence, hash }, this.#wait)
  }

  #emergency(record: string, reason: string): Receipt {
    this.#emergencies += 1
    writeEmergency(record, reason)
    return new Emergency(reason)
  }
}

/** A copy, because redaction works in place and the resource is shared by all events. */
function setResource(event: ConvertedEvent, resource: JsonObject): void {
  event.resource = { ...resource }
  if (Object.keys(resource).some(isIntegerLikeKey)) event.hasIntegerLikeKey = true
}
