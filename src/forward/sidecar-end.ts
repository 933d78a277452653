/**
 * How far a spool of another process is durable, as its control file tells: read again when it is asked for and the last
 * reading has had its time. Always holds: it is never ahead of what is durable, because the writer publishes what it
 * has synced, and where the published position cannot be read the older watermark counts.
 */

import { monotonicMs } from '../clock.ts'
import { durableEnd, readPresentControl } from '../spool/control.ts'
import type { Files } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'

/** How old a reading may be: while the end moves, and when it has stood still for a while. A reading takes 0.1 ms. */
const ageMs = { moving: 10, still: 50 }
/** An end that has not moved for so long stands still. */
const stillAfterMs = 1_000

export class PublishedEnd {
  readonly #files: Files
  readonly #directory: string
  #end: SpoolEnd | undefined
  #readAtMs = Number.NEGATIVE_INFINITY
  #movedAtMs = Number.NEGATIVE_INFINITY

  constructor(files: Files, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  /** Throws `SOURCE_UNREADABLE`, `SPOOL_CORRUPT` or `SPOOL_VERSION` where control cannot be read. */
  read(): SpoolEnd {
    const nowMs = monotonicMs()
    const mayBeMs = nowMs - this.#movedAtMs < stillAfterMs ? ageMs.moving : ageMs.still
    if (this.#end !== undefined && nowMs - this.#readAtMs < mayBeMs) return this.#end
    const end = durableEnd(readPresentControl(this.#files, this.#directory))
    if (end.nextSequence !== this.#end?.nextSequence || end.segment !== this.#end.segment) this.#movedAtMs = nowMs
    this.#readAtMs = nowMs
    this.#end = end
    return end
  }

  /** The next reading is of now. */
  expire(): void {
    this.#readAtMs = Number.NEGATIVE_INFINITY
  }
}
