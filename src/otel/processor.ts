/**
 * The LogRecordProcessor: takes audit records out of OpenTelemetry and hands them to `seal`, which `audit/` provides
 * and which alone knows what happens to them. Everything else passes untouched. It never throws into `emit`.
 */

import type { AnyValue, Attributes, Context } from '@opentelemetry/api'
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs'
import type { ConvertedEvent } from '../event/converted-event.ts'
import type { TraceReference } from '../event/event.ts'
import { eventFromLogRecord, traceFromSpanContext } from '../event/log-record.ts'
import { attributeNames } from '../event/names.ts'
import { type ResourceMembers, resourceMembers } from './resource.ts'

/** What a sealed record tells the log record it came from. */
export interface SealedMark {
  readonly id: string
  readonly stream: string
  readonly sequence: number
  readonly hash: string
}

/** What becomes of an audit event: the event as the trail has it, and its mark when it was recorded. */
export interface SealOutcome {
  readonly event: ConvertedEvent
  readonly mark: SealedMark | undefined
}

/** What the log record says beside the event. */
export interface SealSource extends ResourceMembers {
  readonly trace: TraceReference | undefined
}

/** The pipeline behind the processor. */
export interface Sealing {
  seal(input: unknown, source: SealSource): SealOutcome
  flush(): Promise<void>
  close(): Promise<void>
}

/**
 * For a user's own `LoggerProvider`. Placed first, it replaces body and attributes of an audit record by what the
 * trail has, so that later processors never see more than the trail does.
 */
export class SealingLogRecordProcessor implements LogRecordProcessor {
  readonly #sealing: Sealing

  constructor(sealing: Sealing) {
    this.#sealing = sealing
  }

  onEmit(record: ReadWriteLogRecord, _context?: Context): void {
    const input = eventFromLogRecord(record, { ours: false })
    if (input === undefined) return
    const source = { trace: traceFromSpanContext(record.spanContext), ...resourceMembers(record.resource) }
    const { event, mark } = this.#sealing.seal(input, source)
    const attributes: Attributes = record.attributes
    for (const name of Object.keys(attributes)) delete attributes[name]
    record.setBody(bodyOf(event))
    record.setAttribute(attributeNames.action, event.action)
    if (mark === undefined) return
    record.setAttribute(attributeNames.recordId, mark.id)
    record.setAttribute(attributeNames.recordHash, mark.hash)
    record.setAttribute(attributeNames.streamId, mark.stream)
    record.setAttribute(attributeNames.sequence, mark.sequence)
  }

  forceFlush(): Promise<void> {
    return this.#sealing.flush()
  }

  shutdown(): Promise<void> {
    return this.#sealing.close()
  }
}

/** The members that are there, as a log body. */
function bodyOf({ hasIntegerLikeKey: _, disclosures: __, ...members }: ConvertedEvent): AnyValue {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as AnyValue
}
