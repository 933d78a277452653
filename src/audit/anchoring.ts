/**
 * Anchoring of a running trail: at an interval the newest signed checkpoint goes to the places that are configured, in a
 * thread that is gone when it is done. What was done is sealed (`audit.anchored`). A place that fails is said once, shown in
 * `audit.state`, and asked again with growing pauses; nothing waits for any of it. A trail in which nothing has happened
 * since is not anchored again.
 */

import { afterMs, nowMs } from '../clock.ts'
import type { ControlFact } from '../event/record.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { type PlacedNote, placedNote } from '../witness/anchor-places.ts'
import { type AnchorKind, type AnchorOutcome, type AnchorPlaces, kindsOf } from '../witness/anchoring-thread.ts'
import { announce } from './notice.ts'
import { startAnchoring } from './threads.ts'

/** How one place stands, in `audit.state`. */
export interface AnchorState {
  readonly kind: AnchorKind
  readonly condition: 'untried' | 'ok' | 'failing'
  /** What was anchored there last since this process runs: the stream, how many records of it, seconds since the epoch. */
  readonly stream: string | undefined
  readonly size: number
  readonly anchoredAt: number | undefined
  /** Since the start. */
  readonly failures: number
  readonly lastError: string | undefined
}

/** What is asked of the sealer. */
export interface AnchoredSealer {
  readonly head: RecordNumber
  /** Nothing more may follow in the stream. */
  readonly isClosed: boolean
  sealFact(fact: ControlFact): boolean
}

export interface AnchoringParts {
  readonly worker: URL
  readonly places: AnchorPlaces
  readonly intervalMinutes: number
  readonly sealer: AnchoredSealer
  readonly say?: (text: string) => void
}

/** The pause after a first failure, doubled with each one that follows, and its most. */
const [retryMs, retryMsMax] = [60_000, 3_600_000]

export class Anchoring {
  readonly #parts: AnchoringParts
  readonly #intervalMs: number
  readonly #states: Map<AnchorKind, AnchorState>
  #latest: PlacedNote | undefined
  /** Of the stream that was anchored last, the size up to which nothing has happened but that. */
  #quiet: { readonly stream: string; readonly size: number } | undefined
  /** The places that are still to be asked in this interval. */
  #lacking: readonly AnchorKind[]
  #isDue = false
  #failedRounds = 0
  #cancel: () => void = () => {}
  #isStopped = false

  constructor(parts: AnchoringParts) {
    this.#parts = parts
    this.#intervalMs = parts.intervalMinutes * 60_000
    this.#lacking = parts.intervalMinutes > 0 ? kindsOf(parts.places) : []
    this.#states = new Map(this.#lacking.map((kind) => [kind, { kind, ...untried }]))
    // Soon after the start, so that a service which often starts anew is anchored as well.
    if (this.#lacking.length > 0) this.#wait(Math.min(retryMs, this.#intervalMs))
    else this.#isStopped = true
  }

  get states(): readonly AnchorState[] {
    return [...this.#states.values()]
  }

  /** Takes a checkpoint that is signed and sealed. */
  take(note: string): void {
    this.#latest = placedNote(note)
    if (this.#isDue) this.#begin()
  }

  /** Nothing further begins, and what is under way comes to nothing. */
  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  #wait(delayMs: number): void {
    this.#cancel = afterMs(delayMs, () => this.#begin())
  }

  /** Begins a round, or waits for a checkpoint that is worth one. */
  #begin(): void {
    const latest = this.#latest
    this.#isDue = !this.#isStopped && (latest === undefined || this.#isQuiet(latest))
    if (this.#isStopped || this.#isDue || latest === undefined) return
    const { worker, places } = this.#parts
    const start = { note: latest.note, places, kinds: this.#lacking }
    this.#cancel = startAnchoring(worker, { role: 'anchor', start }, (outcome) => {
      if (this.#isStopped || this.#parts.sealer.isClosed) return
      const failed = (reason: string) => this.#lacking.map((kind): AnchorOutcome => ({ kind, reason }))
      this.#conclude(latest, typeof outcome === 'string' ? failed(outcome) : outcome)
    })
  }

  #isQuiet({ stream, size }: PlacedNote): boolean {
    return this.#failedRounds === 0 && this.#quiet?.stream === stream && size <= this.#quiet.size
  }

  #conclude(placed: PlacedNote, outcomes: readonly AnchorOutcome[]): void {
    const { sealer, places } = this.#parts
    // The record of the checkpoint itself stands behind what it covers.
    const isQuiet = sealer.head.stream === placed.stream && sealer.head.sequence <= placed.size + 1
    for (const outcome of outcomes) this.#hear(outcome)
    const failing = outcomes.flatMap((one) => ('reason' in one ? [one.kind] : []))
    this.#quiet = isQuiet ? { stream: placed.stream, size: sealer.head.sequence } : undefined
    this.#failedRounds = failing.length > 0 ? this.#failedRounds + 1 : 0
    this.#lacking = failing.length > 0 ? failing : kindsOf(places)
    const pauseMs = Math.min(retryMs * 2 ** (this.#failedRounds - 1), retryMsMax, this.#intervalMs)
    this.#wait(failing.length > 0 ? pauseMs : this.#intervalMs)
  }

  #hear(outcome: AnchorOutcome): void {
    const { kind } = outcome
    const before = this.#states.get(kind) ?? { kind, ...untried }
    const { sealer, say = announce } = this.#parts
    const wasFailing = before.condition === 'failing'
    if ('reason' in outcome) {
      const { reason: lastError } = outcome
      this.#states.set(kind, { ...before, condition: 'failing', failures: before.failures + 1, lastError })
      if (!wasFailing) say(`checkpoints are not anchored (anchors, ${kind}): ${lastError}; it is tried again`)
      return
    }
    const { stream, size } = outcome.anchored
    const anchoredAt = Math.floor(nowMs() / 1_000)
    this.#states.set(kind, { ...before, condition: 'ok', stream, size, anchoredAt, lastError: undefined })
    if (wasFailing) say(`checkpoints are anchored again (anchors, ${kind})`)
    // What cannot be sealed was done all the same; the spool says itself that it is full or has failed.
    sealer.sealFact({ type: 'audit.anchored', details: { ...outcome.anchored } })
  }
}

/** Before the first round. */
const untried = {
  condition: 'untried',
  stream: undefined,
  size: 0,
  anchoredAt: undefined,
  failures: 0,
  lastError: undefined,
} as const
