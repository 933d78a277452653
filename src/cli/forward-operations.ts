/**
 * The operations stream of a sidecar: a whole trail in the sub-directory `operations` of the spool directory, for only
 * its writer seals in a stream, and the sidecar is not the writer of the spool that it forwards. It is opened with the
 * first fact to seal, or when one of an earlier run may still be undelivered, and sends to the same destinations.
 */

import { existsSync } from 'node:fs'
import { join, parse } from 'node:path'
import type { Audit } from '../audit/audit.ts'
import type { AuditConfig } from '../audit/config.ts'
import { createAudit } from '../audit/create.ts'
import type { AuditOptions } from '../audit/options.ts'
import type { DestinationOptions } from '../destination/destination.ts'
import { slotMark } from '../destination/slot-path.ts'
import { AuditError, errorText } from '../errors.ts'
import type { AuditEvent } from '../event/event.ts'
import type { DeliveryFact } from '../forward/quarantine.ts'

export interface OperationsParts {
  /** The spool directory, or that of the slots. */
  readonly directory: string
  readonly config: AuditConfig
  /** Of the trail that is forwarded, where the configuration names none. */
  readonly deployment: () => string | undefined
  readonly say: (text: string) => void
}

export class Operations {
  readonly #parts: OperationsParts
  readonly #directory: string
  #audit: Audit | undefined
  #said: string | undefined

  constructor(parts: OperationsParts) {
    this.#parts = parts
    this.#directory = join(parts.directory, 'operations')
  }

  /** Goes on with what an earlier run has left there. */
  resume(): void {
    if (existsSync(join(this.#directory, 'control'))) this.#open()
  }

  /** Resolves to whether the fact is sealed and durable; when it is not, whoever asks owes it and asks again. */
  async seal(fact: DeliveryFact): Promise<boolean> {
    return (await this.#open()?.sealFact(fact)) ?? false
  }

  /** Records an event about this process. */
  emit(event: AuditEvent): void {
    this.#open()?.emit(event)
  }

  /** Resolves when every destination has what was sealed here, or when the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    if (!signal.aborted) await Promise.race([this.#audit?.flush(), aborted])
  }

  async close(): Promise<void> {
    await this.#audit?.close()
  }

  #open(): Audit | undefined {
    try {
      this.#audit ??= createAudit(this.#options())
      return this.#audit
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      const text = `the operations stream ${this.#directory} cannot be opened: ${errorText(error)}; ${error.hint}`
      if (this.#said !== text) this.#parts.say(text)
      this.#said = text
      return undefined
    }
  }

  #options() {
    const { config, deployment } = this.#parts
    return {
      service: config.service,
      deployment: deployment() ?? config.deployment,
      spool: { directory: this.#directory },
      policy: { level: 'all' },
      keys: keysOf(config),
      destinations: config.destinations.map(destinationOfOperations),
      closeTimeoutMs: config.closeTimeoutMs,
      workerUrl: config.workerUrl,
    } as const
  }
}

/** The key of the trail, unless that lies in its spool: then the operations stream makes its own. */
function keysOf({ isKeyDefault, signingKey, signingKeyFile, rotationsFile }: AuditConfig): AuditOptions['keys'] {
  if (isKeyDefault) return {}
  return signingKey === undefined ? { signingKeyFile, rotationsFile } : { signingKey, rotationsFile }
}

/** One lane writes a file: the operations stream has one of its own, `audit.operations.ndjson` beside `audit.ndjson`. */
export function destinationOfOperations(options: DestinationOptions): DestinationOptions {
  if (options.type !== 'file') return options
  if (options.path.includes(slotMark)) return { ...options, path: options.path.replaceAll(slotMark, 'operations') }
  const { dir, name, ext } = parse(options.path)
  return { ...options, path: join(dir, `${name}.operations${ext}`) }
}
