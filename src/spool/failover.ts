/**
 * After a failed write or sync, on the sync thread: nothing above the durable position counts any more where it
 * stands, because a failed sync leaves pages that look clean and were never written. One attempt makes a rescue
 * segment that names the durable position as the end of what was before, has the application thread fill it with
 * everything that is not durable, then syncs it and its name. An attempt that fails is given up whole; the old segment
 * is never synced again for credit, and what is void is unlinked only after what supersedes it is credited.
 */

import { monotonicMs } from '../clock.ts'
import { errorCode, errorText } from '../errors.ts'
import type { DurableEnd, HeldSegment } from './durable-end.ts'
import type { Files } from './files.ts'
import { segmentHeaderBytes } from './format.ts'
import type { Handover, Spare } from './handover.ts'
import type { Positions } from './positions.ts'
import { type CreatedSegment, createSegment, discardSegment, type OpenDirectory } from './segment.ts'
import { isNoSpace, type SpoolState } from './state.ts'

/** Failures in a row after which the disk counts as failed. */
const failuresMax = 3
const retryMs = { first: 10, most: 1_000 }

export interface FailoverParts {
  readonly directory: OpenDirectory
  readonly positions: Positions
  readonly handover: Handover
  readonly durable: DurableEnd
  readonly nextSegment: () => number
  readonly offered: () => void
  /** Makes room on a full disk, once; whether it could. */
  readonly makeRoom: () => boolean
}

interface RescueSegment extends HeldSegment {
  readonly crc: number
  readonly stream: string
}

/** What a successful failover leaves to its caller. */
export interface Rescued {
  readonly segment: HeldSegment
  readonly stream: string
  readonly void: readonly number[]
}

export class Failover {
  readonly #files: Files
  readonly #parts: FailoverParts
  #failures = 0
  #pauses = 0
  #retryAtMs = 0
  #rescue: RescueSegment | undefined
  /** Descriptors that the application thread may still write to; closed at the end. */
  readonly #heldFiles: number[] = []
  /** Segments that the credited rescue will supersede. */
  readonly #void: number[] = []
  state: Exclude<SpoolState, 'ok'> = 'failing'
  reason = ''

  constructor(files: Files, parts: FailoverParts, { error, spare }: { error: unknown; spare: Spare | undefined }) {
    this.#files = files
    this.#parts = parts
    if (spare !== undefined) {
      this.#void.push(spare.segment)
      this.#heldFiles.push(spare.file)
    }
    this.#note(error)
  }

  /** Nothing to do until the application thread, or the clock, moves. */
  get isWaiting(): boolean {
    return this.#rescue === undefined ? monotonicMs() < this.#retryAtMs : this.#fate(this.#rescue) === 'waiting'
  }

  /** When the next attempt is due, on the monotonic clock. */
  get retryAtMs(): number {
    return this.#rescue === undefined ? this.#retryAtMs : Number.POSITIVE_INFINITY
  }

  /** There may be room now: no need to wait for the next attempt. */
  retryNow(): void {
    this.#retryAtMs = 0
  }

  /** Goes on, in the stream that is being written now; what was rescued, once everything written is durable again. */
  step(stream: string, previousHash: string | undefined): Rescued | undefined {
    if (this.#rescue === undefined) {
      if (monotonicMs() >= this.#retryAtMs) this.#offer(stream, previousHash)
      return undefined
    }
    const fate = this.#fate(this.#rescue)
    if (fate instanceof Error) this.#giveUp(this.#rescue, fate)
    return fate === 'filled' ? this.#credit(this.#rescue) : undefined
  }

  /** Ends without a rescue: the next start recovers. */
  close(): void {
    if (this.#rescue !== undefined && this.#parts.handover.withdrawRescue()) {
      discardSegment(this.#files, this.#parts.directory.path, this.#rescue.segment)
    }
  }

  #offer(stream: string, previousHash: string | undefined): void {
    const { directory, handover, durable, nextSegment, offered } = this.#parts
    const segment = nextSegment()
    const { offset: previousLength, nextSequence: base } = durable.end
    const own = durable.header(segment, stream)
    const header = {
      ...own,
      kind: 'explicit',
      base,
      previousLength,
      publishedLength: segmentHeaderBytes,
      previousHash,
    } as const
    try {
      const complete = (created: CreatedSegment) => durable.writeFrontier(created.file, created.crc)
      const { file, crc } = createSegment(this.#files, directory.path, { header, complete })
      this.#rescue = { segment, file, salt: header.salt, crc, stream }
      handover.offerRescue({ ...this.#rescue, nextSequence: base })
      offered()
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      discardSegment(this.#files, directory.path, segment)
      this.#note(error)
    }
  }

  /** What became of the rescue on the application thread's side. */
  #fate({ segment }: RescueSegment): 'waiting' | 'filled' | Error {
    const { handover, positions } = this.#parts
    const declined = handover.declined(segment)
    if (declined !== undefined) return refusedBy(declined === 'space', 'the new segment could not be filled')
    if (positions.written().segment !== segment) return 'waiting'
    const refused = handover.refused()
    // What a full disk has accepted counts once it is synced; the next failover begins behind it.
    if (refused.segment !== segment || refused.forSpace) return 'filled'
    return refusedBy(false, 'the new segment refused a write')
  }

  #credit(rescue: RescueSegment): Rescued | undefined {
    const { positions, directory, durable } = this.#parts
    try {
      const end = positions.sampleEnd()
      this.#files.sync(rescue.file)
      this.#files.syncDirectory(directory.file)
      this.#heldFiles.push(durable.segment.file)
      durable.enter(rescue, rescue.crc)
      durable.credit(end)
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      this.#giveUp(rescue, error)
      return undefined
    }
    for (const file of this.#heldFiles) this.#files.close(file)
    return { segment: rescue, stream: rescue.stream, void: this.#void }
  }

  #giveUp(rescue: RescueSegment, error: unknown): void {
    this.#rescue = undefined
    if (this.#parts.positions.written().segment === rescue.segment) {
      this.#void.push(rescue.segment)
      this.#heldFiles.push(rescue.file) // the application thread goes on there until the next one
    } else {
      this.#files.close(rescue.file)
      discardSegment(this.#files, this.#parts.directory.path, rescue.segment)
    }
    this.#note(error)
  }

  #note(error: unknown): void {
    const forSpace = isNoSpace(error)
    if (!forSpace) this.#failures += 1
    const isBroken = this.#failures >= failuresMax || errorCode(error) === 'EROFS'
    this.state = forSpace ? 'full' : isBroken ? 'failed' : 'failing'
    this.reason = errorText(error)
    const pauseMs = Math.min(retryMs.most, retryMs.first * 2 ** this.#pauses)
    this.#retryAtMs = this.#pauses === 0 ? 0 : monotonicMs() + pauseMs // the first attempt comes at once
    this.#pauses += 1
    if (forSpace && this.#parts.makeRoom()) this.#retryAtMs = 0
  }
}

/** What the application thread met, as the system error it stands for. */
export function refusedBy(forSpace: boolean, message: string): Error {
  return Object.assign(new Error(message), { code: forSpace ? 'ENOSPC' : 'EIO' })
}
