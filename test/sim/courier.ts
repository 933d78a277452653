/**
 * A forwarder taken apart into the turns between which anything may happen: read, send, confirm, settle. It runs in
 * the spool's process behind the shared positions, or in a sidecar process behind the published slot of control.
 */

import type { StoredRecord } from '../../src/event/record.ts'
import { SpoolSource } from '../../src/forward/spool-source.ts'
import { durableEnd, readPresentControl } from '../../src/spool/control.ts'
import type { Files } from '../../src/spool/files.ts'
import type { SpoolEnd } from '../../src/spool/positions.ts'
import { DiskError, simDirectory } from './process.ts'
import type { Random } from './random.ts'
import type { Ledger, SimDestination } from './trail.ts'

export interface CourierContext {
  readonly random: Random
  readonly files: Files
  readonly destination: SimDestination
  readonly ledger: Ledger
  readonly durable: () => SpoolEnd
}

export class Courier {
  readonly destination: SimDestination
  readonly #context: CourierContext
  #source: SpoolSource | undefined
  #inHand: readonly StoredRecord[] = []
  #isReceived = false

  constructor(context: CourierContext) {
    this.#context = context
    this.destination = context.destination
  }

  /** One step. An error of the disk costs it its source; it opens another in a later turn. */
  turn(): void {
    try {
      this.#step()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#reset()
    }
  }

  /** Delivers all that is durable; on a disk without faults. */
  drain(): void {
    for (this.turn(); this.#inHand.length > 0; this.turn()) {
      this.turn() // sends
      this.turn() // confirms
    }
    this.#source?.settle()
    this.close()
  }

  close(): void {
    this.#source?.close()
    this.#reset()
  }

  #step(): void {
    const { random } = this.#context
    this.#source ??= this.#open()
    const last = this.#inHand.at(-1)
    if (last === undefined) {
      this.#inHand = this.#source.next({ records: 1 + random.below(12), bytes: 20_000 })
    } else if (!this.#isReceived) {
      for (const record of this.#inHand) this.#deliver(record)
      this.#isReceived = true
    } else {
      this.#inHand = []
      this.#isReceived = false
      this.#source.confirm(last)
    }
    if (random.chance(0.1)) this.#source.settle()
  }

  #deliver({ stream, sequence, bytes }: StoredRecord): void {
    const record = { stream, sequence, text: bytes.toString(), attachment: '' }
    this.#context.ledger.note(record)
    this.destination.receive(record)
  }

  #open(): SpoolSource {
    const { files, destination, durable } = this.#context
    const options = { files, directory: simDirectory, name: destination.name, stream: '', durable }
    return new SpoolSource(options)
  }

  #reset(): void {
    this.#source = undefined
    this.#inHand = []
    this.#isReceived = false
  }
}

/** The durable end as another process sees it. */
export function publishedEnd(files: Files): SpoolEnd {
  return durableEnd(readPresentControl(files, simDirectory))
}
