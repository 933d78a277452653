/**
 * What joins an event to others: its own correlation id, else that of the ambient context, else its trace, else a new
 * one. Known before sampling, which draws by it, and minted once, so that the record has the id that was drawn by.
 */

import { randomUUID } from 'node:crypto'
import type { ConvertedEvent } from '../event/converted-event.ts'
import type { TraceReference } from '../event/event.ts'
import { identifierBytesMax } from '../limits.ts'
import { ambientContext } from './context.ts'

/** The correlation id of one event. */
export class Correlation {
  readonly #findTrace: () => TraceReference | undefined
  #minted: string | undefined
  #isUnsure = false

  /** `findTrace`: the one that is active where the event was emitted; asked only when it matters. */
  constructor(findTrace: () => TraceReference | undefined) {
    this.#findTrace = findTrace
  }

  ofEvent({ correlation_id, trace }: ConvertedEvent): string {
    return correlation_id ?? this.#around(trace)
  }

  /** By a cheap look at what was emitted. Never throws. Where it is unsure the id is none. */
  ofInput(input: object): string {
    try {
      const own = ownMember(input, 'correlation_id')
      if (typeof own === 'string' && own.length * 3 <= identifierBytesMax && own.isWellFormed()) return own
      if (isAbsent(own) && isAbsent(ownMember(input, 'trace'))) return this.#around(undefined)
    } catch {
      // a getter threw: the conversion guards each read
    }
    this.#isUnsure = true
    return ''
  }

  /** Only the conversion can tell the id: what was decided by the look does not count. */
  get isUnsure(): boolean {
    return this.#isUnsure
  }

  #around(trace: TraceReference | undefined): string {
    const around = ambientContext()?.correlation_id ?? (trace ?? this.#findTrace())?.id
    if (around !== undefined) return around
    this.#minted ??= randomUUID()
    return this.#minted
  }
}

function ownMember(input: object, name: string): unknown {
  return Object.hasOwn(input, name) ? (input as Record<string, unknown>)[name] : undefined
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}
