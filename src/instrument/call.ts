/**
 * One logical call of a client while it is under way: how often it was tried, and how the last try ended. What sends the
 * requests (`auditFetch`) notes it here; what wraps the call (`auditCalls`) makes the one record of it.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import type { Receipt } from '../audit/receipt.ts'
import { monotonicMs } from '../clock.ts'
import { classifyError, classifyStatus } from '../event/error-class.ts'
import type { AuditEvent } from '../event/event.ts'
import type { Emits } from './emits.ts'

/** A request as far as it may be told: no query, no credential, no path with identifiers in it. */
export interface RequestSketch {
  readonly method: string
  /** A template: `https://gitlab.example/api/v4/projects/:id`. */
  readonly url: string
}

/** What is known of a call before it ends. */
export type CallEvent = Pick<AuditEvent, 'action' | 'operation' | 'target' | 'details'>

export class CallUnderWay {
  readonly #from = monotonicMs()
  #attempts = 0
  #request: RequestSketch | undefined
  #status: number | undefined

  /** A request goes out. */
  noteAttempt(request: RequestSketch): void {
    this.#attempts += 1
    this.#request = request
    this.#status = undefined
  }

  noteStatus(status: number): void {
    this.#status = status
  }

  /** Makes the record of the call; `failure` is what it threw, in a box, because anything can be thrown. */
  end(audit: Emits, event: CallEvent, failure?: { readonly thrown: unknown }): Receipt {
    const duration_ms = Math.round((monotonicMs() - this.#from) * 1_000) / 1_000
    const status = this.#status
    const details = { ...event.details, ...this.#request, ...(status === undefined ? {} : { status }) }
    return audit.emit({
      operation: 'execute',
      ...event,
      ...(Object.keys(details).length === 0 ? {} : { details }),
      attempts: Math.max(1, this.#attempts),
      duration_ms,
      ...this.#outcome(failure),
    })
  }

  #outcome(failure: { readonly thrown: unknown } | undefined): Pick<AuditEvent, 'outcome' | 'error'> {
    const ofStatus = classifyStatus(this.#status)
    if (failure === undefined)
      return ofStatus === undefined ? { outcome: 'success' } : { outcome: 'failure', error: { class: ofStatus } }
    const { thrown } = failure
    const ofError = classifyError(thrown)
    // What a library throws often says less than the answer did that made it throw.
    const known = ofError === 'unknown' ? (ofStatus ?? ofError) : ofError
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    const code = codeOf(thrown)
    return { outcome: 'failure', error: { class: known, message, ...(code === undefined ? {} : { code }) } }
  }
}

function codeOf(thrown: unknown): string | undefined {
  const code = typeof thrown === 'object' && thrown !== null ? (thrown as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : undefined
}

const underWay = new AsyncLocalStorage<CallUnderWay>()

/** The call that a request belongs to. */
export function callUnderWay(): CallUnderWay | undefined {
  return underWay.getStore()
}

export function runCall<T>(call: CallUnderWay, fn: () => T): T {
  return underWay.run(call, fn)
}
