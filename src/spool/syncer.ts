/**
 * The sync thread: makes written records durable in groups, re-reads and re-hashes what became durable, keeps the
 * tree's frontier, signs checkpoints and makes the next segment ahead of the roll. It alone moves the durable
 * position, and no credit passes a segment that is not synced. Calls are synchronous on purpose: libuv's pool is
 * shared with the application and starves. It blocks its thread; words come in through `positions`, go out by `post`.
 */

import { randomBytes } from 'node:crypto'
import { type CheckpointDetails, checkpointDetails } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import type { Frontier } from '../chain/merkle.ts'
import type { Signer } from '../chain/note.ts'
import { monotonicMs, nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { parseRecord } from '../event/record.ts'
import { checkpointIntervalMs, checkpointRecords, segmentBytesMax } from '../limits.ts'
import { ControlFile, type ControlState, type Watermark } from './control.ts'
import type { Files } from './files.ts'
import { checkpointFlag, type DecodedFrame, segmentHeaderBytes } from './format.ts'
import { rebuildFrontier } from './frontier.ts'
import { Positions, type SpoolEnd } from './positions.ts'
import {
  createSegment,
  FrameReader,
  nameSegment,
  type OpenDirectory,
  type OpenSegment,
  openDirectory,
  unlinkSegments,
} from './segment.ts'
import { encodeSegmentFrontier, type SegmentFrontier } from './segment-header.ts'

/** How long a group gathers while nobody waits for it, in milliseconds: fewer syncs and less sector padding. */
const groupMs = 20
/** Checkpoints handed over at most before one is sealed; further ones would only lag more. */
const pendingCheckpointsMax = 8
/** How often the watermark follows the durable position, in milliseconds: what recovery has to read at most. */
const watermarkMs = 1_000

export interface SyncerStart {
  readonly directory: string
  readonly memory: SharedArrayBuffer
  readonly state: ControlState
  readonly segment: OpenSegment
  readonly superseded: readonly number[]
  readonly origin: string
  readonly segmentBytesMax?: number | undefined
}

/** What the sync thread tells the application thread. */
export type SyncMessage =
  | { readonly kind: 'durable'; readonly nextSequence: number }
  /** A signed checkpoint, to be sealed as a record and acknowledged. */
  | { readonly kind: 'checkpoint'; readonly size: number; readonly details: CheckpointDetails }
  /** After a finish request: everything written is durable, and covered but for the last checkpoint record. */
  | { readonly kind: 'covered' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'stopped' }

export class Syncer {
  readonly #files: Files
  readonly #start: SyncerStart
  readonly #signer: Signer
  readonly #post: (message: SyncMessage) => void
  readonly #positions: Positions
  readonly #control: ControlFile
  readonly #frontier: Frontier
  readonly #directory: OpenDirectory
  #segment: { segment: number; file: number; salt: number }
  #reader: FrameReader
  #newestSegment: number
  /** Descriptor and salt of the made successor, whether or not it has been taken. */
  #spare: { segment: number; file: number; salt: number } | undefined
  #durable: SpoolEnd
  #last: { hash: string | undefined; record: Buffer | undefined; recorded: string | undefined }
  #savedWatermark: SpoolEnd
  #watermarkDueAt = Number.POSITIVE_INFINITY
  #uncovered = 0
  #uncoveredSince = 0
  #checkpointsMade = 0
  #finishAnswered = false

  constructor(files: Files, start: SyncerStart, context: { signer: Signer; post: (message: SyncMessage) => void }) {
    const { state, segment } = start
    this.#files = files
    this.#start = start
    this.#directory = openDirectory(files, start.directory)
    this.#signer = context.signer
    this.#post = context.post
    this.#positions = new Positions(start.memory)
    this.#control = new ControlFile(files, start.directory)
    this.#segment = segment
    this.#newestSegment = segment.segment
    this.#reader = new FrameReader(files, segment, state.watermark)
    this.#durable = { ...state.watermark }
    this.#savedWatermark = this.#durable
    this.#last = { hash: state.watermark.hash, record: undefined, recorded: state.watermark.recorded }
    const rebuilt = rebuildFrontier(files, start.directory, state)
    this.#frontier = rebuilt.frontier
    this.#writeFrontier(rebuilt.atSegmentStart)
  }

  /** Runs until `requestStop`; then leaves the spool marked clean if a finish came first. */
  run(): void {
    unlinkSegments(this.#files, this.#directory, this.#start.superseded)
    for (let stopping = false; !stopping; ) {
      stopping = this.#positions.stopRequested
      if (!stopping) this.#positions.sleep(() => this.#nothingToDo(), this.#idleMs())
      this.cycle()
    }
    this.#saveWatermark(this.#positions.finishRequested && this.#isCovered())
    if (this.#spare !== undefined && this.#positions.spareOffered) this.#files.close(this.#spare.file)
    this.#files.close(this.#segment.file)
    this.#control.close()
    this.#files.close(this.#directory.file)
    this.#post({ kind: 'stopped' })
  }

  /** One round: sync what is written, hash what is durable, and whatever is due. `run` repeats it. */
  cycle(): void {
    if (this.#positions.written().nextSequence > this.#durable.nextSequence) this.#syncGroup()
    this.#hashDurable()
    if (this.#checkpointDue()) this.#makeCheckpoint()
    if (monotonicMs() >= this.#watermarkDueAt) this.#saveWatermark(false)
    if (this.#spare === undefined && this.#isHalfFull()) this.#makeSpare()
    if (this.#positions.finishRequested && this.#isCovered()) this.#answerFinish()
  }

  #answerFinish(): void {
    if (!this.#finishAnswered) this.#post({ kind: 'covered' })
    this.#finishAnswered = true
  }

  #syncGroup(): void {
    if (!this.#positions.waiting) this.#positions.linger(groupMs)
    const end = this.#positions.sampleEnd()
    this.#files.sync(this.#segment.file)
    if (end.segment !== this.#segment.segment) this.#enterSpare(end.segment)
    this.#durable = end
    this.#positions.publishDurable(end)
    this.#control.publish({ ...end, epoch: this.#start.state.epoch })
    if (this.#positions.waiting) this.#post({ kind: 'durable', nextSequence: end.nextSequence })
    if (this.#watermarkDueAt === Number.POSITIVE_INFINITY) this.#watermarkDueAt = monotonicMs() + watermarkMs
  }

  /** The application thread has rolled: the old segment is synced whole, hash it to its end, then go on in the new. */
  #enterSpare(segment: number): void {
    if (this.#spare?.segment !== segment) throw new Error(`written end in segment ${segment}, which was never offered`)
    this.#hashUpTo(Number.MAX_SAFE_INTEGER)
    const { frameCrc } = this.#reader.place
    this.#files.close(this.#segment.file)
    this.#segment = this.#spare
    this.#spare = undefined
    this.#reader = new FrameReader(this.#files, this.#segment, { offset: segmentHeaderBytes, frameNumber: 0, frameCrc })
    const base = this.#frontier.size + 1
    const hashes = this.#frontier.hashes()
    this.#writeFrontier({ base, previousHash: this.#last.hash, hashes, frameCrc, writtenMs: nowMs() })
    this.#files.sync(this.#segment.file)
  }

  /** Before anything in the segment is credited. */
  #writeFrontier(frontier: SegmentFrontier): void {
    const block = encodeSegmentFrontier(frontier)
    this.#files.write(this.#segment.file, block.bytes, block.offset)
  }

  #hashDurable(): void {
    this.#hashUpTo(this.#durable.offset)
    if (this.#frontier.size + 1 === this.#durable.nextSequence) return
    throw new Error(`durable to sequence ${this.#durable.nextSequence - 1}, but read back only ${this.#frontier.size}`)
  }

  #hashUpTo(limit: number): void {
    for (let frame = this.#reader.next(limit); frame !== undefined; frame = this.#reader.next(limit)) this.#count(frame)
  }

  #count(frame: DecodedFrame): void {
    const hash = leafHash(frame.record)
    if (frame.sequence !== this.#frontier.size + 1)
      throw new Error(`sequence ${frame.sequence} follows ${this.#frontier.size}`)
    this.#frontier.append(hash)
    this.#last = { hash, record: frame.record, recorded: undefined }
    if ((frame.flags & checkpointFlag) !== 0) return
    if (this.#uncovered === 0) this.#uncoveredSince = monotonicMs()
    this.#uncovered += 1
    if (this.#uncovered >= checkpointRecords && this.#pendingCheckpoints() < pendingCheckpointsMax)
      this.#makeCheckpoint()
  }

  /** Handed over and not yet sealed: the application's event loop may be busy. */
  #pendingCheckpoints(): number {
    return this.#checkpointsMade - this.#positions.checkpointsSealed
  }

  /** By time or at the end; the other reason, enough records, is looked at record by record. */
  #checkpointDue(): boolean {
    if (this.#uncovered === 0 || this.#pendingCheckpoints() > 0) return false
    if (this.#positions.finishRequested) return this.#isWrittenDurable()
    return monotonicMs() - this.#uncoveredSince >= checkpointIntervalMs
  }

  #makeCheckpoint(): void {
    const details = checkpointDetails(this.#frontier, this.#start.origin, this.#signer)
    this.#checkpointsMade += 1
    this.#uncovered = 0
    this.#post({ kind: 'checkpoint', size: this.#frontier.size, details })
  }

  #isWrittenDurable(): boolean {
    return this.#positions.written().nextSequence === this.#durable.nextSequence
  }

  #isCovered(): boolean {
    return this.#uncovered === 0 && this.#pendingCheckpoints() === 0 && this.#isWrittenDurable()
  }

  #saveWatermark(clean: boolean): void {
    this.#watermarkDueAt = Number.POSITIVE_INFINITY
    if (!clean && this.#savedWatermark.nextSequence === this.#durable.nextSequence) return
    const recorded = this.#last.record === undefined ? this.#last.recorded : parseRecord(this.#last.record)?.recorded
    const watermark: Watermark = {
      ...this.#reader.place,
      segment: this.#segment.segment,
      nextSequence: this.#durable.nextSequence,
      hash: this.#last.hash,
      recorded,
    }
    this.#control.save({ ...this.#start.state, watermark, clean })
    this.#savedWatermark = this.#durable
  }

  #isHalfFull(): boolean {
    return this.#durable.offset >= (this.#start.segmentBytesMax ?? segmentBytesMax) / 2
  }

  /** Makes the successor: header synced, then named, then the name synced, and only then offered. */
  #makeSpare(): void {
    const segment = this.#newestSegment + 1
    const salt = randomBytes(4).readUInt32LE()
    const { spoolId, stream, epoch } = this.#start.state
    const proof = { base: 0, previousLength: 0, publishedLength: 0, previousHash: undefined }
    const file = createSegment(this.#files, this.#start.directory, {
      ...proof,
      kind: 'planned',
      spoolId,
      stream,
      segment,
      salt,
      epoch,
      previous: this.#segment.segment,
      createdMs: nowMs(),
    })
    this.#files.sync(file)
    nameSegment(this.#files, this.#directory, segment)
    this.#newestSegment = segment
    this.#spare = { segment, file, salt }
    this.#positions.offerSpare(this.#spare)
  }

  #nothingToDo(): boolean {
    const positions = this.#positions
    if (positions.stopRequested || this.#checkpointDue()) return false
    if (positions.finishRequested && this.#isCovered()) return this.#finishAnswered
    return positions.written().nextSequence === this.#durable.nextSequence
  }

  /** Until the next timed duty; forever when there is none. */
  #idleMs(): number {
    const mayCheckpoint = this.#uncovered > 0 && this.#pendingCheckpoints() === 0
    const checkpointAt = mayCheckpoint ? this.#uncoveredSince + checkpointIntervalMs : Number.POSITIVE_INFINITY
    return Math.max(0, Math.min(checkpointAt, this.#watermarkDueAt) - monotonicMs())
  }
}

/** Runs a syncer to its end and reports a broken invariant or disk error instead of throwing. */
export function runSyncer(make: () => Syncer, post: (message: SyncMessage) => void): void {
  try {
    make().run()
  } catch (error) {
    post({ kind: 'failed', reason: error instanceof AuditError ? `${error.message} (${error.hint})` : String(error) })
  }
}
