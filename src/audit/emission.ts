/**
 * What a program emits through: the open trail, or `child` of it, which fills in what its events have in common. Owns
 * what is made of `emit` (`run`, contexts and their transport); how an event becomes a record is not known here.
 */

import { monotonicMs } from '../clock.ts'
import type { ActionName, Emitted } from '../event/catalogued-event.ts'
import { FilledEvent } from '../event/convert.ts'
import { classifyError } from '../event/error-class.ts'
import type { AuditEvent } from '../event/event.ts'
import type { TransactionClient } from '../postgres/outbox.ts'
import { type Carrier, type CarrierForm, readContext, writeContext } from './carry.ts'
import { type AuditContext, currentTrace, runInContext } from './context.ts'
import { Correlation } from './correlation.ts'
import type { Receipt, SuppressedReceipt, WrittenReceipt } from './receipt.ts'
import type { TransactionAudit } from './tx.ts'

/** What events have in common. A member that an event has itself counts; `actor`, `target`, `request` are completed. */
export type AuditBindings = Pick<
  AuditEvent,
  'actor' | 'target' | 'tenant' | 'session' | 'grant' | 'operation' | 'request' | 'correlation_id'
>

/** What `run` says of an act, beside how it ended. */
export type RunOptions = Omit<AuditEvent, 'action' | 'outcome' | 'error' | 'duration_ms' | 'timestamp'>

export abstract class Emission {
  /** The catalogue that events are held against, by which `emit` knows the actions. */
  abstract readonly catalogue: object | undefined

  abstract emit<const Action extends ActionName<this['catalogue']>>(event: Emitted<this['catalogue'], Action>): Receipt

  abstract emitRequired<const Action extends ActionName<this['catalogue']>>(
    event: Emitted<this['catalogue'], Action>,
    options?: { until?: string | undefined },
  ): Promise<WrittenReceipt | SuppressedReceipt>

  abstract tx(client: TransactionClient): TransactionAudit<this['catalogue']>

  /** Emits into the same trail, and fills in what is bound here: `audit.child({ actor, tenant })`. */
  abstract child(bindings: AuditBindings): Bound<this['catalogue']>

  /**
   * Runs `fn` between two records of one correlation id: the attempt (outcome `unknown`, `details.phase: 'attempt'`),
   * written before `fn` begins, and how it ended, with its duration and the class of what was thrown. What `fn` throws
   * is thrown again; events emitted within have the same correlation id.
   */
  async run<T>(action: ActionName<this['catalogue']>, about: RunOptions, fn: () => T | Promise<T>): Promise<T> {
    const correlation_id = about.correlation_id ?? this.correlationId
    const emit = (event: object): void => void this.emit({ ...about, correlation_id, action, ...event } as never)
    return runInContext({ correlation_id }, async () => {
      emit({ outcome: 'unknown', details: { ...about.details, phase: 'attempt' } })
      const from = monotonicMs()
      const took = () => Math.round((monotonicMs() - from) * 1_000) / 1_000
      try {
        const result = await fn()
        emit({ outcome: 'success', duration_ms: took() })
        return result
      } catch (thrown) {
        emit({ outcome: 'failure', duration_ms: took(), error: describeThrown(thrown) })
        throw thrown
      }
    })
  }

  /** What joins an event that is emitted here to others: of the context, else of the trace, else a new one each time. */
  get correlationId(): string {
    return new Correlation(currentTrace).ofInput({})
  }

  /** Runs `fn`; events emitted within, also behind `await` and timers, take what they lack from `context`. */
  withContext<T>(context: AuditContext, fn: () => T): T {
    return runInContext(context, fn)
  }

  /**
   * The context in force, for a message, a request or (`environment`) a child process: the carrier with `traceparent`
   * and `baggage`, or with `TRACEPARENT` and `AUDIT_CORRELATION_ID`. Without a context one is begun, so that both sides
   * can be joined: emit within `withContext(audit.extract(carrier), …)` here too.
   */
  inject<Given extends Carrier>(carrier: Given, form: CarrierForm = 'headers'): Given & Record<string, string> {
    return writeContext(carrier, { correlation_id: this.correlationId, trace: currentTrace() }, form)
  }

  /** The context that `inject` put into a carrier of either form, for `withContext`; empty where there is none. */
  extract(carrier: Carrier): AuditContext {
    return readContext(carrier)
  }
}

/** What `child` of a trail with this catalogue returns. */
export type Bound<Known> = BoundAudit & { readonly catalogue: Known }

/** A trail whose events have something in common. Made by `child`. */
export class BoundAudit extends Emission {
  readonly catalogue: object | undefined
  readonly #trail: Emission
  readonly #bindings: AuditBindings

  constructor(trail: Emission, bindings: AuditBindings) {
    super()
    this.catalogue = trail.catalogue
    this.#trail = trail
    this.#bindings = { ...bindings }
  }

  override get correlationId(): string {
    return this.#bindings.correlation_id ?? super.correlationId
  }

  emit(event: object): Receipt {
    return this.#trail.emit(this.#fill(event))
  }

  emitRequired(event: object, options?: { until?: string | undefined }): Promise<WrittenReceipt | SuppressedReceipt> {
    return this.#trail.emitRequired(this.#fill(event), options)
  }

  tx(client: TransactionClient): TransactionAudit<this['catalogue']> {
    return this.#trail.tx(client).child(this.#bindings) as TransactionAudit<this['catalogue']>
  }

  child(bindings: AuditBindings): Bound<this['catalogue']> {
    const { actor, target, request } = this.#bindings
    return new BoundAudit(this.#trail, {
      ...this.#bindings,
      ...bindings,
      actor: bindings.actor === undefined ? actor : { ...actor, ...bindings.actor },
      target: bindings.target === undefined ? target : { ...target, ...bindings.target },
      request: bindings.request === undefined ? request : { ...request, ...bindings.request },
    }) as Bound<this['catalogue']>
  }

  #fill(event: object): never {
    return new FilledEvent(event, this.#bindings) as never // which conversion takes for an event
  }
}

function describeThrown(thrown: unknown): AuditEvent['error'] {
  return thrown instanceof Error ? thrown : { class: classifyError(thrown), message: String(thrown) }
}
