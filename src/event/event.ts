/**
 * The event: what an application says happened, before anything of ours touches it.
 * Member names are the record's own (docs/formats.md section 1). Only `action` is required; every optional
 * member accepts `undefined`. Whatever arrives here, however hostile, becomes a record: `convert.ts` says how.
 */

/** Every kind of act. */
export const operations = [
  'create',
  'read',
  'update',
  'delete',
  'execute',
  'access',
  'export',
  'import',
  'login',
  'grant',
  'revoke',
  'approve',
  'other',
] as const

/** What kind of act it was; what the level filter looks at. Absent counts as `other`. */
export type Operation = (typeof operations)[number]

/** Every way to end. */
export const outcomes = ['success', 'failure', 'denied', 'unknown'] as const

/** How it ended. Absent counts as `unknown`. */
export type Outcome = (typeof outcomes)[number]

/** Every kind of actor. */
export const actorTypes = [
  'user',
  'service',
  'system',
  'api_key',
  'agent',
  'webhook_event',
  'poll_cycle',
  'admin_action',
  'anonymous',
  'unknown',
] as const

export type ActorType = (typeof actorTypes)[number]

/** Who did it. Identifiers are cut at 512 bytes. */
export interface Actor {
  readonly type?: ActorType | undefined
  readonly id?: string | undefined
  readonly name?: string | undefined
  /** The actor on whose behalf this one acted. */
  readonly on_behalf_of?: string | undefined
  readonly roles?: readonly string[] | undefined
}

/** What it was done to. Members beyond these three are kept as given. */
export interface Target {
  readonly resource_type?: string | undefined
  readonly id?: string | undefined
  readonly name?: string | undefined
  readonly [member: string]: unknown
}

/** Every class of error. */
export const errorClasses = [
  'auth_failure',
  'rate_limit',
  'timeout',
  'network_error',
  'validation',
  'not_found',
  'conflict',
  'server_error',
  'cancelled',
  'unknown',
] as const

export type ErrorClass = (typeof errorClasses)[number]

export interface EventError {
  readonly class?: ErrorClass | undefined
  readonly code?: string | undefined
  readonly message?: string | undefined
}

/** The request in which it happened, as far as it is known. */
export interface RequestMetadata {
  readonly id?: string | undefined
  readonly source_ip?: string | undefined
  readonly user_agent?: string | undefined
  readonly method?: string | undefined
  /** The route template (`/invoices/:id`), not the URL. */
  readonly route?: string | undefined
  readonly status?: number | undefined
}

/** Trace context, lower-case hex; taken from the active span when absent. */
export interface TraceReference {
  readonly id: string
  readonly span: string
  readonly flags: number
}

/** An audit event, as `audit.emit` and the body of an OpenTelemetry log record take it. */
export interface AuditEvent {
  /** Dotted name of what was done: `invoice.delete`. */
  readonly action: string
  readonly operation?: Operation | undefined
  readonly actor?: Actor | undefined
  readonly target?: Target | undefined
  readonly targets?: readonly Target[] | undefined
  readonly tenant?: string | undefined
  readonly session?: string | undefined
  readonly grant?: string | undefined
  readonly outcome?: Outcome | undefined
  /** A string is taken as the class, an `Error` as class and message. */
  readonly error?: EventError | Error | string | undefined
  readonly reason?: string | undefined
  readonly request?: RequestMetadata | undefined
  /** Field by field, before and after. */
  readonly changes?: Readonly<Record<string, { readonly from?: unknown; readonly to?: unknown }>> | undefined
  /** Everything else. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
  /** When it happened: RFC 3339 with any zone, a `Date`, or milliseconds since the epoch. Default: now. */
  readonly timestamp?: string | Date | number | undefined
  readonly duration_ms?: number | undefined
  readonly attempts?: number | undefined
  /** Default: the ambient context's, else the active trace id, else a new UUID. */
  readonly correlation_id?: string | undefined
  readonly trace?: TraceReference | undefined
  /** Version of the action's own schema, when it is catalogued. */
  readonly schema?: string | undefined
}
