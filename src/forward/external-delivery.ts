/**
 * `delivery: 'external'`, seen from the application: no thread of its own, only looks at what the sidecar leaves in the
 * spool directory. Tells the states of the destinations each second, and once a stream that a destination holds other
 * records of than we do: then a new one must begin here, where the records are sealed.
 */

import type { DestinationOptions } from '../destination/destination.ts'
import { AuditError, errorCode } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { isForked } from '../spool/set-aside.ts'
import type { AheadRecord } from './ahead.ts'
import { ExternalView } from './external.ts'
import type { FlushOnly, FlushOutcome } from './flushes.ts'
import { nameOf } from './lane.ts'
import { type OwnSpool, OwnStream } from './own-stream.ts'
import { readHeld } from './quarantine-folder.ts'
import type { ForwarderState } from './standing.ts'

const lookMs = 1_000

/** What it tells: as the delivery thread does. */
export type ExternalMessage =
  | { readonly kind: 'states'; readonly states: readonly ForwarderState[] }
  | { readonly kind: 'ahead'; readonly name: string; readonly found: AheadRecord }

export class ExternalDelivery {
  readonly #spool: OwnSpool
  readonly #view: ExternalView
  readonly #own: OwnStream
  readonly #tell: (message: ExternalMessage) => void
  readonly #stopping = new AbortController()
  readonly #timer: NodeJS.Timeout
  #forkedIn: string | undefined

  constructor(spool: OwnSpool, destinations: readonly DestinationOptions[], tell: (message: ExternalMessage) => void) {
    this.#spool = spool
    this.#view = new ExternalView(diskFiles, spool, destinations.map(nameOf))
    this.#own = new OwnStream(diskFiles, spool)
    this.#tell = tell
    this.#timer = setInterval(() => this.#look(), lookMs)
    this.#timer.unref()
  }

  /** Resolves when the sidecar has delivered what is meant; `stopped` when `stop` is called first. */
  async flush(only?: FlushOnly): Promise<FlushOutcome> {
    const outcome = await this.#view.flush(only, this.#stopping.signal)
    if (!this.#stopping.signal.aborted) this.#look()
    return outcome
  }

  /** Stops looking; the sidecar goes on. */
  async stop(): Promise<void> {
    this.abandon()
  }

  abandon(): void {
    clearInterval(this.#timer)
    this.#stopping.abort()
  }

  #look(): void {
    this.#tell({ kind: 'states', states: this.#view.states() })
    const own = this.#own.end()
    if (own === undefined || own.stream === this.#forkedIn) return
    const held = this.#heldOf(own.stream)
    if (held === undefined) return
    this.#forkedIn = own.stream
    const { name, sequence, hash } = held
    this.#tell({ kind: 'ahead', name, found: { stream: own.stream, sequence, hash, own: own.sequence } })
  }

  /** What a destination holds of this stream, where the sidecar has set records of it aside. */
  #heldOf(stream: string): { name: string; sequence: number; hash: string | undefined } | undefined {
    const { directory } = this.#spool
    try {
      if (!isForked(diskFiles, directory, stream)) return undefined
      const { destination, seq, hash } = readHeld(diskFiles, directory, stream) ?? {}
      const held = { sequence: typeof seq === 'number' ? seq : 0, hash: typeof hash === 'string' ? hash : undefined }
      return { name: typeof destination === 'string' ? destination : 'one', ...held }
    } catch (error) {
      if (error instanceof AuditError || errorCode(error) !== undefined) return undefined // the next look may tell
      throw error
    }
  }
}
