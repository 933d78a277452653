/**
 * The sync thread: makes written records durable in groups, re-reads and re-hashes what became durable, signs
 * checkpoints, makes the next segment ahead of the roll, writes anew what a disk refused, and gives back what every
 * destination has. No credit passes a segment that is not synced, nor a name that is not. Calls are synchronous on
 * purpose: libuv's pool is shared with the application and starves. It blocks its thread; words come in through
 * `positions.ts` and `handover.ts`, go out by `post`. Here is the order of its duties; each has a file of its own.
 */

import type { CheckpointDetails } from '../chain/checkpoint.ts'
import { monotonicMs, nowMs } from '../clock.ts'
import { AuditError, errorCode } from '../errors.ts'
import { segmentBytesMax } from '../limits.ts'
import { Checkpointer } from './checkpointer.ts'
import { DurableEnd, writeFrontier } from './durable-end.ts'
import { Failover, refusedBy } from './failover.ts'
import type { Files } from './files.ts'
import { isBefore } from './format.ts'
import { rebuildFrontier } from './frontier.ts'
import { Handover } from './handover.ts'
import { Positions } from './positions.ts'
import { lockPath, segmentPath } from './refusals.ts'
import { Retention } from './retention.ts'
import { type OpenDirectory, openDirectory, readPath } from './segment.ts'
import { Spares } from './spares.ts'
import type { SpoolState } from './state.ts'
import type { SyncerContext, SyncerStart, SyncMessage } from './sync-message.ts'

/** How long a group gathers while nobody waits for it, in milliseconds: fewer syncs and less sector padding. */
const groupMs = 20
/** How often room, reclaim and the lock are looked at while there is reason to, in milliseconds. */
const housekeepingMs = { usual: 1_000, pressed: 20 }

export class Syncer {
  readonly #files: Files
  readonly #start: SyncerStart
  readonly #post: (message: SyncMessage) => void
  readonly #directory: OpenDirectory
  readonly #positions: Positions
  readonly #handover: Handover
  readonly #checkpointer: Checkpointer
  readonly #durable: DurableEnd
  readonly #spares: Spares
  readonly #retention: Retention
  #newestSegment: number
  #failover: Failover | undefined
  #housekeepingDueAtMs = 0
  #keptHouseAtMs = 0
  /** Something was written since the house was kept last. */
  #isHouseUsed = false
  #said: SpoolState = 'ok'
  #finishAnswered = false

  constructor(files: Files, start: SyncerStart, context: SyncerContext) {
    const { state } = start
    // Each thread closes what it has opened: Node closes a thread's own descriptors with it, by their numbers.
    const segment = { ...start.segment, file: files.open(segmentPath(start.directory, start.segment.segment), 'write') }
    this.#files = files
    this.#start = start
    this.#post = context.post
    this.#directory = openDirectory(files, start.directory)
    this.#positions = new Positions(start.memory)
    this.#handover = new Handover(start.memory)
    const rebuilt = rebuildFrontier(files, start.directory, state)
    const { hash, recorded } = state.watermark
    const tree = { ...state, frontier: rebuilt.frontier, last: { hash, recorded } }
    const post = (size: number, details: CheckpointDetails) =>
      context.post({ kind: 'checkpoint', stream: this.#checkpointer.stream, size, details })
    this.#checkpointer = new Checkpointer(tree, { positions: this.#positions, signer: context.signer, post })
    const shared = { positions: this.#positions, handover: this.#handover, directory: this.#directory }
    const durableParts = { ...shared, checkpointer: this.#checkpointer, post: context.post }
    this.#durable = new DurableEnd(files, { ...start, segment }, durableParts)
    this.#newestSegment = segment.segment
    this.#spares = new Spares(files, { ...shared, durable: this.#durable, nextSegment: this.#nextSegment })
    const path = readPath(files, start.directory, { first: state.firstSegment, last: segment.segment })
    const held = { ...shared, directory: start.directory, path, scrubFiles: context.scrubFiles ?? files }
    this.#retention = new Retention(files, held, start)
    if (rebuilt.atSegmentStart !== undefined) writeFrontier(files, segment.file, rebuilt.atSegmentStart)
  }

  /** Numbers of segments, each given once, and only while the lock is ours. */
  readonly #nextSegment = (): number => {
    this.#checkLock()
    this.#newestSegment += 1
    return this.#newestSegment
  }

  /** Runs until `requestStop`; then leaves the spool marked clean if a finish came first. */
  run(): void {
    this.#retention.discard(this.#start.superseded)
    for (let stopping = false; !stopping; ) {
      stopping = this.#positions.stopRequested
      if (!stopping) this.#positions.sleep(() => this.#hasNothingToDo(), this.#idleMs())
      this.cycle()
    }
    this.#close()
    this.#post({ kind: 'stopped' })
  }

  /** One round: sync what is written, hash what is durable, and whatever is due. `run` repeats it. */
  cycle(): void {
    if (this.#failover !== undefined) this.#continueFailover(this.#failover)
    else this.#syncWritten()
    this.#durable.readBack()
    if (this.#checkpointer.isDue({ atEnd: this.#isEnding })) this.#checkpointer.make()
    if (this.#failover === undefined) this.#lookAhead()
    if (monotonicMs() >= this.#housekeepingAtMs) this.#keepHouse()
    const rot = this.#mayScrub ? this.#retention.scrubber.step() : undefined
    if (rot !== undefined) this.#post({ kind: 'rot', finding: rot })
    this.#tellState()
    if (this.#positions.finishRequested && this.#isCovered) this.#answerFinish()
  }

  #syncWritten(): void {
    const refused = this.#handover.refused()
    const isRefused = refused.segment >= this.#durable.segment.segment
    // A full disk has accepted what was written before: synced now, it need not be written again, which takes room.
    const mayCount = !isRefused || refused.forSpace
    const error = mayCount && !this.#isWrittenDurable ? this.#attemptSync() : undefined
    if (error !== undefined) this.#beginFailover(error)
    else if (isRefused) this.#beginFailover(refusedBy(refused.forSpace, `segment ${refused.segment} refused a write`))
  }

  /** The error of the disk, if there was one; any other is a broken invariant. */
  #attemptSync(): Error | undefined {
    try {
      this.#syncGroup()
      return undefined
    } catch (error) {
      if (errorCode(error) === undefined) throw error
      return error as Error
    }
  }

  #syncGroup(): void {
    if (!this.#positions.waiting) this.#positions.linger(groupMs)
    const end = this.#positions.sampleEnd()
    this.#files.sync(this.#durable.segment.file)
    if (end.segment !== this.#durable.segment.segment) this.#enterSpare(end.segment)
    this.#durable.credit(end)
    this.#isHouseUsed = true
    this.#housekeepingDueAtMs = Math.min(this.#housekeepingDueAtMs, monotonicMs() + housekeepingMs.usual)
  }

  /** The application thread has rolled: the old segment is synced whole, credit it to its end, then go on in the new. */
  #enterSpare(segment: number): void {
    const spare = this.#spares.taken(segment)
    this.#durable.creditWhole()
    const { frameCrc } = this.#durable
    if (spare.stream !== undefined) this.#durable.beginStream(spare.stream)
    this.#durable.writeFrontier(spare.file, frameCrc)
    this.#files.sync(spare.file)
    this.#files.close(this.#durable.segment.file)
    this.#spares.entered()
    this.#durable.enter(spare, frameCrc)
    this.#retain(segment)
  }

  #retain(segment: number): void {
    const { stream, size } = this.#checkpointer
    this.#retention.enter({ segment, stream, base: size + 1, sinceMs: nowMs() })
  }

  #beginFailover(error: unknown): void {
    this.#durable.readBack() // a sync may just have succeeded: the rescue states the tree behind all of it
    const given = this.#spares.giveUp()
    const stream = given?.isTaken === true ? given.spare.stream : undefined
    if (stream !== undefined && stream !== this.#checkpointer.stream) this.#durable.beginStream(stream)
    const parts = {
      directory: this.#directory,
      positions: this.#positions,
      handover: this.#handover,
      durable: this.#durable,
      nextSegment: this.#nextSegment,
      offered: () => this.#post({ kind: 'rescue' }),
      makeRoom: () => this.#retention.room.releaseBallast(),
    }
    this.#failover = new Failover(this.#files, parts, { error, spare: given?.spare })
    this.#continueFailover(this.#failover)
  }

  #continueFailover(failover: Failover): void {
    const rescued = failover.step(this.#checkpointer.stream, this.#checkpointer.lastHash)
    if (rescued === undefined) return
    this.#failover = undefined
    this.#retain(rescued.segment.segment)
    this.#durable.readBack()
    this.#durable.save({})
    this.#retention.discard(rescued.void)
  }

  /** The watermark, and the next segment. */
  #lookAhead(): void {
    this.#durable.saveWhenDue()
    const isHalfFull = this.#durable.end.offset >= (this.#start.segmentBytesMax ?? segmentBytesMax) / 2
    this.#spares.prepare(this.#checkpointer.stream, isHalfFull || this.#handover.isWanting)
  }

  #keepHouse(): void {
    const { room } = this.#retention
    this.#checkLock()
    room.check()
    const { offset } = this.#positions.written()
    const save = (firstSegment: number) => this.#durable.save({ firstSegment })
    if (this.#retention.reclaim(this.#durable.destinations, save)) this.#failover?.retryNow()
    if (this.#handover.isWanting && this.#retention.hasRoomAt(offset)) this.#handover.setWanting(false)
    const bytes = this.#retention.bytesAt(offset)
    if (room.hasPassedWarning(bytes)) this.#post({ kind: 'filling', bytes })
    const goesOn =
      this.#isHouseUsed || this.#failover !== undefined || this.#retention.isWorthLooking || room.needsBallast
    this.#isHouseUsed = false
    this.#keptHouseAtMs = monotonicMs()
    this.#housekeepingDueAtMs = goesOn ? this.#keptHouseAtMs + housekeepingMs.usual : Number.POSITIVE_INFINITY
  }

  /** Soon while a record waits for room: the application may be blocked. */
  get #housekeepingAtMs(): number {
    const isPressed = this.#handover.isWanting || this.#failover?.state === 'full'
    return isPressed ? this.#keptHouseAtMs + housekeepingMs.pressed : this.#housekeepingDueAtMs
  }

  /** Another file under the lock's name is another writer's lock. */
  #checkLock(): void {
    const { lockIdentity, directory } = this.#start
    if (lockIdentity === undefined || this.#files.identity(lockPath(directory)) === lockIdentity) return
    throw new Error(`${lockPath(directory)} was replaced: another process may write this spool`)
  }

  #tellState(): void {
    const state = this.#failover?.state ?? (this.#handover.isWanting ? 'full' : 'ok')
    if (state === this.#said) return
    this.#said = state
    this.#handover.setState(state)
    this.#durable.publish()
    const reason = this.#failover?.reason ?? (state === 'ok' ? '' : 'the budget is used up')
    this.#post({ kind: 'state', state, reason })
  }

  #answerFinish(): void {
    if (!this.#finishAnswered) this.#post({ kind: 'covered' })
    this.#finishAnswered = true
  }

  /** Rot is patient; a record that waits for its sync is not. */
  get #mayScrub(): boolean {
    return this.#failover === undefined && this.#isWrittenDurable
  }

  get #isWrittenDurable(): boolean {
    return !isBefore(this.#durable.end, this.#positions.written())
  }

  get #isEnding(): boolean {
    return this.#positions.finishRequested && this.#isWrittenDurable
  }

  get #isCovered(): boolean {
    return this.#checkpointer.isCovered && this.#isWrittenDurable
  }

  #close(): void {
    if (this.#failover === undefined) {
      const clean = this.#positions.finishRequested && this.#isCovered
      if (clean || !this.#durable.isSaved) this.#durable.save({ clean })
    }
    this.#failover?.close()
    this.#retention.close()
    this.#spares.close()
    this.#durable.close()
    this.#files.close(this.#directory.file)
  }

  #hasNothingToDo(): boolean {
    const positions = this.#positions
    if (positions.stopRequested || this.#idleMs() <= 0 || this.#spares.isWanted) return false
    if (positions.finishRequested && this.#isCovered) return this.#finishAnswered
    if (this.#checkpointer.isDue({ atEnd: this.#isEnding })) return false
    if (this.#failover !== undefined) return this.#failover.isWaiting
    return this.#isWrittenDurable && this.#handover.refused().segment < this.#durable.segment.segment
  }

  /** Until the next timed duty; forever when there is none. */
  #idleMs(): number {
    const watermarkAtMs = this.#failover === undefined ? this.#durable.saveDueAtMs : Number.POSITIVE_INFINITY
    const failoverAtMs = this.#failover?.retryAtMs ?? Number.POSITIVE_INFINITY
    const scrubAtMs = this.#mayScrub ? this.#retention.scrubber.dueAtMs : Number.POSITIVE_INFINITY
    const dueAtMs = Math.min(this.#checkpointer.dueAtMs, watermarkAtMs, failoverAtMs, scrubAtMs)
    return Math.min(dueAtMs, this.#housekeepingAtMs) - monotonicMs()
  }
}

/** Runs a syncer to its end and reports a broken invariant instead of throwing. */
export function runSyncer(make: () => Syncer, post: (message: SyncMessage) => void): void {
  try {
    make().run()
  } catch (error) {
    post({ kind: 'failed', reason: error instanceof AuditError ? `${error.message} (${error.hint})` : String(error) })
  }
}
