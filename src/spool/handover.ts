/**
 * Segments on their way from the sync thread to the application thread, and what each must know of the other's
 * trouble, in the same shared memory as `positions.ts`. A spare is the segment after a full one, made ahead. A rescue
 * is the segment after a failure: the application thread fills it with everything that is not durable before it gets
 * its name. Whoever offers keeps the descriptor's number; both threads use it, because descriptors are the process's.
 */

import type { StreamReason } from './control.ts'
import { type SpoolState, spoolStates } from './state.ts'

/** Words of 32 bits; the first 32 are those of `positions.ts`. */
const word = {
  spareSegment: 32, // 0 = none
  spareFile: 33,
  spareSalt: 34,
  spareIsStream: 35, // it begins another stream
  spareStream: 36, // to 39: the stream's UUID
  rescueSegment: 40, // 0 = none
  rescueFile: 41,
  rescueSalt: 42,
  rescueCrc: 43,
  rescueNext: 44, // and 45
  declinedSegment: 46, // the last rescue that the application thread could not fill
  declinedForSpace: 47,
  refusedSegment: 48, // the last segment that refused a write
  refusedForSpace: 49,
  state: 50,
  used: 51, // units of all segments but the one being written
  isShort: 52, // the disk has less than the reserve
  isWanting: 53, // the application thread was refused for lack of room, and nothing was taken since
  news: 54, // counts whatever may end a wait of the application thread
  streamWanted: 55,
  streamReason: 56,
  counted: 57, // the first segment that `used` does not count
} as const

const unitBytes = 4_096

/** Why another stream begins while the spool is open. */
export type RunningReason = Extract<StreamReason, 'clock' | 'ahead'>

const runningReasons: readonly RunningReason[] = ['clock', 'ahead']

/** A segment that the sync thread has made ahead of the roll. */
export interface Spare {
  readonly segment: number
  readonly file: number
  readonly salt: number
  /** Set when another stream begins with it. */
  readonly stream: string | undefined
}

/** A segment that takes what is not durable; its frames start with this sequence and link to this CRC. */
export interface Rescue {
  readonly segment: number
  readonly file: number
  readonly salt: number
  readonly crc: number
  readonly nextSequence: number
}

export class Handover {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  // Application thread

  /** Takes the spare; one that begins another stream only for `asStream`. */
  takeSpare(asStream = false): Spare | undefined {
    const words = this.#words
    const segment = Atomics.load(words, word.spareSegment)
    if (segment === 0 || (Atomics.load(words, word.spareIsStream) === 1) !== asStream) return undefined
    const spare = {
      segment,
      file: Atomics.load(words, word.spareFile),
      salt: Atomics.load(words, word.spareSalt) >>> 0,
      stream: asStream ? this.#loadStream() : undefined,
    }
    // The sync thread takes it back by the same exchange when something failed: only one of the two has it.
    return Atomics.compareExchange(words, word.spareSegment, segment, 0) === segment ? spare : undefined
  }

  get isStreamOffered(): boolean {
    return Atomics.load(this.#words, word.spareSegment) !== 0 && Atomics.load(this.#words, word.spareIsStream) === 1
  }

  /** Asks for a spare that begins another stream. */
  wantStream(reason: RunningReason): void {
    Atomics.store(this.#words, word.streamReason, runningReasons.indexOf(reason))
    Atomics.store(this.#words, word.streamWanted, 1)
  }

  /** Why another stream was asked for last. */
  get streamReason(): RunningReason {
    return runningReasons[Atomics.load(this.#words, word.streamReason)] ?? 'clock'
  }

  get isRescueOffered(): boolean {
    return Atomics.load(this.#words, word.rescueSegment) !== 0
  }

  rescue(): Rescue | undefined {
    const words = this.#words
    const segment = Atomics.load(words, word.rescueSegment)
    if (segment === 0) return undefined
    return {
      segment,
      file: Atomics.load(words, word.rescueFile),
      salt: Atomics.load(words, word.rescueSalt) >>> 0,
      crc: Atomics.load(words, word.rescueCrc) >>> 0,
      nextSequence: Atomics.load(words, word.rescueNext) + Atomics.load(words, word.rescueNext + 1) * 2 ** 31,
    }
  }

  /** The rescue is filled and named. */
  acceptRescue(): void {
    Atomics.store(this.#words, word.rescueSegment, 0)
  }

  /** The rescue could not be filled or named. */
  declineRescue(segment: number, forSpace: boolean): void {
    Atomics.store(this.#words, word.declinedForSpace, forSpace ? 1 : 0)
    Atomics.store(this.#words, word.declinedSegment, segment)
    Atomics.store(this.#words, word.rescueSegment, 0)
  }

  /** A segment has refused a write: nothing above the durable position in it counts any more. */
  refuse(segment: number, forSpace: boolean): void {
    Atomics.store(this.#words, word.refusedForSpace, forSpace ? 1 : 0)
    Atomics.store(this.#words, word.refusedSegment, segment)
  }

  setWanting(isWanting: boolean): void {
    Atomics.store(this.#words, word.isWanting, isWanting ? 1 : 0)
  }

  /** Bytes of all segments before `countedBelow`, which is to be read after this. */
  get usedBytes(): number {
    return (Atomics.load(this.#words, word.used) >>> 0) * unitBytes
  }

  /** The first segment that `usedBytes` does not count. */
  get countedBelow(): number {
    return Atomics.load(this.#words, word.counted)
  }

  get isShort(): boolean {
    return Atomics.load(this.#words, word.isShort) === 1
  }

  /** To be read before looking at what may have changed, and given to `awaitNews`. */
  get news(): number {
    return Atomics.load(this.#words, word.news)
  }

  /** Sleeps until something has changed since `seen` was read, at most `timeoutMs`. */
  awaitNews(seen: number, timeoutMs: number): void {
    Atomics.wait(this.#words, word.news, seen, timeoutMs)
  }

  // Sync thread

  offerSpare(spare: Spare): void {
    const words = this.#words
    Atomics.store(words, word.spareFile, spare.file)
    Atomics.store(words, word.spareSalt, spare.salt | 0)
    Atomics.store(words, word.spareIsStream, spare.stream === undefined ? 0 : 1)
    if (spare.stream !== undefined) this.#storeStream(spare.stream)
    Atomics.store(words, word.spareSegment, spare.segment)
    this.announce()
  }

  /** Takes the offered spare back; false when the application thread has it already. */
  withdrawSpare(): boolean {
    return Atomics.exchange(this.#words, word.spareSegment, 0) !== 0
  }

  /** The offered spare has not been taken yet. */
  get isSpareOffered(): boolean {
    return Atomics.load(this.#words, word.spareSegment) !== 0
  }

  get isStreamWanted(): boolean {
    return Atomics.load(this.#words, word.streamWanted) === 1
  }

  streamGiven(): void {
    Atomics.store(this.#words, word.streamWanted, 0)
  }

  offerRescue(rescue: Rescue): void {
    const words = this.#words
    Atomics.store(words, word.rescueFile, rescue.file)
    Atomics.store(words, word.rescueSalt, rescue.salt | 0)
    Atomics.store(words, word.rescueCrc, rescue.crc | 0)
    Atomics.store(words, word.rescueNext, rescue.nextSequence % 2 ** 31)
    Atomics.store(words, word.rescueNext + 1, Math.floor(rescue.nextSequence / 2 ** 31))
    Atomics.store(words, word.rescueSegment, rescue.segment)
    this.announce()
  }

  /** Takes the offered rescue back; false when the application thread has taken or declined it. */
  withdrawRescue(): boolean {
    return Atomics.exchange(this.#words, word.rescueSegment, 0) !== 0
  }

  /** Whether, and why, the application thread could not fill this rescue. */
  declined(segment: number): 'space' | 'error' | undefined {
    if (Atomics.load(this.#words, word.declinedSegment) !== segment) return undefined
    return Atomics.load(this.#words, word.declinedForSpace) === 1 ? 'space' : 'error'
  }

  /** The last segment that refused a write, and why. */
  refused(): { readonly segment: number; readonly forSpace: boolean } {
    const segment = Atomics.load(this.#words, word.refusedSegment)
    return { segment, forSpace: Atomics.load(this.#words, word.refusedForSpace) === 1 }
  }

  get isWanting(): boolean {
    return Atomics.load(this.#words, word.isWanting) === 1
  }

  /** Bytes of all segments before this one. */
  setUsedBytes(bytes: number, countedBelow: number): void {
    Atomics.store(this.#words, word.counted, countedBelow) // first: counted twice would be refused, counted late is not
    Atomics.store(this.#words, word.used, Math.ceil(bytes / unitBytes))
    this.announce()
  }

  setShort(isShort: boolean): void {
    Atomics.store(this.#words, word.isShort, isShort ? 1 : 0)
    this.announce()
  }

  setState(state: SpoolState): void {
    Atomics.store(this.#words, word.state, spoolStates.indexOf(state))
    this.announce()
  }

  /** Ends the application thread's wait, if it is in one. */
  announce(): void {
    Atomics.add(this.#words, word.news, 1)
    Atomics.notify(this.#words, word.news)
  }

  // Both

  get state(): SpoolState {
    return spoolStates[Atomics.load(this.#words, word.state)] ?? 'ok'
  }

  #storeStream(stream: string): void {
    const bytes = Buffer.from(stream.replaceAll('-', ''), 'hex')
    for (let at = 0; at < 4; at += 1) Atomics.store(this.#words, word.spareStream + at, bytes.readInt32BE(4 * at))
  }

  #loadStream(): string {
    const bytes = Buffer.alloc(16)
    for (let at = 0; at < 4; at += 1) bytes.writeInt32BE(Atomics.load(this.#words, word.spareStream + at), 4 * at)
    const hex = bytes.toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
}
