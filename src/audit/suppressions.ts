/**
 * The account of events that policy did not want: counted by rule, operation and outcome, sealed as `audit.suppressed`
 * once a minute, when policy changes and at the end, and kept in the spool's control meanwhile, which a kill survives.
 * Always holds: counts leave the account only when the record that seals them is in the spool, none is sealed twice, and
 * no window mixes two policies. Bounded by the rules, which are finite; to count costs well under a microsecond.
 */

import { afterMs, formatTimestamp, monotonicMs, nowMs } from '../clock.ts'
import type { JsonObject } from '../event/canonical.ts'
import { type Operation, type Outcome, operations, outcomes } from '../event/event.ts'
import type { ControlFact } from '../event/record.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { type CountsSlot, cutRules, type RuleCount, type SavedWindow } from '../spool/running-counts.ts'

/** How often the running counts are saved while they change: what a kill loses of them at most, in milliseconds. */
const saveMs = 1_000
/** How long counts run before they are sealed, in milliseconds. */
const sealMs = 60_000
/** Longest list of rules in one record, in bytes of JSON: they always fit. */
const rulesBytesMax = 40_000

export interface SuppressionParts {
  readonly slot: Pick<CountsSlot, 'save' | 'close'>
  /** What writers before this one have counted and not sealed. */
  readonly found: readonly SavedWindow[]
  readonly epoch: number
  /** Hash of the policy in force. */
  readonly policy: string
}

/** How often one rule has suppressed an event. */
interface Tally {
  readonly id: string
  /** Since the start. */
  total: number
  /** Of the window, by operation and outcome. */
  readonly cells: Float64Array
}

export class Suppressions {
  readonly #slot: SuppressionParts['slot']
  readonly #epoch: number
  /** Sealed before the window that is being counted, in order. */
  readonly #found: SavedWindow[]
  readonly #tallies = new Map<string, Tally>()
  #policy: string
  #from = now()
  /** Events in the window. */
  #count = 0
  /** Its rules have no room of their own in the slot. */
  #isCut = false
  #seal: () => boolean = () => false
  #saveAtMs = Number.POSITIVE_INFINITY
  #sealAtMs = Number.POSITIVE_INFINITY
  #forgetTimer = (): void => {}
  #isClosed = false

  constructor({ slot, found, epoch, policy }: SuppressionParts) {
    this.#slot = slot
    this.#found = [...found]
    this.#epoch = epoch
    this.#policy = policy
  }

  /** Takes what seals the window when it is time; it says whether it did. */
  attach(seal: () => boolean): void {
    this.#seal = seal
  }

  /** Whether there is nothing to seal in the window that is being counted. */
  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Counts one event. An absent operation counts as `other`, an absent outcome as `unknown`. */
  count(rule: string, operation: Operation = 'other', outcome: Outcome = 'unknown'): void {
    const tally = this.#tallies.get(rule) ?? this.#open(rule)
    const cell = cellOf.operation[operation] + cellOf.outcome[outcome]
    tally.cells[cell] = (tally.cells[cell] ?? 0) + 1
    tally.total += 1
    this.#count += 1
    const atMs = monotonicMs()
    if (this.#saveAtMs === Number.POSITIVE_INFINITY) this.#startClock(atMs)
    if (atMs >= this.#saveAtMs) this.#tend(atMs) // an event loop that stands still calls no timer
  }

  /** Since the start, by rule. */
  totals(): { readonly rule: string; readonly count: number }[] {
    return [...this.#tallies.values()].map(({ id, total }) => ({ rule: id, count: total }))
  }

  /** The fact that seals the window as it is now. */
  fact(): ControlFact {
    return { type: 'audit.suppressed', details: detailsOf(this.#window()) }
  }

  /**
   * Runs `append`, which appends the record at `place` that seals the oldest window. When it throws, the window is kept;
   * a kill in between leaves it to be sealed exactly when the record is not there.
   */
  sealAs(place: RecordNumber, append: () => void): void {
    this.#save(place)
    try {
      append()
    } catch (error) {
      this.#save()
      throw error
    }
    if (this.#found.shift() === undefined) this.#begin(this.#policy)
  }

  /** From now on another policy decides. The window is sealed already. */
  changePolicy(policy: string): void {
    this.#begin(policy)
  }

  /** Saves what could not be sealed for the next writer, and lets go of control. What is counted later is lost. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#forgetTimer()
    if (!this.isEmpty) this.#save()
    this.#slot.close()
  }

  #open(rule: string): Tally {
    const tally = { id: rule, total: 0, cells: new Float64Array(operations.length * outcomes.length) }
    this.#tallies.set(rule, tally)
    return tally
  }

  #begin(policy: string): void {
    this.#policy = policy
    this.#from = now(this.#from)
    this.#count = 0
    this.#isCut = false
    for (const { cells } of this.#tallies.values()) cells.fill(0)
    this.#saveAtMs = Number.POSITIVE_INFINITY
    this.#sealAtMs = Number.POSITIVE_INFINITY
    this.#forgetTimer()
  }

  #window(): SavedWindow {
    const rules = [...this.#tallies.values()].flatMap(rulesOf)
    return { epoch: this.#epoch, from: this.#from, to: now(this.#from), policy: this.#policy, rules }
  }

  /** Writes everything that is not sealed; `place` is that of the record which will seal the oldest. */
  #save(place?: RecordNumber): void {
    const [oldest, ...others] = [...this.#found, ...(this.isEmpty ? [] : [this.#window()])]
    if (oldest === undefined) return
    const sealedAs = place && { stream: place.stream, sequence: place.sequence }
    this.#isCut = !this.#slot.save([sealedAs === undefined ? oldest : { ...oldest, sealedAs }, ...others])
    this.#saveAtMs = Number.POSITIVE_INFINITY
  }

  #startClock(atMs: number): void {
    this.#saveAtMs = atMs + saveMs
    if (this.#sealAtMs === Number.POSITIVE_INFINITY) this.#sealAtMs = atMs + sealMs
    this.#setTimer(atMs)
  }

  #setTimer(atMs: number): void {
    this.#forgetTimer()
    const dueAtMs = Math.min(this.#saveAtMs, this.#sealAtMs)
    if (dueAtMs === Number.POSITIVE_INFINITY || this.#isClosed) return
    this.#forgetTimer = afterMs(dueAtMs - atMs, () => this.#tend(monotonicMs()))
  }

  /** Saves and seals what is due. What the spool refuses is tried again after a second. */
  #tend(atMs: number): void {
    if (atMs >= this.#saveAtMs) this.#save()
    if ((atMs >= this.#sealAtMs || this.#isCut) && !this.#seal()) this.#sealAtMs = atMs + saveMs
    this.#setTimer(atMs)
  }
}

/** The details of the record that seals a window. */
export function detailsOf({ from, to, policy, rules }: SavedWindow): JsonObject {
  return { from, to, policy, rules: cutRules(rules, rulesBytesMax).map((rule) => ({ ...rule })) }
}

/** Where the counts of an operation begin, and which of them an outcome has. */
const cellOf = {
  operation: Object.fromEntries(operations.map((name, index) => [name, index * outcomes.length])) as Places<Operation>,
  outcome: Object.fromEntries(outcomes.map((name, index) => [name, index])) as Places<Outcome>,
}
type Places<Name extends string> = Readonly<Record<Name, number>>

function rulesOf({ id, cells }: Tally): RuleCount[] {
  return operations.flatMap((operation) =>
    outcomes.flatMap((outcome) => {
      const count = cells[cellOf.operation[operation] + cellOf.outcome[outcome]] ?? 0
      return count === 0 ? [] : [{ id, operation, outcome, count }]
    }),
  )
}

/** A timestamp, never before `earliest`: a window does not end before it begins. */
function now(earliest = ''): string {
  const timestamp = formatTimestamp(nowMs()) ?? earliest
  return timestamp < earliest ? earliest : timestamp
}
