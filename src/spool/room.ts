/** The room a spool has, on the sync thread: whether its disk is short, its ballast, and when it fills up. */

import { errorCode } from '../errors.ts'
import { spoolFillingShare } from '../limits.ts'
import { makeBallast, releaseBallast } from './ballast.ts'
import type { Files } from './files.ts'
import type { Handover } from './handover.ts'
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
    if (reserveBytes > 0) this.#handover.setShort(this.#freeBytes() < reserveBytes)
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

  /** Where the disk cannot say, nothing is known to be short: a write will tell. */
  #freeBytes(): number {
    try {
      return this.#files.freeBytes(this.#directory.path)
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      return Number.POSITIVE_INFINITY
    }
  }
}
