/**
 * The quarantine of a destination of the journal: a record that it refuses by itself goes into the database, and delivery
 * goes on behind it; what operators decide about it is done here. Always holds: the record is durable there before the
 * cursor moves past it. That the journal says so is waited for, and owed where no sequencer is there to seal it.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import type { Destination } from '../destination/destination.ts'
import { errorText } from '../errors.ts'
import type { Connection } from '../postgres/client.ts'
import {
  answerRefused,
  isQuarantineSealed,
  listAsked,
  noteOutcome,
  type QuarantinedRecord,
  quarantineRecord,
} from '../postgres/quarantine.ts'
import type { Quarantine, SetAsideRun } from './quarantine.ts'

/** How long the journal's word is waited for, and how often it is looked for. */
const seal = { msMax: 10_000, lookMs: 50 }
/** How often decisions are looked for, and how long a destination that does not answer is left alone. */
const resolve = { lookMs: 1_000, restMs: 10_000 }

/** A database that only the process which delivers to the destination uses so. */
export interface JournalAccess {
  /** Runs statements there; rejects when the database is away, or another process delivers. */
  use<Result>(statements: (connection: Connection) => Promise<Result>): Promise<Result>
}

export interface JournalQuarantineParts {
  readonly journal: JournalAccess
  readonly destination: Pick<Destination, 'name' | 'send'>
  /** Has the journal say what it owes, where no sequencer is running beside. */
  readonly seal: (signal: AbortSignal) => Promise<void>
  /** Hears of a record that was set aside. */
  readonly onSetAside: (run: SetAsideRun) => void
}

export class JournalQuarantine implements Quarantine {
  readonly #parts: JournalQuarantineParts

  constructor(parts: JournalQuarantineParts) {
    this.#parts = parts
  }

  /** Forked records hold up what is behind them: a new stream of the journal is for its sequencer to begin. */
  follows(): boolean {
    return false
  }

  async setAside(run: SetAsideRun, signal: AbortSignal): Promise<string | undefined> {
    if (run.kind === 'forked') return 'the destination holds others in their place, and none of a journal is left out'
    const { journal, destination, onSetAside } = this.#parts
    try {
      for (const record of run.records) {
        const row = { destination: destination.name, record, reason: run.reason }
        await journal.use((connection) => quarantineRecord(connection, row)) // in their order
      }
      onSetAside(run)
      await this.#awaitSealed(run, signal)
      return undefined
    } catch (thrown) {
      return `they cannot be set aside: ${errorText(thrown)}`
    }
  }

  /** Does what operators have asked for, while the signal lasts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isAnswered = await this.#resolveAsked(signal).catch(() => false) // the source says that the database is away
      const pauseMs = isAnswered ? resolve.lookMs : resolve.restMs
      await sleep(pauseMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
    }
  }

  async #awaitSealed({ records }: SetAsideRun, signal: AbortSignal): Promise<void> {
    const { journal, destination } = this.#parts
    const last = records.at(-1)
    if (last === undefined) return
    const place = { destination: destination.name, stream: last.stream, sequence: last.sequence }
    const untilMs = monotonicMs() + seal.msMax
    while (!signal.aborted && monotonicMs() < untilMs) {
      await this.#parts.seal(signal)
      if (await journal.use((connection) => isQuarantineSealed(connection, place))) return
      await sleep(seal.lookMs, undefined, { signal }).catch(() => {}) // as above
    }
  }

  /** False when the destination did not answer. */
  async #resolveAsked(signal: AbortSignal): Promise<boolean> {
    const { journal, destination } = this.#parts
    const asked = await journal.use((connection) => listAsked(connection, destination.name))
    let isAnswered = true
    for (const one of asked) {
      isAnswered = (await this.#resolve(one, signal)) && isAnswered // one after the other, as delivery does
    }
    return isAnswered
  }

  async #resolve(one: QuarantinedRecord, signal: AbortSignal): Promise<boolean> {
    const { journal, destination } = this.#parts
    const { stream, sequence, record: bytes } = one
    if (one.asked === 'retry') {
      const batch = { records: [{ stream, sequence, bytes }], bytes: bytes.length }
      const delivery = await destination.send(batch, signal)
      if (delivery.status === 'retry') return false
      if (delivery.status === 'rejected') {
        await journal.use((connection) => answerRefused(connection, one, delivery.reason))
        return true
      }
    }
    const outcome = one.asked === 'retry' ? 'delivered' : 'discarded'
    await journal.use((connection) => noteOutcome(connection, one, outcome))
    return true
  }
}
