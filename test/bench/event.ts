/**
 * The typical event of the benchmarks: twelve members and some details, about 950 bytes as a record. The same facts
 * as an audit event and as an OpenTelemetry log record with attributes.
 */

import { type Context, type LogRecord, ROOT_CONTEXT, SeverityNumber, type SpanContext, trace } from '@opentelemetry/api'
import type { AuditEvent } from '../../src/index.ts'

const userAgent = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0'

/** No two events in a row share actor, target or tenant. */
export function createEvent(index: number): AuditEvent {
  return {
    action: 'invoice.update',
    operation: 'update',
    actor: { type: 'user', id: `u-${index % 997}` },
    target: { resource_type: 'invoice', id: `inv-${100_000 + index}` },
    tenant: `tenant-${index % 53}`,
    outcome: 'success',
    request: { source_ip: '203.0.113.7', user_agent: userAgent, method: 'PATCH', route: '/invoices/:id' },
    details: createDetails(index),
  }
}

/**
 * Events whose records are as long on average, and differ by up to 255 bytes: where disks are written by the sector, one
 * length would be lucky or unlucky.
 */
export function createEventOfAnyLength(index: number): AuditEvent {
  const note = 'by phone '.repeat(29).slice(0, (index * 97) % 256)
  return { ...createEvent(index), request: undefined, details: { ...createDetails(index), note } }
}

/** The same facts, as an application logs them without us. */
export function createLogRecord(index: number): LogRecord {
  return {
    eventName: 'invoice.update',
    severityNumber: SeverityNumber.INFO,
    body: createDetails(index),
    attributes: {
      'audit.action': 'invoice.update',
      'audit.operation': 'update',
      'audit.actor.type': 'user',
      'audit.actor.id': `u-${index % 997}`,
      'audit.target.type': 'invoice',
      'audit.target.id': `inv-${100_000 + index}`,
      'audit.tenant.id': `tenant-${index % 53}`,
      'audit.outcome': 'success',
      'client.address': '203.0.113.7',
      'user_agent.original': userAgent,
      'http.request.method': 'PATCH',
      'http.route': '/invoices/:id',
    },
  }
}

function createDetails(index: number) {
  return { amount_cents: 129_900 + index, currency: 'EUR', lines: 3, note: 'by phone' }
}

/** The trace context of the request in which a burst of events happens. */
export function requestTrace(index: number): SpanContext {
  const digits = (index + 1).toString(16)
  return { traceId: digits.padStart(32, '5'), spanId: digits.padStart(16, '7'), traceFlags: 1 }
}

export function requestContext(index: number): Context {
  return trace.setSpanContext(ROOT_CONTEXT, requestTrace(index))
}
