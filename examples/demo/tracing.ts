/**
 * OpenTelemetry tracing as small as it gets. A real application has this from the OpenTelemetry SDK and its HTTP
 * instrumentation; an audit event takes its trace id from whatever span is active.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { context, propagation, type Span, SpanKind, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { TracerProvider } from '@opentelemetry/sdk-trace'

/** Call it once, before the first span. */
export function startTracing(): void {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(new TracerProvider())
}

/** Runs `serve` in a span that continues the caller's trace. */
export function inServerSpan(name: string, headers: IncomingHttpHeaders, serve: () => Promise<void>): Promise<void> {
  const caller = propagation.extract(context.active(), headers)
  return trace
    .getTracer('billing')
    .startActiveSpan(name, { kind: SpanKind.SERVER }, caller, (span) => serve().finally(() => span.end()))
}

/** Runs `act` in a new trace; what it calls with `traceHeaders` belongs to it. */
export function inNewTrace<Result>(name: string, act: (traceId: string) => Promise<Result>): Promise<Result> {
  const run = (span: Span) => act(span.spanContext().traceId).finally(() => span.end())
  return trace.getTracer('customer').startActiveSpan(name, { kind: SpanKind.CLIENT, root: true }, run)
}

/** The W3C headers that carry the active span to a server. */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {}
  propagation.inject(context.active(), headers)
  return headers
}
