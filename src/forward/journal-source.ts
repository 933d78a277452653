/**
 * The journal of a database as a destination's source of records. Always holds: what is handed out is committed, on disk
 * behind a commit of ours, and held by the standbys that count (`postgres/standbys.ts`), so that no failover takes it
 * back; its head lies in the local file, so that a database that loses it is found out. The cursor lies in the database
 * and may lag, which after a crash costs repetitions and nothing else. A database that is away is waited for.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import type { StoredRecord } from '../event/record.ts'
import { type Connection, createConnection } from '../postgres/client.ts'
import { openAlone } from '../postgres/destination-lock.ts'
import { explainTrouble } from '../postgres/explain.ts'
import { readHead } from '../postgres/records.ts'
import { lacksHead, type SeenHead, type SeenHeadFile } from '../postgres/seen-head.ts'
import {
  type JournalPlace,
  readBehind,
  readCursor,
  readJournalHead,
  readNextStream,
  saveCursor,
} from '../postgres/sink-cursor.ts'
import { type StandbyDemand, Standbys } from '../postgres/standbys.ts'
import type { RecordSource } from './source.ts'

/** How soon new records are noticed while there is traffic, and when there has been none for a while. */
const pollMs = { first: 20, most: 500 }
/** Why nothing is read here: another process has the lock of this destination. */
export const deliveredElsewhere = 'another process delivers to it'
/** Longest wait for standbys before it is said that they do not come. */
const heldMsMax = 2_000
/** How often the cursor is saved while records flow. */
const saveIntervalMs = 200

export interface JournalSourceOptions {
  readonly url: string
  /** The destination's durable name. */
  readonly name: string
  readonly seen: SeenHeadFile
  /** How many must hold what is handed out. */
  readonly standbys?: StandbyDemand
  /** Hears why nothing is read, once for each reason; `undefined`: it goes on. */
  readonly onObstacle: (reason: string | undefined) => void
  readonly connect?: (() => Connection) | undefined
}

export class JournalSource implements RecordSource {
  readonly #options: JournalSourceOptions
  #connection: Connection | undefined
  #opening: Promise<Connection> | undefined
  #isClosed = false
  /** Up to where records were handed out; before the first one, nothing. */
  #place: JournalPlace | undefined
  #hasPlace = false
  /** The end of what may be handed out of the stream of `#place`. */
  #upTo = 0
  /** The head of the journal as it was last looked at. */
  #head: SeenHead | undefined
  #confirmed: JournalPlace | undefined
  #saved: JournalPlace | undefined
  #savedAtMs = Number.NEGATIVE_INFINITY
  #saving: Promise<void> = Promise.resolve()
  #obstacle: string | undefined
  #pauseMs = pollMs.first
  readonly #standbys: Standbys
  /** Why what is there is not handed out yet. */
  #unheld: string | undefined

  constructor(options: JournalSourceOptions) {
    this.#options = options
    this.#standbys = new Standbys(options.standbys)
  }

  /** Why nothing is read. */
  get obstacle(): string | undefined {
    return this.#obstacle
  }

  async next(limit: { records: number; bytes: number }): Promise<readonly StoredRecord[]> {
    try {
      const records = await this.#read(limit)
      this.#meet(records.length > 0 ? undefined : this.#unheld)
      this.#pauseMs = records.length > 0 ? pollMs.first : Math.min(pollMs.most, this.#pauseMs * 2)
      return records
    } catch (thrown) {
      this.#drop()
      this.#meet(explainTrouble(thrown))
      this.#pauseMs = pollMs.most
      return []
    }
  }

  confirm({ stream, sequence }: StoredRecord): void {
    this.#confirmed = { stream, sequence }
    if (monotonicMs() - this.#savedAtMs >= saveIntervalMs) this.settle()
  }

  /** Begins to save; `close` waits for the end of that. */
  settle(): void {
    this.#savedAtMs = monotonicMs()
    this.#saving = this.#saving.then(() => this.#save())
  }

  async waitForMore(signal: AbortSignal): Promise<void> {
    if (this.#confirmed !== this.#saved && monotonicMs() - this.#savedAtMs >= saveIntervalMs) this.settle()
    await sleep(this.#pauseMs, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
  }

  backlog(): number | undefined {
    const confirmed = this.#confirmed
    if (confirmed === undefined) return undefined
    const ends = [
      ...(confirmed.stream === this.#place?.stream ? [this.#upTo] : []),
      ...(confirmed.stream === this.#head?.stream ? [this.#head.sequence] : []),
    ]
    return ends.length === 0 ? undefined : Math.max(...ends) - confirmed.sequence
  }

  /** Has `backlog` count what was sealed meanwhile. Rejects as `use`. */
  async look(): Promise<void> {
    this.#head = await this.use(readJournalHead)
  }

  /** Runs statements on the connection that delivers; rejects when the database is away, or another process delivers. */
  async use<Result>(statements: (connection: Connection) => Promise<Result>): Promise<Result> {
    const connection = await this.#opened()
    try {
      return await statements(connection)
    } catch (thrown) {
      if (connection === this.#connection) this.#drop()
      throw thrown
    }
  }

  /** What was confirmed is saved, as far as the database can be reached. */
  async close(): Promise<void> {
    this.settle()
    await this.#saving
    this.#isClosed = true
    this.#drop()
  }

  async #read(limit: { records: number; bytes: number }): Promise<readonly StoredRecord[]> {
    const connection = await this.#opened()
    if (this.#place === undefined || this.#place.sequence >= this.#upTo) await this.#advance(connection)
    if (this.#place === undefined || this.#place.sequence >= this.#upTo) return []
    const { stream } = this.#place
    const found = await readBehind(connection, this.#place, { upTo: this.#upTo, records: limit.records })
    const records = takeBytes(found, limit.bytes)
    const last = records.at(-1)
    if (last !== undefined) this.#place = { stream, sequence: last.sequence }
    return records
  }

  /** Looks how far the journal is now, in the stream at hand or in the one that follows it. */
  async #advance(connection: Connection): Promise<void> {
    const { seen, name } = this.#options
    const head = await readJournalHead(connection)
    if (head === undefined) return
    this.#head = head
    if (seen.head !== undefined && (await lacksHead(connection, seen.head)))
      throw new Error('the database lacks records that were seen here: waiting for a new stream')
    const end = await this.#endOf(connection, head)
    this.#unheld = undefined
    if (end === undefined) return
    // A commit behind all that was read: what is on disk when it returns has all of that before it.
    const { commitWaits } = await this.#standbys.look(connection)
    await saveCursor(connection, name, { waits: commitWaits })
    this.#unheld = await this.#standbys.awaitHeld(connection, heldMsMax)
    if (this.#unheld !== undefined) return
    seen.note(head)
    this.#place = end.place
    this.#upTo = end.upTo
  }

  async #endOf(
    connection: Connection,
    head: SeenHead,
  ): Promise<{ readonly place: JournalPlace; readonly upTo: number } | undefined> {
    let place = this.#place
    for (;;) {
      const upTo = place === undefined ? 0 : await endOfStream(connection, place.stream, head)
      if (place !== undefined && upTo > place.sequence) return { place, upTo }
      // One stream after the other: the next one begins where this one has ended.
      const next = await readNextStream(connection, place?.stream)
      if (next === undefined) return undefined
      place = { stream: next, sequence: 0 }
    }
  }

  /** Rejects while another process delivers to this destination. */
  #opened(): Promise<Connection> {
    if (this.#connection !== undefined) return Promise.resolve(this.#connection)
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #open(): Promise<Connection> {
    if (this.#isClosed) throw new Error('closed')
    const { url, name, connect = () => createConnection({ url }) } = this.#options
    const connection = await openAlone(connect, name)
    if (connection === undefined) throw new Error(deliveredElsewhere)
    try {
      if (!this.#hasPlace) {
        this.#place = await readCursor(connection, name)
        this.#confirmed = this.#place
        this.#saved = this.#place
        this.#hasPlace = true
      }
    } catch (thrown) {
      connection.destroy()
      throw thrown
    }
    this.#connection = connection
    return connection
  }

  async #save(): Promise<void> {
    const confirmed = this.#confirmed
    if (confirmed === undefined || confirmed === this.#saved || this.#connection === undefined) return
    try {
      await saveCursor(this.#connection, this.#options.name, { place: confirmed })
      this.#saved = confirmed
    } catch {
      this.#drop() // the cursor lags, and is saved when the database is back
    }
  }

  #drop(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  #meet(obstacle: string | undefined): void {
    if (obstacle === this.#obstacle) return
    this.#obstacle = obstacle
    this.#options.onObstacle(obstacle)
  }
}

async function endOfStream(connection: Connection, stream: string, head: SeenHead): Promise<number> {
  if (stream === head.stream) return head.sequence
  return (await readHead(connection, stream))?.sequence ?? 0
}

/** As many as there are bytes for, and at least one. */
function takeBytes(records: readonly StoredRecord[], bytesMax: number): readonly StoredRecord[] {
  let bytes = 0
  const end = records.findIndex((record) => {
    const isOver = bytes >= bytesMax
    bytes += record.bytes.length
    return isOver
  })
  return end === -1 ? records : records.slice(0, end)
}
