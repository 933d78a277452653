/**
 * The head of one stream: which record was sealed last, and so which place the next one takes. The only mutable state
 * of sealing. It moves only after the append succeeded, so that a sequence is never issued twice; `next` promises
 * nothing by itself. `recorded` never steps back: a clock that is behind is moved forward and its raw reading kept.
 */

import { formatTimestamp, nowMs, timestampNanos } from '../clock.ts'
import type { Position } from '../event/record.ts'
import { newRecordId } from '../event/record-id.ts'
import { clockBackMsMax } from '../limits.ts'

/** Where a stream stands. */
export interface ChainHead {
  readonly stream: string
  readonly epoch: number
  /** Sequence of the last sealed record, 0 before the first. */
  readonly sequence: number
  /** Leaf hash of that record; absent before the first. */
  readonly hash: string | undefined
  /** `recorded` of that record. */
  readonly recorded: string | undefined
}

/** Whether the clock stands so far before the last record that a new stream must begin. */
export function isFarBack({ recorded, clock }: Position): boolean {
  if (clock === undefined) return false
  return timestampNanos(recorded) - timestampNanos(clock) > BigInt(clockBackMsMax) * 1_000_000n
}

export class Chain {
  readonly stream: string
  readonly epoch: number
  #sequence: number
  #hash: string | undefined
  #recorded: string

  constructor(head: ChainHead) {
    this.stream = head.stream
    this.epoch = head.epoch
    this.#sequence = head.sequence
    this.#hash = head.hash
    this.#recorded = head.recorded ?? ''
  }

  get head(): ChainHead {
    return {
      stream: this.stream,
      epoch: this.epoch,
      sequence: this.#sequence,
      hash: this.#hash,
      recorded: this.#recorded,
    }
  }

  /** The place of the next record, with a fresh id. `ms`: the clock that all writers of the stream share. */
  next(ms = nowMs()): Position {
    const raw = formatTimestamp(ms) ?? this.#recorded
    const behind = raw < this.#recorded // both have nine digits and `Z`: text order is time order
    return {
      id: newRecordId(ms),
      stream: this.stream,
      sequence: this.#sequence + 1,
      previousHash: this.#hash,
      epoch: this.epoch,
      recorded: behind ? this.#recorded : raw,
      clock: behind ? raw : undefined,
    }
  }

  /** The record at this place was appended; `hash` is its leaf hash. */
  advance(position: Position, hash: string): void {
    this.#sequence = position.sequence
    this.#hash = hash
    this.#recorded = position.recorded
  }
}
