/**
 * Delivers to a PostgreSQL database with our schema. One connection of its own, opened when first needed; a small batch is
 * one statement, a large one goes by COPY, and while the server takes its rows those of the next are made ready. A
 * repeated batch changes nothing. A record that contradicts what the database holds is refused and named, never written
 * over it; anything else that goes wrong is `retry`, so that no record is given up.
 */

import { errorCode, errorText } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { type CopyingConnection, createConnection } from '../postgres/client.ts'
import { copyRecords, isCopyable, prepareCopy } from '../postgres/copy-records.ts'
import { appendDisclosing } from '../postgres/disclosures.ts'
import { deriveColumns, isStreamId, type ProjectedRecord } from '../postgres/projection.ts'
import {
  type AppendOutcome,
  appendRecords,
  crossGap,
  encodeRecords,
  ensurePartitions,
  readHead,
} from '../postgres/records.ts'
import { type RefillOutcome, refillRecords } from '../postgres/refill.ts'
import type { Batch, DeclaredGap, Delivery, Destination, ForkedRecord, HeadReading, Retry } from './destination.ts'
import type { PostgresDestinationOptions } from './options.ts'

/** Bounds on waiting for the server, in milliseconds. */
export interface PostgresTimeouts {
  readonly connectMsMax?: number | undefined
  readonly queryMsMax?: number | undefined
}

/** Throws `INVALID_OPTION` for a URL that is none; does not connect. */
export function createPostgresDestination(
  options: PostgresDestinationOptions,
  timeouts: PostgresTimeouts = {},
): Destination {
  return new PostgresDestination(options, timeouts)
}

/** How far a sending is: its rows are on their way; it is over. Both come true whatever happens. */
interface Turn {
  readonly sent: Promise<void>
  readonly isDelivered: Promise<boolean>
}

const nothingBefore: Turn = { sent: Promise.resolve(), isDelivered: Promise.resolve(true) }

interface AppendHow {
  /** What the database must hold. */
  readonly after: Batch['after']
  /** Called when only the server has still something to do. */
  readonly onSent: () => void
}

/** Appends what was made ready. */
type Append = (connection: CopyingConnection, how: AppendHow) => Promise<AppendOutcome[]>

class PostgresDestination implements Destination {
  readonly name: string
  /** One is made ready while the server takes the rows of the other; they reach it in order. */
  readonly sendingsMax = 2
  readonly keepsChain = true
  readonly keepsDisclosures = true
  readonly #connect: () => CopyingConnection
  #connection: CopyingConnection | undefined
  /** The sending that began last, while it lasts. */
  #last = nothingBefore

  constructor(options: PostgresDestinationOptions, timeouts: PostgresTimeouts) {
    this.name = options.name ?? options.type
    this.#connect = () => createConnection({ url: options.url, ...timeouts })
    // Says now whether the URL can be used at all; an unopened connection holds nothing.
    this.#connect().destroy()
  }

  async send(batch: Batch, signal: AbortSignal): Promise<Delivery> {
    return this.#inTurn((before, onSent) => this.#sendBehind(before, batch, { signal, onSent }))
  }

  async putBack(batch: Batch, signal: AbortSignal): Promise<Delivery> {
    const records = batch.records.map(deriveColumns)
    const isUndated = records.some(({ columns }) => columns.recorded_at === null)
    const fault = isUndated ? 'a record has no time of its own' : findBreak(records)
    if (fault !== undefined) return { status: 'rejected', reason: fault }
    const refill = (connection: CopyingConnection) => refillRecords(connection, records)
    let delivery: Delivery = { status: 'retry', reason: 'it was not its turn' }
    await this.#inTurn(async (before) => {
      await before.isDelivered
      delivery = await this.#attempt(signal, async () => toDelivery(await this.#inPartitions(records, refill)))
      return { status: 'delivered' } // the batch behind it does not depend on it
    })
    return delivery
  }

  async #inTurn(send: (before: Turn, onSent: () => void) => Promise<Delivery>): Promise<Delivery> {
    const before = this.#last
    const sent = Promise.withResolvers<void>()
    const isDelivered = Promise.withResolvers<boolean>()
    const turn: Turn = { sent: sent.promise, isDelivered: isDelivered.promise }
    this.#last = turn
    let delivery: Delivery | undefined
    try {
      await before.sent // until then it wants this thread itself
      delivery = await send(before, sent.resolve)
      return delivery
    } finally {
      if (this.#last === turn) this.#last = nothingBefore
      sent.resolve()
      isDelivered.resolve(delivery?.status === 'delivered')
    }
  }

  async #sendBehind(
    before: Turn,
    batch: Batch,
    { signal, onSent }: { signal: AbortSignal; onSent: () => void },
  ): Promise<Delivery> {
    const records = batch.records.map(deriveColumns)
    const fault = findBreak(records)
    if (fault !== undefined) return { status: 'rejected', reason: fault }
    const append = prepare(records)
    if (!(await before.isDelivered)) return { status: 'retry', reason: 'the batch before it did not arrive' }
    const { after } = batch
    return this.#attempt(signal, async () => judge(batch, await this.#append(records, append, { after, onSent })))
  }

  async head(stream: string, signal: AbortSignal): Promise<HeadReading> {
    if (!isStreamId(stream)) return { status: 'known', head: undefined }
    return this.#attempt(signal, async () => ({ status: 'known', head: await readHead(await this.#opened(), stream) }))
  }

  async cross(gap: DeclaredGap, signal: AbortSignal): Promise<Delivery> {
    return this.#attempt(signal, async () => {
      const isMoved = await crossGap(await this.#opened(), gap)
      return isMoved
        ? { status: 'delivered' }
        : { status: 'retry', reason: 'the head of the stream has moved meanwhile' }
    })
  }

  /** Whatever goes wrong on the way is `retry`; an abort ends it at once. */
  async #attempt<Answer>(signal: AbortSignal, ask: () => Promise<Answer>): Promise<Answer | Retry> {
    if (signal.aborted) return { status: 'retry', reason: 'stopped before the database was asked' }
    const drop = () => this.#drop()
    signal.addEventListener('abort', drop, { once: true })
    try {
      return await ask()
    } catch (thrown) {
      // Whatever state the connection is in, a new one is in none.
      this.#drop()
      return { status: 'retry', reason: signal.aborted ? 'stopped while sending' : explain(thrown) }
    } finally {
      signal.removeEventListener('abort', drop)
    }
  }

  async close(): Promise<void> {
    this.#drop()
  }

  #append(records: readonly ProjectedRecord[], append: Append, how: AppendHow): Promise<AppendOutcome[]> {
    return this.#inPartitions(records, (connection) => append(connection, how))
  }

  /** Once more, where the partition of a record was missing. */
  async #inPartitions<Outcome>(
    records: readonly ProjectedRecord[],
    put: (connection: CopyingConnection) => Promise<Outcome>,
  ): Promise<Outcome> {
    const connection = await this.#opened()
    try {
      return await put(connection)
    } catch (thrown) {
      if (!isPartitionMissing(thrown)) throw thrown
      await ensurePartitions(connection, daysOf(records))
      return await put(connection)
    }
  }

  async #opened(): Promise<CopyingConnection> {
    if (this.#connection !== undefined) return this.#connection
    const connection = this.#connect()
    this.#connection = connection
    await connection.open()
    return connection
  }

  #drop(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }
}

/** Makes everything ready that does not need the server. */
function prepare(records: readonly ProjectedRecord[]): Append {
  if (isCopyable(records)) {
    const prepared = prepareCopy(records)
    return (connection, how) => copyRecords(connection, prepared, how)
  }
  const isDisclosing = records.some(({ disclosures }) => disclosures !== undefined)
  if (isDisclosing) return (connection, { after }) => appendDisclosing(connection, records, after)
  const arrays = encodeRecords(records)
  return (connection, { after }) => appendRecords(connection, arrays, after)
}

/** Says where records of one stream do not follow one another: no database would be asked to believe that. */
function findBreak(records: readonly ProjectedRecord[]): string | undefined {
  const last = new Map<string, ProjectedRecord>()
  for (const record of records) {
    const { stream, sequence, columns, underived } = record
    const before = last.get(stream)
    last.set(stream, record)
    if (before === undefined) {
      if (!isStreamId(stream)) return `stream ${stream} is not a UUID`
      continue
    }
    if (sequence !== before.sequence + 1) {
      return `stream ${stream}: sequence ${before.sequence} is followed by ${sequence} in the batch`
    }
    if (columns.prev_hash !== before.columns.hash && !underived.includes('prev_hash')) {
      const hashes = `expected ${before.columns.hash}, found ${columns.prev_hash}`
      return `stream ${stream}, sequence ${sequence} does not follow the record before it in the batch: prev ${hashes}`
    }
  }
  return undefined
}

/** Delivered when no stream was refused; otherwise the records from each refused one on. */
function judge({ records, after }: Batch, outcomes: readonly AppendOutcome[]): Delivery {
  if (outcomes.length === 0 && after !== undefined) {
    const reason = `the database does not hold record ${after.sequence} of stream ${after.stream}, which it had`
    return { status: 'rejected', reason, isBehind: true }
  }
  const refusals = outcomes.filter(({ status }) => status !== 'appended')
  if (refusals.length === 0) return { status: 'delivered' }
  const indexes = [...records.keys()].filter((index) => {
    const record = records[index]
    return refusals.some((refusal) => {
      return refusal.stream === record?.stream && record.sequence >= (refusal.refusedSequence ?? 1)
    })
  })
  const isBehind = refusals.some(({ status }) => status === 'gap')
  const reason = refusals.map(describeRefusal).join('; ')
  return { status: 'rejected', reason, indexes, ...(isBehind && { isBehind }), ...forkIn(records, refusals) }
}

function toDelivery(outcome: RefillOutcome): Delivery {
  if (outcome.status === 'filled') return { status: 'delivered' }
  if (outcome.status === 'short') return { status: 'retry', reason: `the database holds it up to ${outcome.head} only` }
  const { sequence, expected, found } = outcome
  return { status: 'rejected', reason: `sequence ${sequence}: fork, expected ${expected}, found ${found}` }
}

/** A fork is for ever; a gap may close, and what is lost may come back. */
function forkIn(records: readonly StoredRecord[], refusals: readonly AppendOutcome[]): { forked?: ForkedRecord } {
  for (const [index, { stream, sequence }] of records.entries()) {
    const isThis = (one: AppendOutcome) => one.stream === stream && one.refusedSequence === sequence
    const fork = refusals.find((one) => one.status === 'fork' && isThis(one))
    if (fork === undefined) continue
    const held = { sequence: Math.min(sequence, fork.headSequence), hash: fork.heldHash ?? undefined }
    return { forked: { index, held } }
  }
  return {}
}

function describeRefusal(refusal: AppendOutcome): string {
  const { stream, status, headSequence, refusedSequence, heldHash, sentHash } = refusal
  const place = `stream ${stream}, sequence ${refusedSequence}`
  if (status === 'gap') return `${place}: gap, the database holds the stream up to ${headSequence} (${heldHash})`
  if (status === 'lost') return `${place}: lies below the head ${headSequence}, but the database does not hold it`
  const followsHead = refusedSequence !== null && refusedSequence > headSequence
  const what = followsHead ? `does not follow the held record ${headSequence}` : 'is held with another hash'
  return `${place}: fork, it ${what}: expected ${heldHash}, found ${sentHash}`
}

/** Raised by PostgreSQL as a check violation of the table that names no constraint. */
function isPartitionMissing(thrown: unknown): boolean {
  const { table, constraint } = thrown as { table?: unknown; constraint?: unknown }
  return errorCode(thrown) === '23514' && table === 'record' && constraint === undefined
}

/** The first instant of each day of a batch; null for a record that will be filed under its arrival. */
function daysOf(records: readonly ProjectedRecord[]): Set<string | null> {
  const recorded = records.map(({ columns }) => columns.recorded_at)
  return new Set(recorded.map((time) => (time === null ? null : `${time.slice(0, 10)}T00:00:00Z`)))
}

function explain(thrown: unknown): string {
  const text = errorText(thrown)
  switch (errorCode(thrown)) {
    case '3F000': // no schema
    case '42P01': // no table
    case '42883': // no function
      return `the audit schema is missing or older than this version: run \`otel-audit migrate up\` (${text})`
    case '55P03': // lock not available
      return `another writer holds the head of the stream (${text})`
    default:
      return text === 'timeout expired' ? 'the database does not answer an attempt to connect' : text // pg's whole message
  }
}
