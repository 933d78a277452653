/**
 * Compiled, never run: what the types of a catalogue accept and refuse. `tsc` fails when an error is lost, and when one
 * comes where there was none. That names are completed, and what the errors say, stands in catalogued-event.test.ts.
 */

import * as v from 'valibot'
import { z } from 'zod'
import {
  type Audit,
  type AuditEvent,
  type AuditOptions,
  type CataloguedAudit,
  createAudit,
  createAuditFromEnv,
  defineActions,
  type EventOf,
} from '../../src/index.ts'

const description = 'x'
const catalogue = defineActions({
  'invoice.delete': {
    version: 3,
    description,
    operation: 'delete',
    defaults: { target: { resource_type: 'invoice' } },
    details: z.object({ amount: z.number(), why: z.string().optional() }),
    target: z.object({ resource_type: z.literal('invoice'), id: z.string() }),
  },
  'invoice.read': { version: 1, description, details: v.object({ page: v.optional(v.number()) }) },
  'invoice.list': { version: 1, description },
})

declare const some: AuditEvent
declare const either: 'invoice.read' | 'invoice.list'
declare const options: AuditOptions

export function anEventOfTheCatalogue(): void {
  const audit = createAudit({ service: 'billing', actions: catalogue })
  audit.emit({ action: 'invoice.delete', details: { amount: 1 }, target: { id: '42' } })
  audit.emit({ action: 'invoice.delete', details: { amount: 1, why: undefined }, target: { id: '42' }, tenant: 't' })
  // @ts-expect-error: a detail in another type
  audit.emit({ action: 'invoice.delete', details: { amount: '1' }, target: { id: '42' } })
  // @ts-expect-error: a detail too many
  audit.emit({ action: 'invoice.delete', details: { amount: 1, sum: 2 }, target: { id: '42' } })
  // @ts-expect-error: no details
  audit.emit({ action: 'invoice.delete', target: { id: '42' } })
  // @ts-expect-error: a target without its id
  audit.emit({ action: 'invoice.delete', details: { amount: 1 }, target: {} })
  // @ts-expect-error: a target that contradicts its schema
  audit.emit({ action: 'invoice.delete', details: { amount: 1 }, target: { id: '42', resource_type: 'order' } })
  // @ts-expect-error: another operation
  audit.emit({ action: 'invoice.delete', operation: 'read', details: { amount: 1 }, target: { id: '42' } })
  // @ts-expect-error: the version is the catalogue's
  audit.emit({ action: 'invoice.delete', schema: '2', details: { amount: 1 }, target: { id: '42' } })
  // @ts-expect-error: no member of an event
  audit.emit({ action: 'invoice.delete', detials: {}, details: { amount: 1 }, target: { id: '42' } })
  // @ts-expect-error: the same of what must not be done without
  void audit.emitRequired({ action: 'invoice.delete' }, { until: 'durable' })
}

export function whatMayBeLeftOut(): void {
  const audit = createAuditFromEnv({ actions: catalogue })
  audit.emit({ action: 'invoice.read' })
  audit.emit({ action: 'invoice.read', outcome: 'denied', details: { page: undefined } })
  audit.emit({ action: 'invoice.list', details: { anything: 1 } })
  audit.emit({ action: either, tenant: 't' })
  // @ts-expect-error: page is a number
  audit.emit({ action: 'invoice.read', details: { page: '1' } })
  // @ts-expect-error: no outcome
  audit.emit({ action: 'invoice.list', outcome: 'denyed' })
}

export function otherActions(): void {
  const audit = createAudit({ actions: catalogue })
  audit.emit({ action: 'order.create', details: { anything: 1 } })
  audit.emit(some)
  // @ts-expect-error: no member of an event
  audit.emit({ action: 'order.create', detials: {} })
  const closed = createAudit({ actions: defineActions({ 'a.b': { version: 1, description } }, { closed: true }) })
  closed.emit({ action: 'a.b' })
  // @ts-expect-error: the catalogue is closed
  closed.emit({ action: 'a.c' })
  // @ts-expect-error: any action may stand in it
  closed.emit(some)
}

export function withoutCatalogue(): void {
  for (const audit of [createAudit(), createAudit({}), createAudit(options), createAudit({ actions: undefined })]) {
    audit.emit({ action: 'invoice.delete', details: { anything: 1 } })
    audit.emit(some)
    // @ts-expect-error: no action
    audit.emit({ details: {} })
    // @ts-expect-error: no member of an event
    audit.emit({ action: 'a', detials: {} })
  }
}

export function whereATrailIsHandedOn(): void {
  const audit = createAudit({ actions: catalogue })
  const takesAny = (trail: Audit): void => void trail.emit({ action: 'a' })
  const takesThis = (trail: CataloguedAudit<typeof catalogue>): void => void trail.emit({ action: 'invoice.list' })
  takesAny(audit)
  takesThis(audit)
  const plain = createAudit()
  // @ts-expect-error: it has no catalogue
  takesThis(plain)
  const remove = (event: EventOf<typeof catalogue, 'invoice.delete'>): void => void audit.emit(event)
  remove({ action: 'invoice.delete', details: { amount: 1 }, target: { id: '42' } })
  // @ts-expect-error: another action
  remove({ action: 'invoice.list' })
}

export function definitions(): void {
  // @ts-expect-error: a version is a number
  defineActions({ 'a.b': { version: '1', description } })
  // @ts-expect-error: no description
  defineActions({ 'a.b': { version: 1 } })
  // @ts-expect-error: details are an object
  defineActions({ 'a.b': { version: 1, description, details: z.string() } })
  // @ts-expect-error: no schema
  defineActions({ 'a.b': { version: 1, description, details: { amount: 'number' } } })
  // @ts-expect-error: no operation
  defineActions({ 'a.b': { version: 1, description, operation: 'erase' } })
  // @ts-expect-error: definitions, not a catalogue
  createAudit({ actions: { 'a.b': { version: 1, description } } })
}
