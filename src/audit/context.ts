/** The ambient audit context: what holds for every event emitted within a call, across `await` and timers. */

import { AsyncLocalStorage } from 'node:async_hooks'

export interface AuditContext {
  /** Joins the events of one piece of work; an event's own `correlation_id` goes first. */
  readonly correlation_id?: string | undefined
}

const storage = new AsyncLocalStorage<AuditContext>()

/** The context in force, if any. */
export function ambientContext(): AuditContext | undefined {
  return storage.getStore()
}

/** Runs `fn` with `context` laid over the one in force. */
export function runInContext<T>(context: AuditContext, fn: () => T): T {
  return storage.run({ ...storage.getStore(), ...context }, fn)
}
