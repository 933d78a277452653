/**
 * Delivery by another process, as far as its cursor files tell: how far each destination is, and waiting until one has
 * a record. Always holds: nothing is written here but the wish to be quick (`flush`). What the other process knows
 * beyond its cursors, failures above all, is not known here.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import { AuditError, errorCode } from '../errors.ts'
import { type RecordNumber, readCursor } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'
import { requestFlush } from '../spool/flush-request.ts'
import { setAsideKinds } from '../spool/set-aside.ts'
import type { FlushOnly, FlushOutcome } from './flushes.ts'
import { type OwnSpool, OwnStream, streamsIn } from './own-stream.ts'
import { QuarantineFolder, type SealedRecord } from './quarantine-folder.ts'
import type { ForwarderState } from './standing.ts'

/** How often cursors are looked at while somebody waits: soon at first, then less often. */
const lookMs = { first: 5, most: 100 }
/** How often the wish is repeated: whoever delivers may have been away. */
const askMs = 1_000

export class ExternalView {
  readonly #files: Files
  readonly #spool: OwnSpool
  readonly #names: readonly string[]
  readonly #own: OwnStream

  /** `names`: of the destinations, in the order in which they are told. */
  constructor(files: Files, spool: OwnSpool, names: readonly string[]) {
    this.#files = files
    this.#spool = spool
    this.#names = names
    this.#own = new OwnStream(files, spool)
  }

  states(): ForwarderState[] {
    const end = this.#own.end()
    return this.#names.map((name) => {
      const confirmed = this.#confirmedBy(name)
      const backlog =
        end !== undefined && confirmed?.stream === end.stream ? end.sequence - confirmed.sequence : undefined
      const counts = { delivered: 0, quarantined: 0, failures: 0 }
      return {
        name,
        condition: 'elsewhere',
        confirmed,
        ...counts,
        backlog: backlog === undefined ? undefined : Math.max(0, backlog),
      }
    })
  }

  /**
   * Asks for speed and waits until the destination that is meant has the record, or every destination what is durable
   * at the call. `stopped` when the signal aborts first.
   */
  async flush(only: FlushOnly | undefined, signal: AbortSignal): Promise<FlushOutcome> {
    const names = only === undefined ? this.#names : [only.name]
    let record: RecordNumber | undefined = only?.record
    let pauseMs = lookMs.first
    for (let askedMs = Number.NEGATIVE_INFINITY; !signal.aborted; ) {
      const wanted = record ?? this.#lastDurable()
      record = wanted
      if (wanted !== undefined && names.every((name) => this.#has(name, wanted))) return this.#outcomeFor(only)
      if (monotonicMs() - askedMs >= askMs) {
        requestFlush(this.#files, this.#spool.directory)
        askedMs = monotonicMs()
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
      pauseMs = Math.min(lookMs.most, pauseMs * 2)
    }
    return 'stopped'
  }

  /** A stream that has just begun has no durable record yet. */
  #lastDurable(): RecordNumber | undefined {
    const end = this.#own.end()
    return end === undefined || end.sequence === 0 ? undefined : end
  }

  #outcomeFor(only: FlushOnly | undefined): FlushOutcome {
    return only !== undefined && this.#isSetAside(only.name, only.record) ? 'quarantined' : 'confirmed'
  }

  #isSetAside(name: string, record: SealedRecord): boolean {
    const { directory } = this.#spool
    return setAsideKinds.some((kind) => new QuarantineFolder(this.#files, directory, { kind, name }).holds(record))
  }

  #has(name: string, record: RecordNumber): boolean {
    const confirmed = this.#confirmedBy(name)
    if (confirmed === undefined) return false
    if (confirmed.stream === record.stream) return confirmed.sequence >= record.sequence
    return this.#isLater(confirmed.stream, record.stream)
  }

  /** Delivery goes in order. A stream whose segments are gone is behind every destination. */
  #isLater(stream: string, than: string): boolean {
    const streams = this.#streams()
    const at = streams.lastIndexOf(stream)
    return at >= 0 && at > streams.lastIndexOf(than)
  }

  #streams(): string[] {
    return attempt(() => streamsIn(this.#files, this.#spool)) ?? []
  }

  #confirmedBy(name: string): RecordNumber | undefined {
    return attempt(() => readCursor(this.#files, this.#spool.directory, name))?.confirmed
  }
}

/** What cannot be read now is not known now: the next look tells. */
function attempt<Result>(look: () => Result): Result | undefined {
  try {
    return look()
  } catch (error) {
    if (error instanceof AuditError || errorCode(error) !== undefined) return undefined
    throw error
  }
}
