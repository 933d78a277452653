/**
 * The segments a spool still holds, on the sync thread: gives back those that every destination has, and keeps count
 * of the bytes. Always holds: a control that no longer needs a segment is durable before the segment is unlinked.
 */

import { nowMs } from '../clock.ts'
import { errorCode } from '../errors.ts'
import { recordBytesMax, segmentBytesMax } from '../limits.ts'
import type { Files } from './files.ts'
import { segmentName } from './format.ts'
import type { Handover } from './handover.ts'
import { countReclaimable, type RetainedSegment, retainedSegments } from './reclaim.ts'
import { Room, type RoomLimits } from './room.ts'
import { Scrubber } from './scrub.ts'
import { fileBytes, type OpenDirectory, openDirectory, type PathSegment, unlinkSegments } from './segment.ts'

export interface RetentionStart extends RoomLimits {
  readonly segmentBytesMax?: number | undefined
  readonly keepMs?: number | undefined
}

export class Retention {
  readonly room: Room
  /** Reads what is held again, but for the segment that is being written. */
  readonly scrubber: Scrubber
  readonly #files: Files
  /** Its own: a sync that fails here is forgiven, and must not be forgiven to whoever has made a name meanwhile. */
  readonly #directory: OpenDirectory
  readonly #handover: Handover
  readonly #keepMs: number
  readonly #bytesMax: number
  #retained: RetainedSegment[]
  /** Segments that nothing needs any more and that are still there. */
  #void: number[] = []

  constructor(
    files: Files,
    place: { directory: string; handover: Handover; path: readonly PathSegment[]; scrubFiles: Files },
    start: RetentionStart,
  ) {
    this.#files = files
    this.#directory = openDirectory(files, place.directory)
    this.#handover = place.handover
    this.#keepMs = start.keepMs ?? 0
    this.#bytesMax = start.bytesMax ?? Number.POSITIVE_INFINITY
    this.#retained = retainedSegments(files, place.directory, place.path)
    this.room = new Room(files, { ...place, directory: this.#directory }, start)
    this.scrubber = new Scrubber(place.scrubFiles, place.directory, {
      range: () => ({ first: this.#retained[0]?.segment ?? 0, last: this.#retained.at(-1)?.segment ?? 0 }),
      segmentBytesMax: start.segmentBytesMax ?? segmentBytesMax,
    })
    this.#tellUsed()
  }

  /** The writer is in this segment now; what it left counts with its whole length. */
  enter(segment: Omit<RetainedSegment, 'bytes'>): void {
    const left = this.#retained.at(-1)
    if (left !== undefined) {
      const bytes = fileBytes(this.#files, this.#directory.path, left.segment)
      this.#retained[this.#retained.length - 1] = { ...left, bytes }
    }
    this.#retained.push({ ...segment, bytes: 0 })
    this.#tellUsed()
  }

  /** These are superseded by what is durable: they go now, or later where the disk refuses. */
  discard(segments: readonly number[]): void {
    this.#void.push(...segments)
    this.#removeVoid()
  }

  /** More than the segment being written is there, so that something may become reclaimable. */
  get isWorthLooking(): boolean {
    return this.#retained.length > 1 || this.#void.length > 0
  }

  /** Whether events fit again while the writer is at this offset: some at least, so that the state does not flicker. */
  hasRoomAt(offset: number): boolean {
    const wanted = Math.min(recordBytesMax, this.#bytesMax / 16)
    return this.#usedBytes() + offset + wanted <= this.#bytesMax && !this.#handover.isShort
  }

  /** All bytes, for the warning level. */
  bytesAt(offset: number): number {
    return this.#usedBytes() + offset
  }

  /**
   * Gives back what may go; whether anything did. `save` makes a control durable that begins with the named segment, or
   * says that it could not. While records wait for room nothing is kept for its time: a delivered copy is worth less.
   */
  reclaim(destinations: readonly string[], save: (firstSegment: number) => boolean): boolean {
    const keepMs = this.#handover.isWanting || this.#handover.state === 'full' ? 0 : this.#keepMs
    const rules = { destinations, keepMs, nowMs: nowMs() }
    const count = countReclaimable(this.#files, this.#directory.path, { retained: this.#retained, rules })
    const first = this.#retained[count]
    if (count > 0 && first !== undefined && save(first.segment)) {
      this.#void.push(...this.#retained.splice(0, count).map((one) => one.segment))
    }
    this.#removeVoid()
    this.#tellUsed()
    return count > 0
  }

  close(): void {
    this.scrubber.close()
    this.#files.close(this.#directory.file)
  }

  #removeVoid(): void {
    try {
      unlinkSegments(this.#files, this.#directory, this.#void)
      this.#void = []
    } catch (error) {
      if (errorCode(error) === undefined) throw error // a disk that refuses: they are in nobody's way, try again later
      const present = new Set(this.#files.list(this.#directory.path))
      this.#void = this.#void.filter((segment) => present.has(segmentName(segment)))
    }
  }

  #usedBytes(): number {
    return this.#retained.slice(0, -1).reduce((sum, one) => sum + one.bytes, 0)
  }

  #tellUsed(): void {
    this.#handover.setUsedBytes(this.#usedBytes(), this.#retained.at(-1)?.segment ?? 0)
  }
}
