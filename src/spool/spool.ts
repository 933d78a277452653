/**
 * An open spool as the application thread sees it: append, and promises for durability. Owns the lock, the writer and
 * the waiters; the sync thread behind it (`syncer.ts`) is started by the caller, who knows how, and attached. Nothing
 * here waits for that thread but promises that somebody observes.
 */

import type { CheckpointDetails } from '../chain/checkpoint.ts'
import { AuditError, errorText } from '../errors.ts'
import { bootId, diskFiles, ensureDirectory, networkFileSystem } from './files.ts'
import { checkpointFlag } from './format.ts'
import { lockSpool, type SpoolLock } from './lock.ts'
import { Positions, type SpoolEnd } from './positions.ts'
import { type Recovered, recoverSpool } from './recover.ts'
import type { SyncerStart, SyncMessage } from './syncer.ts'
import { SpoolWriter } from './writer.ts'

export interface SpoolOptions {
  readonly directory: string
  readonly deployment: string
  readonly segmentBytesMax?: number | undefined
}

/** The sync thread, seen from the application thread. */
export interface SyncThread {
  /** Keeps the process alive while somebody waits, and only then. */
  setReferenced(referenced: boolean): void
}

interface Waiter {
  readonly sequence: number
  readonly resolve: () => void
  readonly reject: (error: AuditError) => void
}

export class Spool {
  readonly directory: string
  readonly recovered: Recovered
  readonly positions = new Positions()
  readonly #lock: SpoolLock
  readonly #writer: SpoolWriter
  readonly #options: SpoolOptions
  #waiters: Waiter[] = []
  #thread: SyncThread | undefined
  #failure: AuditError | undefined
  #closing = false
  #onCheckpoint: ((details: CheckpointDetails, size: number) => void) | undefined
  readonly #covered = Promise.withResolvers<void>()
  readonly #stopped = Promise.withResolvers<void>()

  private constructor(options: SpoolOptions, lock: SpoolLock, recovered: Recovered) {
    this.#options = options
    this.directory = options.directory
    this.#lock = lock
    this.recovered = recovered
    const { watermark } = recovered.state
    this.positions.reset(watermark)
    this.#writer = new SpoolWriter(diskFiles, this.positions, {
      segment: recovered.segment,
      nextSequence: watermark.nextSequence,
      segmentBytesMax: options.segmentBytesMax,
    })
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
      refuseNetworkFileSystem(directory)
      const lock = lockSpool(directory)
      try {
        return new Spool(options, lock, recoverSpool(diskFiles, { directory, deployment, bootId: bootId() }))
      } catch (error) {
        lock.release()
        throw error
      }
    } catch (error) {
      if (error instanceof AuditError) throw error
      throw new AuditError('SPOOL_NOT_WRITABLE', `spool ${directory} cannot be opened: ${errorText(error)}`, {
        setting: 'spool.directory',
        hint: 'Name a directory on a local disk that this process may create and write.',
        cause: error,
      })
    }
  }

  /** What the sync thread needs to start. */
  syncerStart(origin: string): SyncerStart {
    const { state, segment, superseded } = this.recovered
    const { directory, segmentBytesMax } = this.#options
    return { directory, memory: this.positions.memory, state, segment, superseded, origin, segmentBytesMax }
  }

  /** Takes the started sync thread, and what to do with each checkpoint that it signs. */
  attach(thread: SyncThread, onCheckpoint: (details: CheckpointDetails, size: number) => void): void {
    this.#thread = thread
    this.#onCheckpoint = onCheckpoint
  }

  /** Where the next record goes. */
  get end(): SpoolEnd {
    return this.#writer.end
  }

  /** Set once the sync thread has given up: nothing becomes durable any more. */
  get failure(): AuditError | undefined {
    return this.#failure
  }

  /** Writes a record: it survives SIGKILL on return. Its leaf hash. Throws what the disk throws; nothing was appended then. */
  append(record: string, { isCheckpoint }: { isCheckpoint: boolean }): string {
    if (this.#failure !== undefined) throw this.#failure
    return this.#writer.append(record, isCheckpoint ? checkpointFlag : 0)
  }

  /** Resolves when the record of this sequence survives power loss; rejects with `SPOOL_FAILED` when that cannot be. */
  durable(sequence: number): Promise<void> {
    if (this.positions.durable().nextSequence > sequence) return Promise.resolve()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const waiting = new Promise<void>((resolve, reject) => this.#addWaiter({ sequence, resolve, reject }))
    this.#setBusy()
    this.#resolveWaiters(this.positions.durable().nextSequence) // it may have been credited before the flag was up
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
    this.#lock.release()
  }

  /** Closes a spool whose threads were never started. */
  abandon(): void {
    diskFiles.close(this.recovered.segment.file)
    this.#lock.release()
  }

  /** The sync thread's words, handed on by whoever started it. */
  receive(message: SyncMessage): void {
    if (message.kind === 'durable') this.#resolveWaiters(message.nextSequence)
    else if (message.kind === 'checkpoint') this.#sealCheckpoint(message.details, message.size)
    else if (message.kind === 'covered') this.#covered.resolve()
    else if (message.kind === 'stopped') this.#stopped.resolve()
    else this.fail(message.reason)
  }

  /** The sync thread is gone or has met what it cannot mend. */
  fail(reason: string): void {
    this.#failure ??= new AuditError('SPOOL_FAILED', `spool ${this.directory} has stopped: ${reason}`, {
      setting: 'spool.directory',
      hint: 'What was written before is kept. Look at the disk, run `otel-audit spool check`, and restart the process.',
    })
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(this.#failure)
    this.#covered.reject(this.#failure)
    this.#stopped.reject(this.#failure)
    this.#thread?.setReferenced(false)
  }

  #sealCheckpoint(details: CheckpointDetails, size: number): void {
    try {
      this.#onCheckpoint?.(details, size)
    } finally {
      this.positions.acknowledgeCheckpoint()
    }
  }

  /** In order of sequence, so that a message resolves a prefix. */
  #addWaiter(waiter: Waiter): void {
    let at = this.#waiters.length
    while (at > 0 && (this.#waiters[at - 1]?.sequence ?? 0) > waiter.sequence) at -= 1
    if (at === this.#waiters.length) this.#waiters.push(waiter)
    else this.#waiters.splice(at, 0, waiter)
  }

  #resolveWaiters(nextSequence: number): void {
    let count = 0
    while (count < this.#waiters.length && (this.#waiters[count]?.sequence ?? nextSequence) < nextSequence) count += 1
    for (const waiter of this.#waiters.splice(0, count)) waiter.resolve()
    this.#setBusy()
  }

  /** The sync thread hurries, and keeps the process alive, exactly while somebody waits for it. */
  #setBusy(): void {
    const busy = this.#waiters.length > 0 || this.#closing
    this.positions.setWaiting(busy)
    this.#thread?.setReferenced(busy)
  }
}

function refuseNetworkFileSystem(directory: string): void {
  const name = networkFileSystem(directory)
  if (name === undefined) return
  throw new AuditError('PLATFORM_UNSUPPORTED', `spool ${directory} lies on ${name}`, {
    setting: 'spool.directory',
    hint: 'A network file system cannot promise what the spool promises: use a local disk.',
  })
}
