/**
 * Our own LoggerProvider, dedicated and never registered: whatever happens to the global one (sampling by trace,
 * minimum severity, shutdown by another owner, other processors ahead) does not happen to audit events.
 */

import { context, isSpanContextValid, type Logger, trace } from '@opentelemetry/api'
import { LoggerProvider, type LogRecordProcessor, type ReadWriteLogRecord } from '@opentelemetry/sdk-logs'
import type { TraceReference } from '../event/event.ts'
import { eventFromLogRecord, traceFromSpanContext } from '../event/log-record.ts'
import { scopeName } from '../event/names.ts'

/** The trace that is active here, as a logger would find it. */
export function activeTrace(): TraceReference | undefined {
  const spanContext = trace.getSpanContext(context.active())
  return spanContext !== undefined && isSpanContextValid(spanContext) ? traceFromSpanContext(spanContext) : undefined
}

/** Takes every record that passes one of our loggers. */
class OwnProcessor implements LogRecordProcessor {
  readonly #seal: (input: unknown, trace: TraceReference | undefined) => void

  constructor(seal: (input: unknown, trace: TraceReference | undefined) => void) {
    this.#seal = seal
  }

  onEmit(record: ReadWriteLogRecord): void {
    this.#seal(eventFromLogRecord(record, { ours: true }), traceFromSpanContext(record.spanContext))
  }

  forceFlush(): Promise<void> {
    return Promise.resolve() // nothing is held here
  }

  shutdown(): Promise<void> {
    return Promise.resolve()
  }
}

export interface OwnProvider {
  readonly provider: LoggerProvider
  /** The logger that `audit.emit` uses. */
  readonly logger: Logger
}

/** Attribute limits are off: what an audit event says is limited by our own rules, which say what they cut. */
export function createOwnProvider(seal: (input: unknown, trace: TraceReference | undefined) => void): OwnProvider {
  const provider = new LoggerProvider({
    processors: [new OwnProcessor(seal)],
    logRecordLimits: { attributeCountLimit: Number.POSITIVE_INFINITY },
  })
  return { provider, logger: provider.getLogger(scopeName) }
}
