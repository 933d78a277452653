/**
 * Appends records to the open segment, on the application thread: one frame and one write call a record, nothing
 * else. When `append` returns, the kernel has the bytes and they survive SIGKILL. It never waits for a sync: the
 * roll to the next segment happens only when the sync thread has one ready. Keeps what is not durable (`unsynced.ts`)
 * and writes it into the rescue that the sync thread offers after a failure. Always holds: a number is given to the
 * next record only after the one before it was written; a segment that refused a write is never written again.
 */

import { leafHash } from '../chain/hash.ts'
import { recordBytesMax, segmentBytesMax } from '../limits.ts'
import type { Files } from './files.ts'
import {
  encodeFrame,
  type FrameHeader,
  frameBytes,
  frameHeaderBytes,
  type SpoolPosition,
  segmentHeaderBytes,
} from './format.ts'
import { Handover } from './handover.ts'
import type { Positions, SpoolEnd } from './positions.ts'
import { segmentPath } from './refusals.ts'
import { fillRescue } from './rescue.ts'
import { tellRoom } from './room.ts'
import { type OpenSegment, temporaryPath } from './segment.ts'
import { isNoSpace, SpoolRefusal, type SpoolState } from './state.ts'
import { Unsynced } from './unsynced.ts'
import { Zeros } from './zeros.ts'

const noAttachment = new Uint8Array(0)
/** A full spool leaves its last segment when that holds more than this part of it: each leaving costs a record. */
const leaveShare = 4

export interface WriterStart {
  readonly directory: string
  readonly segment: OpenSegment
  readonly nextSequence: number
  /** Segments that count for nothing any more, although they may still be there. */
  readonly superseded?: readonly number[] | undefined
  /** Where a segment is full, in bytes. */
  readonly segmentBytesMax?: number | undefined
  /** Most bytes of all segments together; default unlimited. */
  readonly bytesMax?: number | undefined
  /** How far beyond `bytesMax` a record of importance may go. */
  readonly reserveBytes?: number | undefined
  /** Most bytes of records in memory that are not durable. */
  readonly unsyncedBytesMax?: number | undefined
}

export interface AppendOptions {
  readonly flags: number
  /** May go beyond the budget, into the reserve. */
  readonly mayUseReserve?: boolean | undefined
  /** Travels beside the record, outside its hash; must not change before it is durable. */
  readonly attachment?: Uint8Array | undefined
}

export class SpoolWriter {
  readonly #files: Files
  readonly #positions: Positions
  readonly #handover: Handover
  readonly #start: WriterStart
  readonly #unsynced = new Unsynced()
  readonly #zeros: Zeros
  #buffer = Buffer.allocUnsafeSlow(frameBytes({ record: recordBytesMax, attachment: 0 }))
  #segment: OpenSegment
  /** Descriptor of the first segment, which this thread has opened; the later ones are the sync thread's. */
  #ownFile: number | undefined
  #offset: number
  #frameNumber: number
  #frameCrc: number
  #nextSequence: number
  /** The segment that refused a write; nothing is appended until a rescue is there. */
  #refusal: SpoolRefusal | undefined
  /** Segments that were left and that the sync thread does not count yet. */
  #left: SpoolPosition[] = []
  /** Length of the frame that was refused last. */
  #refusedBytes = 0

  constructor(files: Files, positions: Positions, start: WriterStart) {
    this.#files = files
    this.#positions = positions
    this.#handover = new Handover(positions.memory)
    this.#start = start
    this.#zeros = new Zeros(files, start.segmentBytesMax ?? segmentBytesMax)
    this.#segment = start.segment
    this.#ownFile = start.segment.file
    this.#offset = start.segment.offset
    this.#frameNumber = start.segment.frameNumber
    this.#frameCrc = start.segment.frameCrc
    this.#nextSequence = start.nextSequence
    tellRoom(files, this.#handover, start)
  }

  get end(): SpoolEnd {
    return { segment: this.#segment.segment, offset: this.#offset, nextSequence: this.#nextSequence }
  }

  /** Bytes of all segments, the rest of this one not counted. */
  get usedBytes(): number {
    const used = this.#handover.usedBytes
    if (this.#left.length > 0) this.#left = this.#left.filter(({ segment }) => segment >= this.#handover.countedBelow)
    return this.#left.reduce((sum, { offset }) => sum + offset, used + this.#offset)
  }

  /**
   * Writes one record; its leaf hash. Throws `SpoolRefusal`; then nothing was appended and its number goes to the next.
   * The hash is taken here because here the record's bytes stand: from a string it would be encoded twice.
   */
  append(record: string, { flags, mayUseReserve = false, attachment = noAttachment }: AppendOptions): string {
    if (this.#handover.isRescueOffered) this.takeRescue()
    const recordBytes = this.#buffer.write(record, frameHeaderBytes, recordBytesMax, 'utf8')
    const load = { record: recordBytes, attachment: attachment.length }
    const isLeaving = this.#isLeaving
    const refusal = this.refusal(frameBytes(load), mayUseReserve)
    if (refusal !== undefined) {
      this.#refusedBytes = frameBytes(load)
      throw refusal
    }
    const hash = leafHash(this.#buffer.subarray(frameHeaderBytes, frameHeaderBytes + recordBytes))
    if (attachment.length > 0) this.#attach(recordBytes, attachment)
    const before = this.end
    this.#offset = this.#positions.beginAppend(before)
    try {
      const length = frameBytes(load)
      if (isLeaving || this.#offset + length > (this.#start.segmentBytesMax ?? segmentBytesMax)) this.#roll()
      const crc = encodeFrame(this.#buffer, this.#nextHeader(flags), load)
      this.#write(length)
      this.#advance(length, crc)
      this.#unsynced.add({ record, recordBytes, attachment, flags, end: this.end })
      if (this.#handover.isWanting && !mayUseReserve && !isLeaving) this.#handover.setWanting(false)
      return hash
    } catch (refusal) {
      // An end stands behind a frame: not where the next one would have begun, which may be the next sector.
      if (this.#segment.segment === before.segment) this.#offset = before.offset
      throw refusal
    } finally {
      this.#positions.endAppend(this.end)
    }
  }

  /** The sync thread's word, or what this thread knows before it: that a record was refused. */
  get state(): SpoolState {
    const { state } = this.#handover
    if (state !== 'ok') return state
    if (this.#handover.isWanting) return 'full'
    return this.#refusal === undefined ? 'ok' : isNoSpace(this.#refusal.cause) ? 'full' : 'failing'
  }

  /** Why a frame of this length would not be taken now; `undefined` when it would. */
  refusal(length: number, mayUseReserve: boolean): SpoolRefusal | undefined {
    if (this.#handover.state === 'failed') return new SpoolRefusal('failed', 'the disk of the spool fails')
    if (this.#refusal !== undefined) return this.#refusal
    if (this.#isLeaving) return undefined
    const { bytesMax = Number.POSITIVE_INFINITY, reserveBytes = 0 } = this.#start
    const most = mayUseReserve ? bytesMax + reserveBytes : bytesMax
    if (this.usedBytes + length > most) return this.#wanting(`the spool holds ${this.usedBytes} bytes`)
    if (this.#handover.isShort && !mayUseReserve) return this.#wanting('the disk has less than the reserve left')
    return this.#tooMuchUnsynced(length) ? new SpoolRefusal('unsynced', 'the disk is slow') : undefined
  }

  /** Whether the frame that was refused last would be taken now. */
  get wouldTakeRefused(): boolean {
    return this.refusal(this.#refusedBytes, false) === undefined
  }

  /**
   * Nothing can be given back of the segment being written. Where a full spool holds much of its bytes there, the next
   * record goes beyond the budget, into the next segment; at most a few do. Not without a record: nobody may credit a
   * planned segment in which nothing stands.
   */
  get #isLeaving(): boolean {
    if (!this.#handover.isWanting || !this.#handover.isSpareOffered || this.#handover.isStreamOffered) return false
    return this.#offset - segmentHeaderBytes > this.usedBytes / leaveShare
  }

  #wanting(message: string): SpoolRefusal {
    this.#handover.setWanting(true)
    this.#positions.wake()
    return new SpoolRefusal('full', message)
  }

  #tooMuchUnsynced(length: number): boolean {
    const { unsyncedBytesMax = Number.POSITIVE_INFINITY } = this.#start
    this.#unsynced.forget(this.#positions.known())
    return this.#unsynced.bytes + length > unsyncedBytesMax
  }

  /** The attachment behind the record, in a buffer that holds both. */
  #attach(recordBytes: number, attachment: Uint8Array): void {
    const needed = frameBytes({ record: recordBytes, attachment: attachment.length })
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(needed)
      this.#buffer.copy(larger, 0, 0, frameHeaderBytes + recordBytes)
      this.#buffer = larger
    }
    this.#buffer.set(attachment, frameHeaderBytes + recordBytes)
  }

  #nextHeader(flags: number): FrameHeader {
    return {
      flags,
      salt: this.#segment.salt,
      number: this.#frameNumber + 1,
      sequence: this.#nextSequence,
      previousCrc: this.#frameCrc,
      known: this.#positions.known(),
    }
  }

  #advance(length: number, crc: number): void {
    this.#offset += length
    this.#frameNumber += 1
    this.#frameCrc = crc
    this.#nextSequence += 1
  }

  /** What a write that failed half-way leaves is no frame: its last byte is missing. The segment is given up. */
  #write(length: number): void {
    try {
      this.#zeros.writeAhead(this.#segment.file, this.#offset, length)
      this.#files.write(this.#segment.file, this.#buffer.subarray(0, length), this.#offset)
    } catch (error) {
      const forSpace = isNoSpace(error)
      const text = `${segmentPath(this.#start.directory, this.#segment.segment)} refused a write`
      this.#refusal = new SpoolRefusal(forSpace ? 'full' : 'failing', text, error)
      this.#handover.refuse(this.#segment.segment, forSpace)
      this.#positions.wake()
      throw this.#refusal
    }
  }

  #roll(): void {
    const spare = this.#handover.takeSpare()
    if (spare === undefined) return // go on in the old segment rather than wait
    this.#enter({ ...spare, offset: segmentHeaderBytes, frameNumber: 0, frameCrc: this.#frameCrc })
  }

  /** Releases what this thread has opened; nothing may be appended to the first segment any more. */
  close(): void {
    if (this.#ownFile !== undefined) this.#files.close(this.#ownFile)
    this.#ownFile = undefined
  }

  #enter(segment: OpenSegment): void {
    this.close()
    this.#left.push({ segment: this.#segment.segment, offset: this.#offset })
    this.#segment = segment
    this.#offset = segment.offset
    this.#zeros.reset()
    this.#frameNumber = segment.frameNumber
    this.#frameCrc = segment.frameCrc
  }

  /**
   * Goes over to the stream that the sync thread has prepared; its id, or `undefined` while there is none. Only when
   * everything before it is durable, so that a rescue never has to hold two streams, and never out of a segment that
   * refused a write: what stands torn in it would hide the planned segment, only a rescue states where it ends.
   */
  enterStream(): string | undefined {
    if (this.#refusal !== undefined) return
    if (!this.#handover.isStreamOffered || this.#positions.durable().nextSequence !== this.#nextSequence) return
    if (this.#positions.durable().segment !== this.#segment.segment) return
    const spare = this.#handover.takeSpare(true)
    if (spare === undefined) return
    this.#positions.beginAppend(this.end)
    this.#enter({ ...spare, offset: segmentHeaderBytes, frameNumber: 0, frameCrc: this.#frameCrc })
    this.#nextSequence = 1
    this.#positions.endAppend(this.end)
    return spare.stream
  }

  /** Writes all that is not durable into the offered rescue and goes on there; on failure everything stays as it was. */
  takeRescue(): void {
    const rescue = this.#handover.rescue()
    if (rescue === undefined) return
    const known = this.#positions.durable()
    this.#unsynced.forget(known)
    const records = this.#unsynced.records()
    try {
      if (records.length !== this.#nextSequence - rescue.nextSequence) throw new Error('what is not durable is gone')
      const { segment, ends } = fillRescue(this.#files, rescue, { records, known })
      const { directory } = this.#start
      // Only now: a name given earlier could hide what is written elsewhere.
      this.#files.rename(temporaryPath(directory, rescue.segment), segmentPath(directory, rescue.segment))
      this.#unsynced.move(ends)
      this.#positions.beginAppend(this.end)
      this.#enter(segment)
      this.#refusal = undefined
      this.#handover.acceptRescue()
      this.#positions.endAppend(this.end)
    } catch (error) {
      this.#handover.declineRescue(rescue.segment, isNoSpace(error))
      this.#positions.wake()
    }
  }
}
