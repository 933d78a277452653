/**
 * Starts the worker threads and carries their words. Threads are unreferenced, so that a program ends when it has
 * nothing more to do, and referenced while somebody waits for them. They get no `execArgv` and no `NODE_OPTIONS`:
 * instrumentation of the application has no business in them.
 */

import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { witnessNameOf } from '../chain/cosignature.ts'
import { afterMs } from '../clock.ts'
import { AuditError, errorText } from '../errors.ts'
import type { DeliveryMessage, DeliveryOrder } from '../forward/delivery.ts'
import type { FlushOnly, FlushOutcome } from '../forward/flushes.ts'
import type { SigningOrder, SigningWord, Unsigned } from '../forward/signing-thread.ts'
import type {
  AnchorRole,
  DeliverRole,
  SequenceRole,
  SignRole,
  SyncRole,
  VerifyRole,
  WitnessRole,
  WorkerRole,
} from '../forward/worker.ts'
import { stopMsMax } from '../limits.ts'
import { type SequencerState, untried } from '../postgres/sequencing.ts'
import type { SequencingMessage } from '../postgres/sequencing-thread.ts'
import { exists } from '../spool/files.ts'
import type { Spool } from '../spool/spool.ts'
import type { SyncMessage, SyncThread } from '../spool/sync-message.ts'
import type { SourceReport } from '../verify/report.ts'
import type { AnchorOutcome } from '../witness/anchoring-thread.ts'
import type { Offer, WitnessWord } from '../witness/client.ts'
import type { WitnessingOrder } from '../witness/client-thread.ts'
import type { Kept } from '../witness/progress-file.ts'

/** Where the worker module lies: beside the sources, compiled or not; elsewhere when a bundler moved it. */
export function workerModule(given: string | URL | undefined): URL {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  const url = given === undefined ? new URL(`../forward/worker${extension}`, import.meta.url) : new URL(given)
  if (url.protocol !== 'file:' || exists(fileURLToPath(url))) return url
  throw new AuditError('WORKER_NOT_FOUND', `the worker module ${url.href} does not exist`, {
    setting: 'workerUrl',
    hint: 'Mark otel-audit as external in the bundler, or give workerUrl the URL of the bundled otel-audit/worker.',
  })
}

function startWorker(url: URL, role: WorkerRole): Worker {
  const env = { ...process.env, NODE_OPTIONS: '' }
  // The sync thread opens segments that the application thread writes: its end must not close them. What the delivery
  // thread holds is its own, the lock of an adopted slot above all, and goes with it.
  const trackUnmanagedFds = role.role !== 'sync'
  return new Worker(url, { workerData: role, execArgv: [], env, name: `otel-audit ${role.role}`, trackUnmanagedFds })
}

/** Starts the sync thread of a spool; what it says goes to the spool. */
export function startSyncThread(url: URL, role: SyncRole, spool: Spool): SyncThread {
  const worker = startWorker(url, role)
  worker.on('message', (message: SyncMessage) => spool.receive(message))
  worker.on('error', (error) => spool.fail(errorText(error)))
  worker.on('exit', (code) => {
    if (code !== 0) spool.fail(`its sync thread ended with code ${code}`)
  })
  worker.unref() // behind the listeners: adding one for messages references the thread again
  return { setReferenced: (referenced) => (referenced ? worker.ref() : worker.unref()) }
}

/** Starts a thread that verifies the spool and ends; hears its report, or why there is none. Returns how to end it. */
export function startVerification(
  url: URL,
  role: VerifyRole,
  heard: (outcome: SourceReport | string) => void,
): () => void {
  return startOnce(url, role, heard)
}

/** Starts a thread that anchors a checkpoint and ends; otherwise as `startVerification`. */
export function startAnchoring(
  url: URL,
  role: AnchorRole,
  heard: (outcome: readonly AnchorOutcome[] | string) => void,
): () => void {
  return startOnce(url, role, heard)
}

function startOnce<Word>(url: URL, role: WorkerRole, heard: (outcome: Word | string) => void): () => void {
  const worker = startWorker(url, role)
  let outcome: Word | string = 'its thread ended without a report'
  worker.on('message', (word: Word) => {
    outcome = word
  })
  worker.on('error', (error) => {
    outcome = errorText(error)
  })
  worker.once('exit', () => heard(outcome))
  worker.unref() // behind the listeners, as above
  return () => void worker.terminate()
}

/** The delivery thread, seen from the application thread. */
export class DeliveryThread {
  readonly #worker: Worker
  readonly #flushes = new Map<number, (outcome: FlushOutcome) => void>()
  readonly #stopped: Promise<void>
  #flushId = 0
  #hasEnded = false

  constructor(url: URL, role: DeliverRole, receive: (message: DeliveryMessage) => void) {
    this.#worker = startWorker(url, role)
    this.#worker.on('message', (message: DeliveryMessage) => {
      if (message.kind === 'flushed') this.#flushes.get(message.id)?.(message.outcome)
      else receive(message)
    })
    this.#worker.on('error', (error) => receive({ kind: 'failed', name: 'delivery', reason: errorText(error) }))
    this.#worker.unref() // behind the listeners, as above
    this.#stopped = new Promise((resolve) => this.#worker.once('exit', () => resolve()))
    void this.#stopped.then(() => this.#settleFlushes())
  }

  /** Resolves when every destination, or the one that is meant, has what was durable at the call, or has stopped. */
  async flush(only?: FlushOnly): Promise<FlushOutcome> {
    if (this.#hasEnded) return 'stopped'
    const id = ++this.#flushId
    const flushed = Promise.withResolvers<FlushOutcome>()
    this.#flushes.set(id, flushed.resolve)
    this.#worker.ref()
    this.#tell({ kind: 'flush', id, only })
    const outcome = await flushed.promise
    this.#flushes.delete(id)
    if (this.#flushes.size === 0) this.#worker.unref()
    return outcome
  }

  /** Answers that a fact is sealed and durable, or could not be. */
  answerSealed(id: number, isSealed: boolean): void {
    this.#tell({ kind: 'sealed', id, isSealed })
  }

  /** Ends the thread; what was not confirmed is sent again at the next start. */
  async stop(): Promise<void> {
    this.#worker.ref()
    this.#tell({ kind: 'stop' })
    await this.#stopped
  }

  /** Ends the thread in the middle of whatever it does: what was not confirmed is sent again. */
  abandon(): void {
    void this.#worker.terminate()
    this.#worker.unref()
  }

  #tell(order: DeliveryOrder): void {
    this.#worker.postMessage(order)
  }

  #settleFlushes(): void {
    this.#hasEnded = true
    for (const resolve of this.#flushes.values()) resolve('stopped')
  }
}

/** The thread that seals the outbox of a database, seen from the application thread. */
export class SequencerThread {
  readonly #thread: ToldThread<'stop', SequencingMessage>
  #state = untried

  constructor(url: URL, role: SequenceRole, changed: (state: SequencerState) => void) {
    this.#thread = new ToldThread(startWorker(url, role), {
      hear: ({ kind, state }) => {
        this.#state = state
        if (kind === 'changed') changed(state)
      },
      fail: (reason) => {
        this.#state = { ...this.#state, condition: 'failing', lastError: reason }
        changed(this.#state)
      },
    })
  }

  get state(): SequencerState {
    return this.#state
  }

  /** Ends the thread, within a bounded time: events that are not sealed stay in the outbox. */
  stop(): Promise<void> {
    return this.#thread.end('stop', stopMsMax)
  }
}

/** The thread that asks witnesses, seen from the application thread. */
export class WitnessThread {
  readonly #thread: ToldThread<WitnessingOrder, WitnessWord>

  constructor(url: URL, role: WitnessRole, hear: (word: WitnessWord) => void) {
    const fail = (reason: string) => {
      for (const { vkey } of role.start.witnesses) hear({ kind: 'failed', name: witnessNameOf(vkey), reason })
    }
    this.#thread = new ToldThread(startWorker(url, role), { hear, fail })
  }

  offer(offer: Offer): void {
    this.#thread.tell({ kind: 'offer', offer })
  }

  /** Keeps what could not be sealed for the next opening. */
  keep(kept: Kept): void {
    this.#thread.tell({ kind: 'keep', kept })
  }

  /** Ends the thread once it has asked for what was offered, within the time that is given. */
  end(timeoutMs: number): Promise<void> {
    return this.#thread.end({ kind: 'end' }, timeoutMs)
  }
}

/** The thread that asks an outside signer, seen from the application thread. */
export class SignerThread {
  readonly #thread: ToldThread<SigningOrder, SigningWord>

  constructor(url: URL, role: SignRole, hear: (word: SigningWord) => void) {
    const fail = (reason: string) => hear({ kind: 'failed', reason })
    this.#thread = new ToldThread(startWorker(url, role), { hear, fail })
  }

  sign(checkpoint: Unsigned): void {
    this.#thread.tell({ kind: 'sign', checkpoint })
  }

  /** Ends the thread once it has signed what waits, within the time that is given. */
  end(timeoutMs: number): Promise<void> {
    return this.#thread.end({ kind: 'end' }, timeoutMs)
  }
}

/** A thread that is told what to do, and ends by itself when it is told to. */
class ToldThread<Order, Word> {
  readonly #worker: Worker
  readonly #stopped: Promise<void>

  constructor(worker: Worker, { hear, fail }: { hear: (word: Word) => void; fail: (reason: string) => void }) {
    this.#worker = worker
    worker.on('message', hear)
    worker.on('error', (error) => fail(errorText(error)))
    worker.unref() // behind the listeners, as above
    this.#stopped = new Promise((resolve) => worker.once('exit', () => resolve()))
  }

  tell(order: Order): void {
    this.#worker.postMessage(order)
  }

  /** Tells it to end; it has this long for what is left to do. */
  async end(order: Order, timeoutMs: number): Promise<void> {
    this.#worker.ref()
    this.tell(order)
    const forget = afterMs(timeoutMs, () => void this.#worker.terminate())
    await this.#stopped
    forget()
  }
}
