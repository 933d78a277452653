/**
 * A sequencer at work: one connection of its own, made anew when it is lost; looks for events at an interval that grows
 * while there are none; seals until told to stop, and then signs what is left to be signed. It listens to nothing: a
 * NOTIFY in the business transaction would make all of them wait for one another.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import { AuditError, errorCode } from '../errors.ts'
import { type Connection, type ConnectOptions, createConnection } from './client.ts'
import { explainTrouble } from './explain.ts'
import { readJournal } from './journal.ts'
import { hasEvents, readBacklog } from './outbox.ts'
import { owesFacts } from './quarantine.ts'
import { ensurePartition } from './records.ts'
import { type BatchOutcome, Sequencer, type SequencerParts } from './sequencer.ts'

/** Most events of one transaction: a few portions, so that its end is waited for less often. */
const batchEvents = 4_000
/** How soon a new event is noticed behind others, and when there has been none for a while, in milliseconds. */
const pollMs = { first: 10, most: 500 }
/** After a failure. */
const retryMs = { first: 100, most: 10_000 }
/** Longest wait for the last checkpoint when it ends. */
const lastSignMs = 3_000
/** How often the backlog is counted. */
const backlogMs = 5_000
/** How often the whole outbox is looked at, in milliseconds, and how many times as long as such a look takes. */
const wholeLook = { ms: 1_000, times: 20 }

/** How a sequencer stands. */
export interface SequencerState {
  readonly condition: 'ok' | 'failing'
  readonly lastError: string | undefined
  /** Why what is sealed is not signed yet: standbys that must hold it are behind, or away. */
  readonly unconfirmed?: string | undefined
  /** Events sealed since the start. */
  readonly sealed: number
  /** Events that wait, counted up to 100,000, and the age of the oldest in seconds; as they were last counted. */
  readonly backlog: number
  readonly oldestSeconds: number
}

/** How a sequencer stands that has not looked yet. */
export const untried: SequencerState = {
  condition: 'ok',
  lastError: undefined,
  sealed: 0,
  backlog: 0,
  oldestSeconds: 0,
}

export interface SequencingOptions extends SequencerParts, Pick<ConnectOptions, 'url'> {
  /** For tests, which hurt the connection. */
  readonly connect?: (() => Connection) | undefined
  /** Called when the condition changes. */
  readonly onChange?: ((state: SequencerState) => void) | undefined
}

export class Sequencing {
  readonly #options: SequencingOptions
  readonly #sequencer: Sequencer
  #connection: Connection | undefined
  #state = untried
  /** Below this number the outbox was empty: dead rows before it need not be read again and again. */
  #above = 0
  #wholeLookAtMs = 0
  /** On a connection that has sealed nothing yet: whether the database is the one that was left is asked at once. */
  #isNew = true
  #backlogAtMs = 0

  /** Throws `INVALID_OPTION` for a URL that is none; does not connect. */
  constructor(options: SequencingOptions) {
    this.#options = options
    this.#sequencer = new Sequencer(options)
    createConnection(options).destroy()
  }

  get state(): SequencerState {
    return this.#state
  }

  /** Seals until the signal aborts, whatever happens. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = pollMs.first
    while (!signal.aborted) {
      const sealed = await this.#attempt(() => this.#sealWaiting(signal), signal)
      if (sealed === undefined) pauseMs = Math.min(retryMs.most, Math.max(retryMs.first, pauseMs * 2))
      else pauseMs = sealed > 0 ? pollMs.first : Math.min(pollMs.most, pauseMs * 2)
      await sleep(pauseMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
    }
    const end = AbortSignal.timeout(lastSignMs)
    await this.#attempt(() => this.#sign(), end)
    this.#drop()
  }

  /** Seals what is there and signs it, then ends. Rejects with what went wrong. */
  async drain(signal: AbortSignal): Promise<number> {
    try {
      this.#wholeLookAtMs = 0
      const sealed = await this.#sealWaiting(signal)
      await this.#sign()
      if (this.#sequencer.unconfirmed !== undefined) throw notSigned(this.#sequencer.unconfirmed)
      return sealed
    } finally {
      this.#drop()
    }
  }

  /** Whatever goes wrong is tried again, on another connection. `undefined`: it went wrong. */
  async #attempt(act: () => Promise<number>, signal: AbortSignal): Promise<number | undefined> {
    const drop = () => this.#drop()
    signal.addEventListener('abort', drop, { once: true })
    try {
      const sealed = await act()
      const { unconfirmed } = this.#sequencer
      this.#enter({ ...this.#state, condition: 'ok', lastError: undefined, unconfirmed })
      return sealed
    } catch (thrown) {
      this.#drop()
      if (!signal.aborted) this.#enter({ ...this.#state, condition: 'failing', lastError: explainTrouble(thrown) })
      return undefined
    } finally {
      signal.removeEventListener('abort', drop)
    }
  }

  /** Seals batches until the outbox looks empty or another sequencer is at it; to how many events. */
  async #sealWaiting(signal: AbortSignal): Promise<number> {
    const connection = await this.#opened()
    let sealed = 0
    for (;;) {
      await this.#look(connection)
      if (!(await this.#isWanted(connection))) break
      const outcome = await this.#seal(connection, false)
      if (outcome.status !== 'sealed') break
      sealed += outcome.events
      this.#state = { ...this.#state, sealed: this.#state.sealed + outcome.events }
      this.#above = Math.max(this.#above, outcome.lastNumber)
      if (signal.aborted || outcome.events === 0) break
    }
    return sealed
  }

  /** Without a lock: whether there are events above the low water, facts to seal, or records to sign. */
  async #isWanted(connection: Connection): Promise<boolean> {
    if (this.#isNew || (await hasEvents(connection, this.#above)) || (await owesFacts(connection))) return true
    const journal = await readJournal(connection)
    const isUnsigned = journal !== undefined && journal.unsigned > 0
    if (!isUnsigned) this.#sequencer.forgetUnconfirmed()
    return isUnsigned
  }

  async #sign(): Promise<number> {
    const connection = await this.#opened()
    const journal = await readJournal(connection)
    if (journal !== undefined && journal.unsigned > 0) await this.#seal(connection, true)
    return 0
  }

  async #seal(connection: Connection, signs: boolean): Promise<BatchOutcome> {
    this.#isNew = false
    const limit = { above: this.#above, events: batchEvents, signs }
    try {
      return await this.#sequencer.sealBatch(connection, limit)
    } catch (thrown) {
      if (errorCode(thrown) !== missingPartition) throw thrown
      await ensurePartition(connection, null)
      return await this.#sequencer.sealBatch(connection, limit)
    }
  }

  /** From the beginning now and then: a transaction may commit late what it has inserted early. */
  async #look(connection: Connection): Promise<void> {
    const atMs = monotonicMs()
    if (atMs >= this.#wholeLookAtMs) {
      this.#above = 0
      await hasEvents(connection, 0)
      const tookMs = monotonicMs() - atMs
      this.#wholeLookAtMs = atMs + Math.max(wholeLook.ms, wholeLook.times * tookMs)
    }
    if (atMs < this.#backlogAtMs) return
    const { events, oldestSeconds } = await readBacklog(connection)
    this.#state = { ...this.#state, backlog: events, oldestSeconds }
    this.#backlogAtMs = atMs + backlogMs
  }

  async #opened(): Promise<Connection> {
    if (this.#connection !== undefined) return this.#connection
    const { url, connect = () => createConnection({ url }) } = this.#options
    const connection = connect()
    this.#isNew = true
    this.#connection = connection
    await connection.open()
    return connection
  }

  #drop(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  #enter(state: SequencerState): void {
    const is = this.#state
    const changes =
      state.condition !== is.condition || state.lastError !== is.lastError || state.unconfirmed !== is.unconfirmed
    this.#state = state
    if (changes) this.#options.onChange?.(state)
  }
}

const missingPartition = '23514'

function notSigned(reason: string): AuditError {
  return new AuditError('SOURCE_UNREADABLE', `what is sealed is not signed: ${reason}`, {
    setting: 'outbox.standbys',
    hint: 'Nothing is lost: run it again when standbys hold it.',
  })
}
