/** The tools behind the gateway, and what each call of one is to an auditor. */

import type { AuditEvent } from 'otel-audit'

/** One call, as a user sends it. */
export interface ToolCall {
  readonly tool: string
  readonly user: string
  readonly session: string
  readonly target: string
}

type About = Pick<AuditEvent, 'action' | 'operation'> & { readonly resource: string }

const tools: Readonly<Record<string, About>> = {
  health: { action: 'health_check', resource: 'gateway' },
  metrics: { action: 'metrics.list', operation: 'access', resource: 'metric' },
  'files.read': { action: 'file.read', operation: 'read', resource: 'file' },
  'files.list': { action: 'file.list', operation: 'read', resource: 'folder' },
  'records.search': { action: 'record.search', operation: 'read', resource: 'record' },
  'files.create': { action: 'file.create', operation: 'create', resource: 'file' },
  'files.update': { action: 'file.update', operation: 'update', resource: 'file' },
  'files.delete': { action: 'file.delete', operation: 'delete', resource: 'file' },
  'jobs.run': { action: 'job.run', operation: 'execute', resource: 'job' },
}

/** Who may see what is confidential: nobody of the users here. */
export function isConfidential(target: string): boolean {
  return target.startsWith('confidential-')
}

/** The event of a call; `undefined` when there is no such tool. */
export function eventOf({ tool, user, session, target }: ToolCall): AuditEvent | undefined {
  const about = tools[tool]
  if (about === undefined) return undefined
  const { resource, ...act } = about
  const isDenied = isConfidential(target)
  return {
    ...act,
    actor: { type: 'user', id: user },
    session,
    correlation_id: session,
    target: { resource_type: resource, id: target },
    outcome: isDenied ? 'denied' : 'success',
    ...(isDenied && { error: 'auth_failure' }),
    request: { method: 'POST', route: '/tools/:tool', status: isDenied ? 403 : 200, source_ip: '192.0.2.17' },
    details: { tool },
  }
}
