/** The room a spool has, in general on the sync thread: whether its disk is short, its ballast, and when it fills up. */

import { errorCode } from '../errors.ts'
import { spoolFillingShare } from '../limits.ts'
import { makeBallast, releaseBallast } from './ballast.ts'
import type { Files } from './files.ts'
import type { Handover } from './handover.ts'
import { heldBytes } from './reclaim.ts'
import type { OpenDirectory } from './segment.ts'

export interface RoomLimits {
  /** Most bytes of all segments together; default unlimited. */
  readonly bytesMax?: number | undefined
  /** Free bytes of the disk below which events are refused; default none. */
  readonly reserveBytes?: number | undefined
  /** Size of the ballast; default none. */
  readonly ballastBytes?: number | undefined
}

export class Room {
  readonly #files: Files
  readonly #directory: OpenDirectory
  readonly #handover: Handover
  readonly #limits: RoomLimits
  #hasBallast: boolean
  #hasWarned = false

  constructor(files: Files, place: { directory: OpenDirectory; handover: Handover }, limits: RoomLimits) {
    this.#files = files
    this.#directory = place.directory
    this.#handover = place.handover
    this.#limits = limits
    this.#hasBallast = files.list(place.directory.path).includes('ballast')
  }

  /** Looks at the disk: whether less than the reserve is free; makes the ballast again where there is room for it. */
  check(): void {
    const { reserveBytes = 0, ballastBytes = 0 } = this.#limits
    if (reserveBytes > 0) this.#handover.setShort(hasLessFree(this.#files, this.#directory.path, reserveBytes))
    if (this.needsBallast && !this.#handover.isShort) {
      this.#hasBallast = makeBallast(this.#files, this.#directory.path, ballastBytes)
    }
  }

  /** Gives the ballast up, once; false when there is none. */
  releaseBallast(): boolean {
    if (!this.#hasBallast) return false
    this.#hasBallast = false
    return releaseBallast(this.#files, this.#directory.path)
  }

  get needsBallast(): boolean {
    return !this.#hasBallast && (this.#limits.ballastBytes ?? 0) > 0
  }

  /** Whether the spool has passed the warning level since it was last below it; true once each time. */
  hasPassedWarning(bytes: number): boolean {
    const isAbove = bytes >= spoolFillingShare * (this.#limits.bytesMax ?? Number.POSITIVE_INFINITY)
    const isNews = isAbove && !this.#hasWarned
    this.#hasWarned = isAbove
    return isNews
  }
}

/** Tells the room there is at the opening, until the sync thread, which takes its time to start, tells it. */
export function tellRoom(files: Files, handover: Handover, { directory, ...start }: RoomAtOpening): void {
  const { superseded = [], reserveBytes = 0 } = start
  const { segment } = start.segment
  handover.setUsedBytes(heldBytes(files, { directory, segment, superseded }), segment)
  if (reserveBytes > 0) handover.setShort(hasLessFree(files, directory, reserveBytes))
}

export interface RoomAtOpening {
  readonly directory: string
  /** The segment that is being written. */
  readonly segment: { readonly segment: number }
  readonly superseded?: readonly number[] | undefined
  readonly reserveBytes?: number | undefined
}

/** Whether fewer bytes of the disk are free. Where it cannot say, nothing is known to be short: a write will tell. */
export function hasLessFree(files: Files, directory: string, bytes: number): boolean {
  try {
    return files.freeBytes(directory) < bytes
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return false
  }
}
