/**
 * From `emit` to the sealer: a cheap look, and what policy may want goes through our own OpenTelemetry logger, which
 * finds the active trace and lets the event pass as any log record does. An event that the look suppresses does not even
 * become a log record. Synchronous; never throws.
 */

import type { AnyValue, Logger } from '@opentelemetry/api'
import type { LoggerProvider } from '@opentelemetry/sdk-logs'
import type { JsonObject } from '../event/canonical.ts'
import { createOwnProvider } from '../otel/provider.ts'
import { ambientContext, currentTrace } from './context.ts'
import { Correlation } from './correlation.ts'
import { type Receipt, suppressed } from './receipt.ts'
import type { Sealer } from './sealer.ts'

export class Emitter {
  /** Every record through its loggers is an audit event. */
  readonly provider: LoggerProvider
  readonly #logger: Logger
  readonly #sealer: Sealer
  readonly #resource: JsonObject | undefined
  /** Of the event that is under way: whether it may use the spool's reserve, and with what it was looked at. */
  #underWay: { readonly isRequired: boolean; readonly looked: Correlation } | undefined
  #receipt: Receipt | undefined

  constructor(sealer: Sealer, resource: JsonObject | undefined) {
    this.#sealer = sealer
    this.#resource = resource
    const own = createOwnProvider((input, trace) => {
      const ambient = { trace: trace ?? ambientContext()?.trace, resource, ...this.#underWay }
      this.#underWay = undefined // conversion may run code of the application, which may emit
      this.#receipt = sealer.seal(input, ambient)
    })
    this.provider = own.provider
    this.#logger = own.logger
  }

  emit(event: object, isRequired: boolean): Receipt {
    const looked = new Correlation(currentTrace)
    const rule = this.#sealer.look(event, looked)
    if (rule !== undefined) return suppressed(rule)
    this.#underWay = { isRequired, looked }
    this.#receipt = undefined
    this.#logger.emit({ body: event as AnyValue })
    return this.#receipt ?? this.#emitAfterShutdown(event)
  }

  /** Somebody shut our provider down: say so on the emergency path instead of losing the event. */
  #emitAfterShutdown(event: object): Receipt {
    const ambient = { trace: currentTrace(), resource: this.#resource, ...this.#underWay }
    this.#underWay = undefined
    this.#sealer.close()
    return this.#sealer.seal(event, ambient)
  }
}
