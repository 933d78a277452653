/**
 * Every attribute name of the OTLP projection and of emission through the plain Logger (docs/formats.md
 * section 4). They follow the draft audit conventions, which have changed several times: nowhere else in the
 * sources stands an attribute name.
 */

/** Name of our instrumentation scope. */
export const scopeName = 'otel-audit'

export const attributeNames = {
  recordUid: 'log.record.uid',
  recordId: 'audit.record.id',
  recordHash: 'audit.record.hash',
  streamId: 'audit.sequence.stream_id',
  sequence: 'audit.sequence.number',
  previousHash: 'audit.sequence.previous_hash',
  schema: 'audit.schema.version',
  action: 'audit.action',
  operation: 'audit.operation',
  level: 'audit.level',
  outcome: 'audit.outcome',
  actorId: 'audit.actor.id',
  actorType: 'audit.actor.type',
  targetId: 'audit.target.id',
  targetType: 'audit.target.type',
  tenant: 'audit.tenant.id',
  correlationId: 'audit.correlation.id',
  errorClass: 'error.type',
  sourceIp: 'client.address',
  userAgent: 'user_agent.original',
  method: 'http.request.method',
  route: 'http.route',
  status: 'http.response.status_code',
  session: 'session.id',
} as const
