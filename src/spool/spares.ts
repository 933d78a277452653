/**
 * The segment made ahead of the roll, on the sync thread. Always holds: it is offered only when its header is synced
 * and its name durable, and none is made while the name of its predecessor is not.
 */

import { randomUUID } from 'node:crypto'
import { monotonicMs } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { DurableEnd } from './durable-end.ts'
import type { Files } from './files.ts'
import type { Handover, Spare } from './handover.ts'
import { createSegment, discardSegment, nameSegment, type OpenDirectory } from './segment.ts'

const retryMs = 1_000

export interface SparesParts {
  readonly directory: OpenDirectory
  readonly handover: Handover
  readonly durable: DurableEnd
  /** Numbers of segments, each given once. */
  readonly nextSegment: () => number
}

export class Spares {
  readonly #files: Files
  readonly #parts: SparesParts
  #spare: Spare | undefined
  #dueAtMs = 0

  constructor(files: Files, parts: SparesParts) {
    this.#files = files
    this.#parts = parts
  }

  /** Makes one when it is time, or when another stream is wanted. */
  prepare(stream: string, isHalfFull: boolean): void {
    if (this.#parts.handover.isStreamWanted) this.#prepareStream()
    else if (this.#spare === undefined && isHalfFull && monotonicMs() >= this.#dueAtMs)
      this.#make({ stream, isNew: false })
  }

  /** Another stream was asked for and none is made yet. */
  get isWanted(): boolean {
    return this.#parts.handover.isStreamWanted && monotonicMs() >= this.#dueAtMs
  }

  #prepareStream(): void {
    if (monotonicMs() < this.#dueAtMs) return
    const { handover } = this.#parts
    if (this.#spare !== undefined && !handover.withdrawSpare()) return // taken: the next round enters it
    if (this.#spare !== undefined) {
      this.#files.close(this.#spare.file)
      discardSegment(this.#files, this.#parts.directory.path, this.#spare.segment)
      this.#spare = undefined
    }
    this.#make({ stream: randomUUID(), isNew: true })
  }

  #make({ stream, isNew }: { stream: string; isNew: boolean }): void {
    const { directory, handover, durable, nextSegment } = this.#parts
    const segment = nextSegment()
    const header = durable.header(segment, stream)
    try {
      const { file } = createSegment(this.#files, directory.path, { header: { ...header, kind: 'planned' } })
      nameSegment(this.#files, directory, segment)
      this.#spare = { segment, file, salt: header.salt, stream: isNew ? stream : undefined }
      handover.offerSpare(this.#spare)
      if (isNew) handover.streamGiven()
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      discardSegment(this.#files, directory.path, segment) // its name may not be durable: never to be used
      this.#dueAtMs = monotonicMs() + retryMs
    }
  }

  /** The spare with this number, which the application thread has taken. */
  taken(segment: number): Spare {
    if (this.#spare?.segment === segment) return this.#spare
    throw new Error(`written end in segment ${segment}, which was never offered`)
  }

  /** It is a segment like any other now. */
  entered(): void {
    this.#spare = undefined
  }

  /** Gives the spare up after a failure: the rescue comes in its place. Says whether it had been taken. */
  giveUp(): { readonly spare: Spare; readonly isTaken: boolean } | undefined {
    const spare = this.#spare
    if (spare === undefined) return undefined
    const isTaken = !this.#parts.handover.withdrawSpare()
    this.#spare = undefined
    if (spare.stream !== undefined && !isTaken) this.#parts.handover.wantStream(this.#parts.handover.streamReason)
    return { spare, isTaken }
  }

  close(): void {
    if (this.#spare !== undefined && this.#parts.handover.withdrawSpare()) this.#files.close(this.#spare.file)
  }
}
