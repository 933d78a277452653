/**
 * One spool that is forwarded from outside, beside its writer or without one: waits for `forward.lock`, then runs a
 * lane for each destination up to the published durable position, answers wishes to flush, and recovers the spool when
 * its writer is gone. Always holds: the lock is held from before the first cursor is opened until the last is closed.
 * A lane that cannot go on (a recovery may move what it reads) is opened anew, however often that takes. Looks at two
 * small files 20 times a second (7 and 20 µs each) rather than watch them: inotify would wake it for each append of the
 * application, and tells nothing on many of the volumes that containers share.
 */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs, nowMs } from '../clock.ts'
import type { DestinationOptions } from '../destination/destination.ts'
import { errorText } from '../errors.ts'
import { readPresentControl } from '../spool/control.ts'
import { cursorFileName } from '../spool/cursor.ts'
import { diskFiles } from '../spool/files.ts'
import { readFlushRequest } from '../spool/flush-request.ts'
import { isLocked } from '../spool/lock.ts'
import { ExternalView } from './external.ts'
import { awaitForwardLock } from './forward-lock.ts'
import { type Lane, nameOf, openLane, runLane } from './lane.ts'
import type { SealFact } from './quarantine.ts'
import { PublishedEnd } from './sidecar-end.ts'
import { Settler } from './sidecar-settle.ts'
import type { ForwarderState } from './standing.ts'

/** How often a wish to flush is looked for, and a spool that may have lost its writer, in milliseconds. */
const pollMs = { flush: 50, settle: 1_000, drain: 100 }
/** How long a lane that could not go on waits, at first and at most, in milliseconds. */
const reopenMs = { first: 100, most: 30_000 }
/** How long a writer may take to make the cursors of a spool that it opens; later on, one that is missing was removed. */
const cursorMsMax = 1_000
/** A lane fails in passing while a spool is recovered beside it; said from this many failures in a row on. */
const failuresToSay = 3

/** Who hears of a spool that is forwarded. */
export interface SidecarListener {
  /** A destination began or ceased to fail. */
  changed(directory: string, state: ForwarderState): void
  /** Another process delivers this spool: we wait. */
  waiting(directory: string, holder: string): void
  /** We deliver it. */
  delivering(directory: string): void
  /** Something that somebody should know, each time. */
  said(directory: string, text: string): void
}

export interface SidecarSpoolParts {
  readonly directory: string
  /** As this spool has them: not yet those of a slot. */
  readonly destinations: readonly DestinationOptions[]
  readonly seal: SealFact
  readonly listener: SidecarListener
}

export class SidecarSpool {
  readonly directory: string
  readonly #parts: SidecarSpoolParts
  readonly #end: PublishedEnd
  readonly #settler: Settler
  readonly #view: ExternalView
  /** By name; a lane that is being opened anew is missing. */
  readonly #lanes = new Map<string, Lane>()
  /** Why a lane is missing, and since when, by name. */
  readonly #failures = new Map<string, { readonly reason: string; readonly since: number }>()
  #isDelivering = false

  constructor(parts: SidecarSpoolParts) {
    const { directory, destinations, listener } = parts
    const names = destinations.map(nameOf)
    this.directory = directory
    this.#parts = parts
    this.#end = new PublishedEnd(diskFiles, directory)
    const say = (text: string) => listener.said(directory, text)
    this.#settler = new Settler({ files: diskFiles, directory, names, say })
    this.#view = new ExternalView(diskFiles, { directory, durable: () => this.#end.read() }, names)
  }

  get isDelivering(): boolean {
    return this.#isDelivering
  }

  /** In the order of the configuration; by their cursors while another process delivers. */
  states(): ForwarderState[] {
    const seen = this.#view.states()
    if (!this.#isDelivering) return seen
    return seen.map((state) => {
      const { reason, since } = this.#failures.get(state.name) ?? {}
      const condition = reason === undefined ? 'ok' : 'failing'
      return this.#lanes.get(state.name)?.forwarder.state() ?? { ...state, condition, lastError: reason, since }
    })
  }

  /** Forwards until the signal aborts. Rejects only when `forward.lock` cannot be opened. */
  async run(signal: AbortSignal): Promise<void> {
    const { directory, destinations, listener } = this.#parts
    const lock = await awaitForwardLock(directory, signal, (holder) => listener.waiting(directory, holder))
    if (lock === undefined) return
    try {
      this.#isDelivering = true
      listener.delivering(directory)
      const lanes = destinations.map((options) => this.#keepLane(options, signal))
      await Promise.all([...lanes, this.#keepSettled(signal), this.#answerFlushes(signal)])
    } finally {
      this.#isDelivering = false
      lock.release()
    }
  }

  /**
   * `durable`: resolves when everything is confirmed that was durable at the call, a spool without a writer recovered
   * first; waits for whoever else delivers it. `ended`: when its writer is gone too; a spool that somebody else
   * delivers is not waited for. To whether that came before the signal aborted.
   */
  async drain(until: 'durable' | 'ended', signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (!this.#isDelivering && until === 'ended') return true
      const isComplete = this.#isDelivering && (this.#settler.lookNow() || until === 'durable')
      if (isComplete && (await this.#flushAll(signal))) return true
      await sleep(pollMs.drain, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
    }
    return false
  }

  /** Whether every destination has confirmed what was durable at the call; false when one has no lane now. */
  async #flushAll(signal: AbortSignal): Promise<boolean> {
    this.#end.expire()
    const flushes = this.#parts.destinations.map((options) => flushLane(this.#lanes.get(nameOf(options))))
    const flushed = Promise.all(flushes).then((all) => all.every((isFlushed) => isFlushed))
    const over = new AbortController()
    const aborted = once(signal, 'abort', { signal: over.signal }).then(
      () => false,
      () => false,
    )
    try {
      return await Promise.race([flushed, aborted])
    } finally {
      over.abort()
    }
  }

  async #keepLane(options: DestinationOptions, signal: AbortSignal): Promise<void> {
    const name = nameOf(options)
    for (let failures = 0; !signal.aborted; ) {
      const startedMs = monotonicMs()
      try {
        await this.#runLane(options, signal)
        return
      } catch (error) {
        failures = monotonicMs() - startedMs > reopenMs.most ? 1 : failures + 1
        const { since = nowMs() } = this.#failures.get(name) ?? {}
        this.#failures.set(name, { reason: errorText(error), since })
        if (failures === failuresToSay) this.#say(`destination ${name} cannot go on: ${errorText(error)}; tried again`)
      }
      const pauseMs = Math.min(reopenMs.most, reopenMs.first * 2 ** failures)
      await sleep(pauseMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
    }
  }

  async #runLane(options: DestinationOptions, signal: AbortSignal): Promise<void> {
    const { directory, seal, listener } = this.#parts
    const spool = { directory, durable: () => this.#end.read() }
    for (let waitedMs = 0; waitedMs < cursorMsMax && this.#isCursorOwed(nameOf(options)); waitedMs += pollMs.flush) {
      await sleep(pollMs.flush)
    }
    const lane = await openLane(options, spool, { seal, changed: (state) => listener.changed(directory, state) })
    this.#lanes.set(nameOf(options), lane)
    this.#failures.delete(nameOf(options))
    try {
      await runLane(lane, signal)
    } finally {
      this.#lanes.delete(nameOf(options))
    }
  }

  /** A writer makes the cursors of its destinations right when it opens the spool: two must not make one file. */
  #isCursorOwed(name: string): boolean {
    if (diskFiles.list(this.directory).includes(cursorFileName(name))) return false
    const { state } = readPresentControl(diskFiles, this.directory)
    return state.destinations?.includes(name) === true && isLocked(this.directory)
  }

  async #keepSettled(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#settler.look()
      await sleep(pollMs.settle, undefined, { signal }).catch(() => {}) // as above
    }
  }

  async #answerFlushes(signal: AbortSignal): Promise<void> {
    let seen: string | undefined
    while (!signal.aborted) {
      const request = readFlushRequest(diskFiles, this.directory)
      if (request !== seen) {
        seen = request
        this.#end.expire()
        for (const lane of this.#lanes.values()) void flushLane(lane) // the cursor answers
      }
      await sleep(pollMs.flush, undefined, { signal }).catch(() => {}) // as above
    }
  }

  #say(text: string): void {
    this.#parts.listener.said(this.directory, text)
  }
}

/** Whether everything durable was confirmed before the lane, if there is one, came to its end. */
async function flushLane(lane: Lane | undefined): Promise<boolean> {
  try {
    await lane?.forwarder.flush()
    return lane !== undefined
  } catch {
    return false // the lane says itself why it has ended
  }
}
