/**
 * The ambient audit context: what holds for every event emitted within a call, across `await` and timers. A process may
 * also inherit one from whoever started it.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { trace as tracing } from '@opentelemetry/api'
import type { TraceReference } from '../event/event.ts'
import { attributeNames } from '../event/names.ts'
import { activeTrace } from '../otel/provider.ts'

export interface AuditContext {
  /** Joins the events of one piece of work; an event's own `correlation_id` goes first. */
  readonly correlation_id?: string | undefined
  /** The trace of whoever asked for the work; an active span goes first. */
  readonly trace?: TraceReference | undefined
}

const storage = new AsyncLocalStorage<AuditContext>()
let inherited: AuditContext | undefined

/** The context in force, if any. */
export function ambientContext(): AuditContext | undefined {
  return storage.getStore() ?? inherited
}

/** Runs `fn` with `context` laid over the one in force; the active span is told the correlation id. */
export function runInContext<T>(context: AuditContext, fn: () => T): T {
  if (context.correlation_id !== undefined)
    tracing.getActiveSpan()?.setAttribute(attributeNames.correlationId, context.correlation_id)
  const given = Object.entries(context).filter(([, value]) => value !== undefined)
  return storage.run({ ...ambientContext(), ...Object.fromEntries(given) }, fn)
}

/** What holds in this process wherever no other context does. */
export function inheritContext(context: AuditContext): void {
  inherited = Object.keys(context).length === 0 ? undefined : context
}

/** The trace that an event emitted here belongs to. */
export function currentTrace(): TraceReference | undefined {
  return activeTrace() ?? ambientContext()?.trace
}
