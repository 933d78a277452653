/**
 * What the application thread and the sync thread tell each other, in shared memory: how far is written, how far is
 * durable, who sleeps, and the barrier of the sector rule. No side ever waits for the other's event loop.
 *
 * The sector rule: a power cut may damage the whole sector in which the last synced byte lies, so no byte may be
 * written behind a synced end within its sector. Before it samples the end, the sync thread raises the barrier and
 * lets an append that is under way finish. An append that begins later sees the barrier, notes its end and goes on at
 * the next sector boundary. So the sampled end is either the noted one or one behind which nothing has begun.
 */

import { nextSector, type SpoolPosition } from './format.ts'

/** Indexes of the 32-bit words. A sequence takes two words of 31 bits. */
const word = {
  writtenSegment: 0,
  writtenOffset: 1,
  writtenNext: 2, // and 3
  notedSegment: 4,
  notedOffset: 5,
  notedNext: 6, // and 7
  durableVersion: 8, // odd while the four words behind it change
  durableSegment: 9,
  durableOffset: 10,
  durableNext: 11, // and 12
  barrier: 13,
  noted: 14, // the last barrier that the application thread has honoured
  appending: 15,
  idle: 16, // the sync thread sleeps until there is something to do
  waiters: 17, // somebody waits for durability: do not linger
  stop: 18,
  checkpointsSealed: 19,
  finish: 20, // cover everything: the stream is closing
} as const // from 32 on the words are those of `handover.ts`

/** Of all words, those of `handover.ts` included. */
const memoryBytes = 256

/** How often the end of an append is looked for before the thread sleeps a millisecond: about 100 µs, an append takes 5. */
const looksMax = 5_000

/** An end of what is written or durable: a place, and the sequence that would come next there. */
export interface SpoolEnd extends SpoolPosition {
  readonly nextSequence: number
}

export class Positions {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  #barrierSeen = 0
  #knownVersion = -1
  #known: SpoolEnd = { segment: 0, offset: 0, nextSequence: 1 }

  /** Without memory: new, all zero. With the other side's memory: the same positions. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(memoryBytes)) {
    this.memory = memory
    this.#words = new Int32Array(memory)
    this.#barrierSeen = Atomics.load(this.#words, word.noted)
  }

  // Application thread

  /** Begins an append at `end`; returns the offset at which its frame must start. */
  beginAppend(end: SpoolEnd): number {
    const words = this.#words
    Atomics.store(words, word.appending, 1)
    const barrier = Atomics.load(words, word.barrier)
    if (barrier === this.#barrierSeen) return end.offset
    this.#barrierSeen = barrier
    storeEnd(words, word.notedSegment, end)
    Atomics.store(words, word.noted, barrier)
    return nextSector(end.offset)
  }

  /** Ends an append; `end` is behind its frame, or where it was before when the write failed. */
  endAppend(end: SpoolEnd): void {
    storeEnd(this.#words, word.writtenSegment, end)
    Atomics.store(this.#words, word.appending, 0)
    if (Atomics.load(this.#words, word.idle) === 1) this.wake()
  }

  /** The durable end for the frame header: the newest that can be read without waiting. */
  known(): SpoolEnd {
    const version = Atomics.load(this.#words, word.durableVersion)
    if (version !== this.#knownVersion && version % 2 === 0) {
      const end = loadEnd(this.#words, word.durableSegment)
      if (Atomics.load(this.#words, word.durableVersion) === version) {
        this.#known = end
        this.#knownVersion = version
      }
    }
    return this.#known
  }

  /** Wakes the sync thread, whatever it sleeps on. */
  wake(): void {
    if (Atomics.exchange(this.#words, word.idle, 0) === 1) Atomics.notify(this.#words, word.idle)
  }

  /** Somebody waits for durability, or nobody does any more. */
  setWaiting(waiting: boolean): void {
    if (Atomics.exchange(this.#words, word.waiters, waiting ? 1 : 0) === 0 && waiting) {
      Atomics.notify(this.#words, word.waiters)
      this.wake()
    }
  }

  /** The checkpoint that the sync thread handed over last is sealed or dropped: it may make the next. */
  acknowledgeCheckpoint(): void {
    Atomics.add(this.#words, word.checkpointsSealed, 1)
    this.wake()
  }

  /** Asks the sync thread to cover everything written with a checkpoint and to say when it is done. */
  requestFinish(): void {
    Atomics.store(this.#words, word.finish, 1)
    this.wake()
  }

  requestStop(): void {
    Atomics.store(this.#words, word.stop, 1)
    this.wake()
  }

  /**
   * Before both threads start: everything up to here is written and durable. What recovery synced counts as a sampled
   * end: the barrier is up, so that the first append does not write into its last sector.
   */
  reset(end: SpoolEnd): void {
    Atomics.store(this.#words, word.barrier, 1)
    storeEnd(this.#words, word.writtenSegment, end)
    this.publishDurable(end)
  }

  // Sync thread

  /** Raises the barrier and returns the end that may be synced and credited. */
  sampleEnd(): SpoolEnd {
    const words = this.#words
    const barrier = Atomics.add(words, word.barrier, 1) + 1
    for (let looks = 1; this.#isUnderWay(barrier); looks += 1) {
      if (looks > looksMax) Atomics.wait(words, word.appending, 1, 1) // nobody notifies, the timeout does
    }
    const written = loadEnd(words, word.writtenSegment)
    // Still unhonoured after the words were read: no append had begun, so they were whole.
    return Atomics.load(words, word.noted) === barrier ? loadEnd(words, word.notedSegment) : written
  }

  /** An append that may not have seen the barrier. */
  #isUnderWay(barrier: number): boolean {
    return Atomics.load(this.#words, word.appending) === 1 && Atomics.load(this.#words, word.noted) !== barrier
  }

  /** The written end, which may move while it is read: good for "is there anything to do", not for credit. */
  written(): SpoolEnd {
    return loadEnd(this.#words, word.writtenSegment)
  }

  /** Credits everything before `end`. */
  publishDurable(end: SpoolEnd): void {
    const words = this.#words
    Atomics.add(words, word.durableVersion, 1)
    storeEnd(words, word.durableSegment, end)
    Atomics.add(words, word.durableVersion, 1)
    Atomics.notify(words, word.durableVersion)
  }

  get checkpointsSealed(): number {
    return Atomics.load(this.#words, word.checkpointsSealed)
  }

  get waiting(): boolean {
    return Atomics.load(this.#words, word.waiters) === 1
  }

  get finishRequested(): boolean {
    return Atomics.load(this.#words, word.finish) === 1
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#words, word.stop) === 1
  }

  /** Sleeps until woken, at most `timeoutMs`; `stillIdle` is asked after the flag is up, so that no wake is missed. */
  sleep(stillIdle: () => boolean, timeoutMs: number): void {
    Atomics.store(this.#words, word.idle, 1)
    if (stillIdle()) Atomics.wait(this.#words, word.idle, 1, timeoutMs)
    Atomics.store(this.#words, word.idle, 0)
  }

  /** Lets a group gather: at most `timeoutMs`, ended by the first waiter. */
  linger(timeoutMs: number): void {
    Atomics.wait(this.#words, word.waiters, 0, timeoutMs)
  }

  // Any reader

  /** The durable end, whole. */
  durable(): SpoolEnd {
    for (;;) {
      const version = Atomics.load(this.#words, word.durableVersion)
      const end = loadEnd(this.#words, word.durableSegment)
      if (version % 2 === 0 && Atomics.load(this.#words, word.durableVersion) === version) return end
    }
  }

  /** Resolves when the durable end is another than before this sequence, or after so many milliseconds. */
  async moved(nextSequence: number, ms: number): Promise<void> {
    const version = Atomics.load(this.#words, word.durableVersion)
    if (this.durable().nextSequence !== nextSequence) return
    await Atomics.waitAsync(this.#words, word.durableVersion, version, ms).value
  }
}

function storeEnd(words: Int32Array, at: number, end: SpoolEnd): void {
  Atomics.store(words, at, end.segment)
  Atomics.store(words, at + 1, end.offset)
  Atomics.store(words, at + 2, end.nextSequence % 2 ** 31)
  Atomics.store(words, at + 3, Math.floor(end.nextSequence / 2 ** 31))
}

function loadEnd(words: Int32Array, at: number): SpoolEnd {
  const nextSequence = Atomics.load(words, at + 2) + Atomics.load(words, at + 3) * 2 ** 31
  return { segment: Atomics.load(words, at), offset: Atomics.load(words, at + 1), nextSequence }
}
