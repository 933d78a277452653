/**
 * A client whose calls are recorded: one record for each logical call, however often it was tried, with outcome, error
 * class, duration and attempts. What the client returns or throws is passed on untouched; a description that throws
 * costs the record its words, and the call nothing.
 */

import type { Receipt } from '../audit/receipt.ts'
import type { Operation, Target } from '../event/event.ts'
import { CallUnderWay, runCall } from './call.ts'
import type { CallCoverage } from './coverage.ts'
import type { Emits } from './emits.ts'

/** What is recorded of the calls of one method. */
export interface CallDescription<Args extends readonly unknown[], Result> {
  readonly action: string
  /** Default `execute`, which only `deletes_only` and `failures_only` hide. */
  readonly operation?: Operation | undefined
  readonly target?: Target | ((...args: Args) => Target) | undefined
  /** Of the call; `result` is absent when it failed. Never put a credential or a text in it. */
  readonly details?: ((call: { readonly args: Args; readonly result?: Result | undefined }) => object) | undefined
}

export type CallDescriptions<Client> = {
  readonly [Method in keyof Client as Client[Method] extends Callable ? Method : never]?: Client[Method] extends (
    ...args: infer Args
  ) => infer Result
    ? CallDescription<Args, Awaited<Result>>
    : never
}

type Callable = (...args: never[]) => unknown

/** What a description says, whatever the method. */
type AnyDescription = CallDescription<readonly unknown[], unknown>

export interface AuditCallsOptions<Client> {
  /** The methods whose calls are recorded. */
  readonly calls: CallDescriptions<Client>
  /** For tests: is told of every call, those of methods without a description too. */
  readonly coverage?: CallCoverage | undefined
}

/** The client with its described methods recorded; all others work as before. */
export function auditCalls<Client extends object>(
  audit: Emits,
  client: Client,
  { calls, coverage }: AuditCallsOptions<Client>,
): Client {
  const described = new Map<PropertyKey, AnyDescription>(Object.entries(calls) as [string, AnyDescription][])
  const wrapped = new Map<PropertyKey, unknown>()
  return new Proxy(client, {
    get(target, name, receiver) {
      const method: unknown = Reflect.get(target, name, target)
      if (typeof method !== 'function' || name === 'constructor') return method
      const known = wrapped.get(name)
      if (known !== undefined) return known
      const description = described.get(name)
      const note = (receipt: Receipt | undefined) => coverage?.note(String(name), receipt)
      const own = function (this: unknown, ...args: unknown[]): unknown {
        const on = this === receiver ? target : this
        const run = () => Reflect.apply(method, on, args)
        if (description !== undefined) return recordCall(audit, { description, args, run, note })
        note(undefined)
        return run()
      }
      wrapped.set(name, own)
      return own
    },
  })
}

interface Call {
  readonly description: AnyDescription
  readonly args: readonly unknown[]
  readonly run: () => unknown
  readonly note: (receipt: Receipt) => void
}

function recordCall(audit: Emits, { description, args, run, note }: Call): unknown {
  const call = new CallUnderWay()
  const succeed = (result: unknown) => note(call.end(audit, describe(description, { args, result })))
  const fail = (thrown: unknown) => note(call.end(audit, describe(description, { args }), { thrown }))
  let returned: unknown
  try {
    returned = runCall(call, run)
  } catch (thrown) {
    fail(thrown)
    throw thrown
  }
  if (!(returned instanceof Promise)) {
    succeed(returned)
    return returned
  }
  // Not a promise of ours instead of the client's own: it may be more than a promise.
  returned.then(succeed, fail)
  return returned
}

function describe(description: AnyDescription, call: { args: readonly unknown[]; result?: unknown }) {
  const { action, operation, target, details } = description
  const event = { action, ...(operation === undefined ? {} : { operation }) }
  try {
    return {
      ...event,
      target: typeof target === 'function' ? target(...call.args) : target,
      details: details?.(call) as Readonly<Record<string, unknown>> | undefined,
    }
  } catch {
    return { ...event, details: { undescribed: true } }
  }
}
