/**
 * The room a spool has, on the sync thread: bytes of its segments, free bytes of the disk, and the ballast, a file that
 * is given up once when the disk is full, so that what is not durable, and the fact that it is full, still fit.
 */

import { errorCode } from '../errors.ts'
import type { Files } from './files.ts'
import type { Handover } from './handover.ts'
import { ballastPath } from './refusals.ts'
import type { OpenDirectory } from './segment.ts'

/** From here on the spool says that it is filling up. */
const warningLevel = 0.7

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
  #hasBallast = false
  #hasWarned = false

  constructor(files: Files, place: { directory: OpenDirectory; handover: Handover }, limits: RoomLimits) {
    this.#files = files
    this.#directory = place.directory
    this.#handover = place.handover
    this.#limits = limits
  }

  /** Looks at the disk: whether less than the reserve is free; makes the ballast again where there is room for it. */
  check(): void {
    const { reserveBytes = 0 } = this.#limits
    if (reserveBytes === 0 && this.#hasBallast) return
    const free = this.#freeBytes()
    this.#handover.setShort(free < reserveBytes)
    if (!this.#hasBallast) this.#makeBallast(free - reserveBytes)
  }

  /** Gives the ballast up; false when there is none. */
  releaseBallast(): boolean {
    if (!this.#hasBallast) return false
    this.#hasBallast = false
    removeFile(this.#files, ballastPath(this.#directory.path))
    return true
  }

  get needsBallast(): boolean {
    return !this.#hasBallast && (this.#limits.ballastBytes ?? 0) > 0
  }

  /** Whether the spool has passed the warning level since it was last below it; true once each time. */
  hasPassedWarning(bytes: number): boolean {
    const isAbove = bytes >= warningLevel * (this.#limits.bytesMax ?? Number.POSITIVE_INFINITY)
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

  /** Without room for it the spool runs without; the next check tries again. */
  #makeBallast(spareBytes: number): void {
    const { ballastBytes = 0 } = this.#limits
    if (ballastBytes === 0 || spareBytes < 2 * ballastBytes) return
    const path = ballastPath(this.#directory.path)
    try {
      const present = this.#files.list(this.#directory.path).includes('ballast')
      const file = this.#files.open(path, present ? 'write' : 'create')
      try {
        if (this.#files.size(file) < ballastBytes) this.#files.write(file, Buffer.alloc(ballastBytes), 0)
        this.#files.sync(file)
        this.#hasBallast = true
      } finally {
        this.#files.close(file)
      }
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      removeFile(this.#files, path) // half a ballast only takes room
    }
  }
}

/** Where the disk refuses even this, the file stays and the next start finds it. */
function removeFile(files: Files, path: string): void {
  try {
    files.unlink(path)
  } catch (error) {
    if (errorCode(error) === undefined) throw error
  }
}
