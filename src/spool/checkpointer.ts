/**
 * The tree of one stream and its signed checkpoints, on the sync thread: counts in every durable record, and says when
 * a checkpoint is due. What it covers was durable and re-hashed from the file before it is signed.
 */

import { type CheckpointDetails, checkpointDetails, originOf } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import { Frontier } from '../chain/merkle.ts'
import type { Signer } from '../chain/note.ts'
import { monotonicMs } from '../clock.ts'
import { parseRecord } from '../event/record.ts'
import { checkpointIntervalMs, checkpointRecords } from '../limits.ts'
import { checkpointFlag, type DecodedFrame } from './format.ts'
import type { Positions } from './positions.ts'

/** Checkpoints handed over at most before one is sealed; further ones would only lag more. */
const pendingMax = 8

export interface CheckpointerStart {
  readonly deployment: string
  readonly stream: string
  readonly frontier: Frontier
  /** Of the last record in the tree. */
  readonly last: { readonly hash: string | undefined; readonly recorded: string | undefined }
}

export class Checkpointer {
  readonly #positions: Positions
  readonly #signer: Signer
  readonly #post: (size: number, details: CheckpointDetails) => void
  readonly #deployment: string
  #stream: string
  #frontier: Frontier
  #last: { hash: string | undefined; recorded: string | undefined; record: Buffer | undefined }
  #uncovered = 0
  #uncoveredSince = 0
  #made = 0

  constructor(
    start: CheckpointerStart,
    context: { positions: Positions; signer: Signer; post: (size: number, details: CheckpointDetails) => void },
  ) {
    this.#positions = context.positions
    this.#signer = context.signer
    this.#post = context.post
    this.#deployment = start.deployment
    this.#stream = start.stream
    this.#frontier = start.frontier
    this.#last = { ...start.last, record: undefined }
  }

  get stream(): string {
    return this.#stream
  }

  /** Records in the tree. */
  get size(): number {
    return this.#frontier.size
  }

  get hashes(): readonly Uint8Array[] {
    return this.#frontier.hashes()
  }

  /** Leaf hash of the last record. */
  get lastHash(): string | undefined {
    return this.#last.hash
  }

  /** `recorded` of the last record. */
  get lastRecorded(): string | undefined {
    return this.#last.record === undefined ? this.#last.recorded : parseRecord(this.#last.record)?.recorded
  }

  /** Counts in the next durable record. Throws when it is not the next. */
  count(frame: DecodedFrame): void {
    const hash = leafHash(frame.record)
    if (frame.sequence !== this.size + 1) throw new Error(`sequence ${frame.sequence} follows ${this.size}`)
    this.#frontier.append(hash)
    this.#last = { hash, record: frame.record, recorded: undefined }
    if ((frame.flags & checkpointFlag) !== 0) return
    if (this.#uncovered === 0) this.#uncoveredSince = monotonicMs()
    this.#uncovered += 1
    if (this.#uncovered >= checkpointRecords && this.#pending < pendingMax) this.make()
  }

  /** By time or at the end; the other reason, enough records, is looked at record by record. */
  isDue({ atEnd }: { atEnd: boolean }): boolean {
    if (this.#uncovered === 0 || this.#pending > 0) return false
    return atEnd || monotonicMs() - this.#uncoveredSince >= checkpointIntervalMs
  }

  /** When the next one is due by time, on the monotonic clock. */
  get dueAtMs(): number {
    const mayMake = this.#uncovered > 0 && this.#pending === 0
    return mayMake ? this.#uncoveredSince + checkpointIntervalMs : Number.POSITIVE_INFINITY
  }

  make(): void {
    const origin = originOf(this.#deployment, this.#stream)
    const details = checkpointDetails(this.#frontier, origin, this.#signer)
    this.#made += 1
    this.#uncovered = 0
    this.#post(this.size, details)
  }

  /** Everything in the tree is covered, but for checkpoint records. */
  get isCovered(): boolean {
    return this.#uncovered === 0 && this.#pending === 0
  }

  /** Another stream begins. */
  begin(stream: string): void {
    this.#stream = stream
    this.#frontier = new Frontier()
    this.#last = { hash: undefined, recorded: this.lastRecorded, record: undefined }
    this.#uncovered = 0
  }

  /** Handed over and not yet sealed: the application's event loop may be busy. */
  get #pending(): number {
    return this.#made - this.#positions.checkpointsSealed
  }
}
