import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnyValue, context, type Logger, trace } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  InMemoryLogRecordExporter,
  LoggerProvider,
  type LogRecordProcessor,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs'
import { AuditLogRecordProcessor } from '../../src/index.ts'
import { eventsIn, freshFolder, openAudit, type RecordJson } from '../audit/opened.ts'

const spanContext = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
const active = trace.setSpan(context.active(), trace.wrapSpanContext(spanContext))

/** What two records of one event share: everything but their place and time. */
function essence(record: RecordJson | undefined): Record<string, unknown> {
  const members: Record<string, unknown> = { ...record }
  for (const name of ['id', 'seq', 'prev', 'recorded', 'timestamp', 'stream', 'epoch']) {
    assert.ok(members[name], name)
    delete members[name]
  }
  return members
}

const event = {
  action: 'invoice.update',
  operation: 'update',
  outcome: 'failure',
  correlation_id: 'c-1',
  actor: { type: 'user', id: 'u-1' },
  target: { resource_type: 'invoice', id: '42' },
  tenant: 'acme',
  error: { class: 'conflict' },
  request: { method: 'PUT', route: '/invoices/:id', status: 409, source_ip: '192.0.2.7' },
  details: { note: 'n', password: 'secret' },
} as const

const asAttributes = {
  'audit.action': 'invoice.update',
  'audit.operation': 'update',
  'audit.outcome': 'failure',
  'audit.correlation.id': 'c-1',
  'audit.actor.type': 'user',
  'audit.actor.id': 'u-1',
  'audit.target.type': 'invoice',
  'audit.target.id': '42',
  'audit.tenant.id': 'acme',
  'error.type': 'conflict',
  'http.request.method': 'PUT',
  'http.route': '/invoices/:id',
  'http.response.status_code': 409,
  'client.address': '192.0.2.7',
  note: 'n',
  password: 'secret',
}

test('audit.emit and the plain Logger, with a body or with attributes, give the same record', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const own = audit.loggerProvider.getLogger('app')
  const users = new LoggerProvider({ processors: [new AuditLogRecordProcessor(audit)] })
  const foreign = users.getLogger('app')
  const emissions: readonly (() => void)[] = [
    () => audit.emit(event),
    () => own.emit({ body: event as unknown as AnyValue }),
    () => own.emit({ attributes: asAttributes }),
    () => foreign.emit({ body: event as unknown as AnyValue, attributes: { 'audit.action': 'invoice.update' } }),
    () => foreign.emit({ attributes: asAttributes }),
    () => foreign.emit({ eventName: 'ignored', attributes: asAttributes }),
  ]
  for (const emit of emissions) emit()
  await audit.close()
  const records = eventsIn(folder)
  assert.equal(records.length, emissions.length)
  for (const record of records) assert.deepEqual(essence(record), essence(records[0]))
  assert.deepEqual(records[0]?.details, { note: 'n', password: '[REDACTED]' })
})

test('trace id, span id and flags come from the active span, and the trace id correlates', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const users = new LoggerProvider({ processors: [new AuditLogRecordProcessor(audit)] })
  audit.loggerProvider.getLogger('app').emit({ body: { action: 'own' }, context: active })
  users.getLogger('app').emit({ attributes: { 'audit.action': 'foreign' }, context: active })
  users
    .getLogger('app')
    .emit({ attributes: { 'audit.action': 'explicit', 'audit.correlation.id': 'mine' }, context: active })
  await audit.close()
  const expected = { id: spanContext.traceId, span: spanContext.spanId, flags: 1 }
  for (const record of eventsIn(folder)) assert.deepEqual(record.trace, expected, record.action)
  assert.deepEqual(
    eventsIn(folder).map((one) => one.correlation_id),
    [spanContext.traceId, spanContext.traceId, 'mine'],
  )
})

test("what is no audit record passes a user's provider untouched and is not recorded", async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const exporter = new InMemoryLogRecordExporter()
  const users = new LoggerProvider({
    processors: [new AuditLogRecordProcessor(audit), new SimpleLogRecordProcessor({ exporter })],
  })
  users.getLogger('app').emit({ body: 'plain', attributes: { a: 1 }, eventName: 'e' })
  const [seen] = exporter.getFinishedLogRecords()
  assert.deepEqual([seen?.body, seen?.attributes, seen?.eventName], ['plain', { a: 1 }, 'e'])
  await audit.close()
  assert.deepEqual(eventsIn(folder), [])
})

test('later processors see what the trail has, and no more, whether it was recorded or not', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy: { level: 'writes_only' } })
  const exporter = new InMemoryLogRecordExporter()
  const users = new LoggerProvider({
    processors: [new AuditLogRecordProcessor(audit), new SimpleLogRecordProcessor({ exporter })],
  })
  const logger: Logger = users.getLogger('app')
  logger.emit({
    body: { ...event, operation: 'create' } as unknown as AnyValue,
    attributes: { 'audit.action': 'x', token: 'secret' },
  })
  logger.emit({
    body: { ...event, operation: 'read' } as unknown as AnyValue,
    attributes: { 'audit.action': 'x', token: 'secret' },
  })
  const seen = exporter.getFinishedLogRecords()
  for (const record of seen) {
    assert.ok(!JSON.stringify([record.body, record.attributes]).includes('secret'))
    assert.deepEqual((record.body as { details: unknown }).details, {
      note: 'n',
      password: '[REDACTED]',
      token: '[REDACTED]',
    })
  }
  await audit.close()
  const [recorded] = eventsIn(folder)
  assert.equal(seen[0]?.attributes['audit.record.id'], recorded?.id)
  assert.equal(seen[0]?.attributes['audit.sequence.number'], recorded?.seq)
  assert.equal(seen[1]?.attributes['audit.record.id'], undefined)
})

test("a processor of the user's that shuts our provider down cannot silence the trail", async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  await audit.loggerProvider.shutdown()
  assert.equal(audit.emit(event).status, 'emergency')
  assert.equal(audit.state.emergencies, 1)
})

test('the processor opens a trail of its own from options, and closes it on shutdown', async (t) => {
  const folder = freshFolder(t)
  const processor: LogRecordProcessor & { audit: { state: { spool: string } } } = new AuditLogRecordProcessor({
    spool: { directory: `${folder}/spool` },
    policy: { level: 'all' },
  })
  const users = new LoggerProvider({ processors: [processor] })
  users.getLogger('app').emit({ attributes: { 'audit.action': 'a.b' } })
  await users.forceFlush()
  assert.equal(eventsIn(folder).length, 1)
  await users.shutdown()
  assert.equal(processor.audit.state.spool, 'closed')
})

test("the resource of a user's provider names the service and is kept without what names a process", async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const attributes = {
    'service.name': 'orders',
    'deployment.environment.name': 'prod',
    'process.pid': 7,
    'host.ip': '192.0.2.1',
  }
  const users = new LoggerProvider({
    processors: [new AuditLogRecordProcessor(audit)],
    resource: resourceFromAttributes(attributes),
  })
  users.getLogger('app').emit({ attributes: { 'audit.action': 'a.b' } })
  await audit.close()
  const [record] = eventsIn(folder)
  assert.equal(record?.service, 'orders')
  assert.deepEqual(record?.resource, { 'deployment.environment.name': 'prod' })
})
