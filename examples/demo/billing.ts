/**
 * The service's business: invoices and sign-ins, kept in memory. Each act comes with the audit event that says who
 * did what to what, and how it ended. Some events carry more than they should (a password, a bearer token): that is
 * what happens in real programs, and redaction hides it before anything is sealed.
 */

import { createHmac } from 'node:crypto'
import type { Actor, AuditEvent } from 'otel-audit'

/** A request as far as the business is concerned. */
export interface Call {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly form: { readonly user?: string; readonly password?: string; readonly amount?: number }
}

/** What became of it: the answer, and the event for the trail. */
export interface Act {
  readonly status: number
  readonly route: string
  readonly answer: Readonly<Record<string, unknown>>
  readonly event: AuditEvent
}

/** Invoices up to this number are there from the start, belong to somebody else, and one in ten is confidential. */
export const foreignInvoices = 100
const invoices = new Map<string, number>()
let created = 0
while (created < foreignInvoices) {
  created += 1
  invoices.set(`i-${created}`, created * 10)
}

export function isConfidential(invoice: string): boolean {
  return invoice.endsWith('0')
}

export function passwordOf(user: string): string {
  return `correct-horse-${createHmac('sha256', 'a password').update(user).digest('hex').slice(0, 12)}`
}

/** What must never stand in a trail. */
export function secretsOf(user: string): string[] {
  return [passwordOf(user), tokenOf(user)]
}

function tokenOf(user: string): string {
  return `${user}.${createHmac('sha256', 'a session').update(user).digest('base64url')}`
}

/** Carries out one request. */
export function perform(call: Call): Act {
  if (call.path === '/login') return logIn(call)
  const actor = authenticate(call.authorization)
  const invoice = call.path.split('/')[2] ?? ''
  const about = { actor, target: { resource_type: 'invoice', id: invoice } }
  if (actor.type === 'anonymous') return refuse({ ...about, action: 'invoice.access', operation: 'access' }, 401)
  switch (call.method) {
    case 'POST':
      return createInvoice(actor, call)
    case 'GET':
      return readInvoice({ ...about, action: 'invoice.read', operation: 'read' })
    case 'PUT':
      return updateInvoice({ ...about, action: 'invoice.update', operation: 'update' }, call.form.amount)
    default:
      return deleteInvoice({ ...about, action: 'invoice.delete', operation: 'delete' })
  }
}

function logIn({ form }: Call): Act {
  const user = form.user ?? ''
  const isRight = form.password === passwordOf(user)
  const event: AuditEvent = {
    action: 'session.login',
    operation: 'login',
    actor: { type: 'user', id: user },
    outcome: isRight ? 'success' : 'denied',
    details: { form },
    ...(isRight ? {} : { error: 'auth_failure' }),
  }
  return { status: isRight ? 200 : 401, route: '/login', answer: isRight ? { token: tokenOf(user) } : {}, event }
}

function authenticate(authorization = ''): Actor {
  const token = authorization.replace(/^Bearer /, '')
  const user = token.split('.')[0] ?? ''
  return token === tokenOf(user) ? { type: 'user', id: user } : { type: 'anonymous' }
}

function createInvoice(actor: Actor, { form, authorization }: Call): Act {
  created += 1
  const invoice = `i-${created}-${actor.id}`
  invoices.set(invoice, form.amount ?? 0)
  return {
    status: 201,
    route: '/invoices',
    answer: { invoice },
    event: {
      action: 'invoice.create',
      operation: 'create',
      actor,
      target: { resource_type: 'invoice', id: invoice },
      outcome: 'success',
      details: { amount: form.amount, headers: { authorization } },
    },
  }
}

function readInvoice(event: InvoiceEvent): Act {
  if (isConfidential(event.target.id)) return refuse(event, 403)
  const amount = invoices.get(event.target.id)
  return amount === undefined ? notFound(event) : succeed(event, { amount })
}

function updateInvoice(event: InvoiceEvent, amount = 0): Act {
  const before = invoices.get(event.target.id)
  if (before === undefined) return notFound(event)
  if (amount < 0) return act({ ...event, outcome: 'failure', error: 'validation', reason: 'a negative amount' }, 422)
  invoices.set(event.target.id, amount)
  return succeed({ ...event, changes: { amount: { from: before, to: amount } } })
}

function deleteInvoice(event: InvoiceEvent): Act {
  if (!event.target.id.endsWith(`-${event.actor.id}`)) return refuse(event, 403)
  return invoices.delete(event.target.id) ? succeed(event) : notFound(event)
}

/** An event about one invoice whose outcome is still open. */
interface InvoiceEvent extends AuditEvent {
  readonly actor: Actor
  readonly target: { readonly resource_type: string; readonly id: string }
}

function succeed(event: AuditEvent, answer: Act['answer'] = {}): Act {
  return { ...act({ ...event, outcome: 'success' }, 200), answer }
}

function refuse(event: AuditEvent, status: 401 | 403): Act {
  return act({ ...event, outcome: 'denied', error: 'auth_failure' }, status)
}

function notFound(event: AuditEvent): Act {
  return act({ ...event, outcome: 'failure', error: 'not_found' }, 404)
}

function act(event: AuditEvent, status: number): Act {
  return { status, route: '/invoices/:id', answer: {}, event }
}
