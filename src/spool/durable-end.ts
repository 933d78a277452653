/**
 * Where the durable part of the spool ends, on the sync thread: the segment being synced, the tree of what was read
 * back from it, and control, which recovery and other processes read. Always holds: the position is told only after
 * the bytes before it, and the name of the file that holds them, were synced; it never goes back.
 */

import { randomBytes } from 'node:crypto'
import { monotonicMs, nowMs } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { Checkpointer } from './checkpointer.ts'
import { ControlFile, type ControlState } from './control.ts'
import type { Files } from './files.ts'
import { segmentHeaderBytes } from './format.ts'
import type { Handover } from './handover.ts'
import type { Positions, SpoolEnd } from './positions.ts'
import { FrameReader } from './segment.ts'
import { encodeSegmentFrontier, type SegmentFrontier, type SegmentHeader } from './segment-header.ts'
import type { SyncerStart, SyncMessage } from './sync-message.ts'

/** How often the watermark follows the durable position, in milliseconds: what recovery has to read at most. */
const watermarkMs = 1_000

/** A segment that the sync thread holds open. */
export interface HeldSegment {
  readonly segment: number
  readonly file: number
  readonly salt: number
}

export interface DurableParts {
  readonly positions: Positions
  readonly handover: Handover
  readonly checkpointer: Checkpointer
  readonly post: (message: SyncMessage) => void
}

export class DurableEnd {
  readonly #files: Files
  readonly #parts: DurableParts
  readonly #control: ControlFile
  readonly #factCount: number
  readonly #startSize: number
  #state: ControlState
  #segment: HeldSegment
  #reader: FrameReader
  #end: SpoolEnd
  #savedAt: SpoolEnd
  /** In a new stream, and still in the segment of the one before. */
  #isBetweenStreams = false
  #saveDueAtMs = Number.POSITIVE_INFINITY

  constructor(files: Files, start: SyncerStart, parts: DurableParts) {
    this.#files = files
    this.#parts = parts
    this.#control = new ControlFile(files, start.directory)
    this.#state = start.state
    this.#factCount = start.state.facts?.length ?? 0
    this.#startSize = parts.checkpointer.size
    this.#segment = start.segment
    this.#reader = new FrameReader(files, start.segment, start.state.watermark)
    this.#end = { ...start.state.watermark }
    this.#savedAt = this.#end
  }

  get end(): SpoolEnd {
    return this.#end
  }

  get segment(): HeldSegment {
    return this.#segment
  }

  get destinations(): readonly string[] {
    return this.#state.destinations ?? []
  }

  /** CRC of the last frame read back: what the first frame of a planned successor links to. */
  get frameCrc(): number {
    return this.#reader.place.frameCrc
  }

  /** When the watermark is due, on the monotonic clock. */
  get saveDueAtMs(): number {
    return this.#saveDueAtMs
  }

  /** Everything before `end` is durable: the one place that says so. */
  credit(end: SpoolEnd): void {
    const { positions, handover, checkpointer, post } = this.#parts
    this.#end = end
    this.publish() // first: a process that ends because everything is durable leaves that said
    positions.publishDurable(end)
    handover.announce()
    if (positions.waiting) post({ kind: 'durable', stream: checkpointer.stream, nextSequence: end.nextSequence })
    this.#saveDueAtMs = Math.min(this.#saveDueAtMs, monotonicMs() + watermarkMs)
  }

  /** The whole segment is synced and nothing is written there any more: reads it to its end, and credits that. */
  creditWhole(): void {
    this.#hashUpTo(Number.MAX_SAFE_INTEGER)
    const { offset } = this.#reader.place
    this.credit({ segment: this.#segment.segment, offset, nextSequence: this.#parts.checkpointer.size + 1 })
  }

  /** Reads back and hashes what became durable. Throws when it is not what was written. */
  readBack(): void {
    this.#hashUpTo(this.#end.segment === this.#segment.segment ? this.#end.offset : 0)
    const { size } = this.#parts.checkpointer
    if (size + 1 === this.#end.nextSequence) return
    throw new Error(`durable to sequence ${this.#end.nextSequence - 1}, but read back only ${size}`)
  }

  #hashUpTo(limit: number): void {
    for (let frame = this.#reader.next(limit); frame !== undefined; frame = this.#reader.next(limit)) {
      this.#parts.checkpointer.count(frame)
    }
  }

  /** Goes on in this segment, whose first frame links to `frameCrc`. */
  enter(segment: HeldSegment, frameCrc: number): void {
    this.#segment = segment
    this.#isBetweenStreams = false
    this.#reader = new FrameReader(this.#files, segment, { offset: segmentHeaderBytes, frameNumber: 0, frameCrc })
  }

  /** The application thread is in another stream, and everything before it is durable. */
  beginStream(stream: string): void {
    const { checkpointer, positions, handover } = this.#parts
    const { stream: before, size: sequence, lastHash: hash } = checkpointer
    // A stream without records was never seen by anyone: what it follows is still to be said.
    const ended = { stream: before, sequence, hash, reason: handover.streamReason }
    const predecessor = sequence === 0 ? this.#state.predecessor : ended
    this.#state = { ...this.#state, stream, predecessor }
    checkpointer.begin(stream)
    this.#isBetweenStreams = true
    this.#end = { ...this.#end, nextSequence: 1 }
    positions.publishDurable(this.#end)
  }

  /** Header of a new segment behind the durable end, but for what only an explicit one says. */
  header(segment: number, stream: string): Omit<SegmentHeader, 'kind'> {
    const { spoolId, epoch } = this.#state
    const salt = randomBytes(4).readUInt32LE()
    const own = { spoolId, stream, segment, salt, epoch, previous: this.#end.segment, createdMs: nowMs() }
    return { ...own, base: 0, previousLength: 0, publishedLength: 0, previousHash: undefined }
  }

  /** The second header block of the segment that begins here; before anything in it is credited. */
  writeFrontier(file: number, frameCrc: number): void {
    const { size, lastHash, hashes } = this.#parts.checkpointer
    writeFrontier(this.#files, file, { base: size + 1, previousHash: lastHash, hashes, frameCrc, writtenMs: nowMs() })
  }

  /** Saves the watermark; false when the disk refused: then the same slot is written again later. */
  save({
    clean = false,
    firstSegment = this.#state.firstSegment,
  }: {
    clean?: boolean
    firstSegment?: number
  }): boolean {
    this.#saveDueAtMs = Number.POSITIVE_INFINITY
    if (this.#isBetweenStreams) return false // the watermark would lie in one stream and count in another
    const { lastHash: hash, lastRecorded: recorded } = this.#parts.checkpointer
    const place = { ...this.#reader.place, segment: this.#segment.segment, nextSequence: this.#end.nextSequence }
    const state = { ...this.#state, watermark: { ...place, hash, recorded }, clean, firstSegment, facts: this.#facts() }
    try {
      this.#control.save(state)
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      this.#saveDueAtMs = monotonicMs() + watermarkMs
      return false
    }
    this.#state = state
    this.#savedAt = this.#end
    return true
  }

  saveWhenDue(): void {
    if (monotonicMs() < this.#saveDueAtMs) return
    if (this.isSaved) this.#saveDueAtMs = Number.POSITIVE_INFINITY
    else this.save({})
  }

  get isSaved(): boolean {
    return this.#savedAt.nextSequence === this.#end.nextSequence && this.#savedAt.segment === this.#end.segment
  }

  /** Facts stand in control until the records that seal them, right behind `opened`, are durable. */
  #facts(): ControlState['facts'] {
    const isSealed = this.#parts.checkpointer.size >= this.#startSize + 1 + this.#factCount
    return isSealed || this.#state.stream !== this.#parts.checkpointer.stream ? undefined : this.#state.facts
  }

  /** Tells other processes; one that reads an older position only sees less. */
  publish(): void {
    try {
      this.#control.publish({ ...this.#end, epoch: this.#state.epoch, state: this.#parts.handover.state })
    } catch (error) {
      if (errorCode(error) === undefined) throw error
    }
  }

  close(): void {
    this.#files.close(this.#segment.file)
    this.#control.close()
  }
}

export function writeFrontier(files: Files, file: number, frontier: SegmentFrontier): void {
  const block = encodeSegmentFrontier(frontier)
  files.write(file, block.bytes, block.offset)
}
