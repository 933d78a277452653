/**
 * An open spool as the application thread sees it: append, and promises for durability. Owns the lock, the writer and
 * the waiters; the sync thread behind it (`syncer.ts`) is started by the caller, who knows how, and attached. Nothing
 * here waits for that thread but promises that somebody observes.
 */

import { monotonicMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { recordBytesMax } from '../limits.ts'
import { makeBallast } from './ballast.ts'
import { makeCursors, type RecordNumber } from './cursor.ts'
import { bootId, diskFiles, ensureDirectory, networkFileSystem } from './files.ts'
import { frameBytes, isBefore } from './format.ts'
import { Handover, type RunningReason } from './handover.ts'
import { lockSpool, type SpoolLock } from './lock.ts'
import { Positions, type SpoolEnd } from './positions.ts'
import { type Recovered, recoverSpool } from './recover.ts'
import { diskFailed, notWritable, onNetwork, spoolStopped } from './refusals.ts'
import { type AppendMode, ballastBytes, type SpoolOptions, segmentBytes, writingOf } from './spool-options.ts'
import type { SpoolState } from './state.ts'
import type { SpoolListener, SyncerStart, SyncMessage, SyncThread } from './sync-message.ts'
import { Waiters } from './waiters.ts'
import { SpoolWriter } from './writer.ts'

/** How long the application thread waits, at most, for everything to be durable before another stream begins. */
const streamWaitMs = 100

export class Spool {
  readonly directory: string
  readonly recovered: Recovered
  readonly positions = new Positions()
  readonly #handover = new Handover(this.positions.memory)
  readonly #lock: SpoolLock
  readonly #writer: SpoolWriter
  readonly #options: SpoolOptions
  #stream: string
  #streamSegment = 0
  #isStreamWanted = false
  readonly #waiters = new Waiters()
  #thread: SyncThread | undefined
  #listener: SpoolListener | undefined
  /** A broken invariant, for ever. */
  #failure: AuditError | undefined
  /** Why the disk fails, while it does. */
  #reason = ''
  #closing = false
  readonly #covered = Promise.withResolvers<void>()
  readonly #stopped = Promise.withResolvers<void>()

  private constructor(options: SpoolOptions, lock: SpoolLock, recovered: Recovered) {
    this.#options = options
    this.directory = options.directory
    this.#lock = lock
    this.recovered = recovered
    this.#stream = recovered.state.stream
    const { watermark } = recovered.state
    this.positions.reset(watermark)
    const sizes = { nextSequence: watermark.nextSequence, segmentBytesMax: segmentBytes(options) }
    const start = { ...options, ...recovered, ...sizes }
    this.#writer = new SpoolWriter(diskFiles, this.positions, start)
    this.#covered.promise.catch(() => {})
    this.#stopped.promise.catch(() => {})
  }

  /**
   * Locks and recovers, or creates. Throws `SPOOL_LOCKED`, `SPOOL_NOT_WRITABLE`, `SPOOL_VERSION`, `SPOOL_CORRUPT` or
   * `PLATFORM_UNSUPPORTED`.
   */
  static open(options: SpoolOptions): Spool {
    const { directory, deployment } = options
    try {
      ensureDirectory(directory)
      const network = networkFileSystem(directory)
      if (network !== undefined) throw onNetwork(directory, network)
      const lock = lockSpool(directory, options.lockWaitSeconds)
      try {
        const { destinations } = options
        const context = { directory, deployment, bootId: bootId(), destinations }
        const recovered = recoverSpool(diskFiles, context)
        makeCursors(diskFiles, directory, options.destinations ?? []) // before records take the room
        makeBallast(diskFiles, directory, ballastBytes(options))
        return new Spool(options, lock, recovered)
      } catch (error) {
        lock.release()
        throw error
      }
    } catch (error) {
      if (error instanceof AuditError) throw error
      throw notWritable(directory, error)
    }
  }

  /** What the sync thread needs to start. */
  syncerStart(): SyncerStart {
    const { state, segment, superseded } = this.recovered
    const { directory, bytesMax, reserveBytes, keepMs } = this.#options
    const bytes = { segmentBytesMax: segmentBytes(this.#options), ballastBytes: ballastBytes(this.#options) }
    const limits = { ...bytes, bytesMax, reserveBytes, keepMs, lockIdentity: this.#lock.identity }
    return { directory, memory: this.positions.memory, state, segment, superseded, ...limits }
  }

  /** Takes the started sync thread, and who hears of the spool. */
  attach(thread: SyncThread, listener: SpoolListener): void {
    this.#thread = thread
    this.#listener = listener
  }

  /** The stream being written. */
  get stream(): string {
    return this.#stream
  }

  /** Where the next record goes. */
  get end(): SpoolEnd {
    return this.#writer.end
  }

  /** `failed` for ever after a broken invariant; after errors of the disk until it heals. */
  get state(): SpoolState {
    return this.#failure === undefined ? this.#writer.state : 'failed'
  }

  /** Why the state is not `ok`, in words; empty when it is. */
  get reason(): string {
    return this.state === 'ok' ? '' : (this.#failure?.message ?? this.#reason)
  }

  /** Bytes of all segments. */
  get usedBytes(): number {
    return this.#writer.usedBytes
  }

  /** Set once an invariant was broken: nothing becomes durable any more. */
  get failure(): AuditError | undefined {
    return this.#failure
  }

  /**
   * Writes a record: it survives SIGKILL on return. Its leaf hash. Throws `SpoolRefusal` when it cannot be taken now,
   * and the failure when nothing can be any more; nothing was appended then, and its number goes to the next record.
   */
  append(record: string, mode: AppendMode): string {
    if (this.#failure !== undefined) throw this.#failure
    return this.#writer.append(record, writingOf(mode))
  }

  /** Why not every record would be taken now, without the reserve; `undefined` when each would. */
  refusal(): Error | undefined {
    this.#writer.takeRescue()
    return this.#failure ?? this.#writer.refusal(frameBytes({ record: recordBytesMax, attachment: 0 }), false)
  }

  /** Waits, blocking, until the record refused last would be taken, at most so long; whether it would. */
  waitForRoom(limitMs: number): boolean {
    return this.#wait(limitMs, () => this.#writer.wouldTakeRefused)
  }

  /** Waits, blocking, until everything written is durable, at most so long; whether it is. For the end of a process. */
  syncNow(limitMs: number): boolean {
    this.positions.setWaiting(true)
    const isDurable = this.#wait(limitMs, () => !isBefore(this.positions.durable(), this.#writer.end))
    this.#setBusy()
    return isDurable
  }

  /** Waits without the event loop, and does for the sync thread meanwhile what only this thread can. */
  #wait(limitMs: number, isReached: () => boolean): boolean {
    const untilMs = monotonicMs() + limitMs
    for (;;) {
      const seen = this.#handover.news
      this.#writer.takeRescue()
      if (isReached()) return true
      const leftMs = untilMs - monotonicMs()
      if (leftMs <= 0 || this.#failure !== undefined) return false
      this.#handover.awaitNews(seen, leftMs)
    }
  }

  /** Asks for another stream; `enterStream` says when it is there. */
  startStream(reason: RunningReason): void {
    if (this.#isStreamWanted) return
    this.#isStreamWanted = true
    this.#handover.wantStream(reason)
    this.positions.wake()
  }

  /**
   * Goes over to the stream that was asked for, once it is prepared and everything before is durable; its id. From
   * then on records are numbered from 1. `undefined` while records still go to the stream before.
   */
  enterStream(): string | undefined {
    if (!this.#isStreamWanted || !this.#handover.isStreamOffered || !this.syncNow(streamWaitMs)) return undefined
    const stream = this.#writer.enterStream()
    if (stream === undefined) return undefined
    this.#isStreamWanted = false
    this.#resolveWaiters(Number.POSITIVE_INFINITY)
    this.#stream = stream
    this.#streamSegment = this.#writer.end.segment
    return stream
  }

  /** The last durable record of this stream: 0 while the durable end still lies in the one before. */
  get durableSequence(): number {
    const { segment, nextSequence } = this.positions.durable()
    return segment < this.#streamSegment ? 0 : nextSequence - 1
  }

  /** Resolves when the record survives power loss; rejects with `SPOOL_FAILED` when the disk fails or the spool has stopped. */
  durable({ stream, sequence }: RecordNumber): Promise<void> {
    // A stream before this one was durable to its end when this one began.
    if (stream !== this.#stream || this.durableSequence >= sequence) return Promise.resolve()
    if (this.state === 'failed') return Promise.reject(this.#failure ?? diskFailed(this.directory, this.#reason))
    const isFirst = this.#waiters.isEmpty
    const waiting = this.#waiters.add(sequence)
    if (!isFirst) return waiting // the flag is up already, and every credit is told
    this.#setBusy()
    this.#resolveWaiters(this.durableSequence + 1) // it may have been credited before the flag was up
    return waiting
  }

  /** Everything written is durable and, but for the last checkpoint record, covered by a checkpoint. */
  finish(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#closing = true
    this.#setBusy()
    this.positions.requestFinish()
    return this.#covered.promise
  }

  /** Stops the sync thread and frees the lock; after `finish` the spool is marked clean. */
  async stop(): Promise<void> {
    this.#closing = true
    this.#setBusy()
    this.positions.requestStop()
    if (this.#failure === undefined) await this.#stopped.promise.catch(() => {})
    this.#writer.close()
    this.#lock.release()
  }

  /** Closes a spool whose threads were never started. */
  abandon(): void {
    this.#writer.close()
    this.#lock.release()
  }

  /** The sync thread's words, handed on by whoever started it. */
  receive(message: SyncMessage): void {
    if (message.kind === 'durable' && message.stream === this.#stream) this.#resolveWaiters(message.nextSequence)
    else if (message.kind === 'checkpoint') this.#sealCheckpoint(message)
    else if (message.kind === 'rescue') this.#writer.takeRescue()
    else if (message.kind === 'state') this.#hearState(message.state, message.reason)
    else if (message.kind === 'filling') this.#listener?.changed()
    else if (message.kind === 'rot') this.#listener?.rotten(message.finding)
    else if (message.kind === 'covered') this.#covered.resolve()
    else if (message.kind === 'stopped') this.#stopped.resolve()
    else if (message.kind === 'failed') this.fail(message.reason)
  }

  #hearState(state: SpoolState, reason: string): void {
    this.#reason = reason
    if (state === 'failed') this.#rejectWaiters(diskFailed(this.directory, this.#reason))
    this.#listener?.changed()
  }

  /** The sync thread is gone or has met what it cannot mend. */
  fail(reason: string): void {
    this.#failure ??= spoolStopped(this.directory, reason)
    this.#rejectWaiters(this.#failure)
    this.#covered.reject(this.#failure)
    this.#stopped.reject(this.#failure)
    this.#thread?.setReferenced(false)
    this.#listener?.changed()
  }

  /** One of a stream that has ended since is dropped: its successor names its end. */
  #sealCheckpoint({ stream, details, size }: Extract<SyncMessage, { kind: 'checkpoint' }>): void {
    try {
      if (stream === this.#stream) this.#listener?.checkpoint(details, size)
    } finally {
      this.positions.acknowledgeCheckpoint()
    }
  }

  #resolveWaiters(nextSequence: number): void {
    this.#waiters.resolveBelow(nextSequence)
    this.#setBusy()
  }

  #rejectWaiters(error: AuditError): void {
    this.#waiters.rejectAll(error)
    this.#setBusy()
  }

  /** The sync thread hurries, and keeps the process alive, exactly while somebody waits for it. */
  #setBusy(): void {
    const busy = !this.#waiters.isEmpty || this.#closing
    this.positions.setWaiting(busy)
    this.#thread?.setReferenced(busy)
  }
}
