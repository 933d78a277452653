/**
 * Restores records from a copy into a database. Reads the copy twice: first to find what is wanted, with the checkpoints
 * that prove it, and to follow the chain to a hash that the database has kept of what it removed; then to put back what
 * has the same hashes still. What the database never removed goes the way of a delivery, under its rules.
 */

import { hash } from 'node:crypto'
import { createPostgresDestination } from '../destination/postgres.ts'
import { errorText } from '../errors.ts'
import type { ControlFact, StoredRecord } from '../event/record.ts'
import { type CopyingConnection, withConnection } from '../postgres/client.ts'
import { deriveColumns } from '../postgres/projection.ts'
import { keepRestored, putBackRecords, type RemovedRange, readRemoved } from '../postgres/restore.ts'
import { withRetentionLock } from '../postgres/retention-ranges.ts'
import { type Link, readLink } from '../verify/link.ts'
import type { Source } from '../verify/source.ts'
import { blockOf, isWanted, type RestorePlan, StreamSurvey, type WantedRecords } from './restore-survey.ts'
import { hasArrived } from './retention.ts'

export interface RestoreRound {
  readonly url: string
  /** Opens the copy; twice. */
  readonly open: () => Promise<Source>
  readonly wanted: WantedRecords
  /** RFC 3339: until then retention leaves what it had removed. */
  readonly until: string
  /** Seals in a stream that is delivered to this database; its place once it is durable. */
  readonly seal: (fact: ControlFact) => Promise<{ readonly stream: string; readonly sequence: number } | undefined>
  readonly onProgress?: ((progress: { readonly read: number; readonly restored: number }) => void) | undefined
  readonly signal: AbortSignal
}

/** What became of one stream. */
export interface StreamRestore {
  readonly stream: string
  /** With the checkpoints around what was wanted; 0 where nothing is taken. */
  readonly from: number
  readonly to: number
  /** Records that had been removed and are there again. */
  readonly restored: number
  /** Records that were delivered: new there, or there already with the same bytes. */
  readonly delivered: number
  readonly refused?: string
}

export interface RestoreReport {
  /** Records that the copy holds. */
  readonly read: number
  readonly until: string
  readonly streams: readonly StreamRestore[]
}

/** Runs it; `undefined` while retention works on this database. Rejects when database or copy do. */
export function restoreRecords(round: RestoreRound): Promise<RestoreReport | undefined> {
  return withRetentionLock(round.url, () =>
    withConnection({ url: round.url, queryMsMax: 600_000 }, (client) => new Restoring(client, round).run()),
  )
}

class Restoring {
  readonly #client: CopyingConnection
  readonly #round: RestoreRound
  readonly #removed = new Map<string, readonly RemovedRange[]>()
  #read = 0
  #restored = 0

  constructor(client: CopyingConnection, round: RestoreRound) {
    this.#client = client
    this.#round = round
  }

  async run(): Promise<RestoreReport> {
    const plans = await this.#survey()
    const streams: StreamRestore[] = []
    const accepted = new Map<string, StreamWriter>()
    for (const plan of plans) {
      const refused = plan.refused ?? (await this.#announce(plan))
      if (refused !== undefined) streams.push({ ...emptyOf(plan), refused })
      else accepted.set(plan.stream, new StreamWriter(plan))
    }
    if (accepted.size > 0) await this.#write(accepted)
    streams.push(...[...accepted.values()].map((writer) => writer.outcome()))
    return { read: this.#read, until: this.#round.until, streams }
  }

  async #survey(): Promise<RestorePlan[]> {
    const surveys = new Map<string, StreamSurvey>()
    for await (const { link, bytes } of this.#links()) {
      let survey = surveys.get(link.stream)
      if (survey === undefined) {
        const removed = await readRemoved(this.#client, link.stream)
        this.#removed.set(link.stream, removed)
        survey = new StreamSurvey(link.stream, removed)
        surveys.set(link.stream, survey)
      }
      survey.add(link, isWanted(this.#round.wanted, link, bytes))
      this.#read += 1
      if (this.#read % 1_000 === 0) this.#say()
    }
    return [...surveys.values()].flatMap((survey) => survey.plan() ?? [])
  }

  /** Sealed first: what came back without a word would be nobody's. */
  async #announce({ stream, from, to }: RestorePlan): Promise<string | undefined> {
    const { seal, until, signal } = this.#round
    const { name } = await this.#round.open()
    const sealed = await seal({ type: 'audit.restored', details: { stream, from, to, source: name, until } })
    if (!(await hasArrived(this.#client, sealed, signal))) return 'it could not be sealed that it is restored'
    await keepRestored(this.#client, { stream, from, to }, until)
    return undefined
  }

  async #write(writers: ReadonlyMap<string, StreamWriter>): Promise<void> {
    const destination = createPostgresDestination({ type: 'postgres', url: this.#round.url })
    const deliver = async (records: readonly StoredRecord[]): Promise<string | undefined> => {
      const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0)
      const delivery = await destination.send({ records, bytes }, this.#round.signal)
      return delivery.status === 'delivered' ? undefined : delivery.reason
    }
    const putBack = async (records: readonly StoredRecord[], range: RemovedRange): Promise<number> => {
      const added = await putBackRecords(this.#client, records.map(deriveColumns), range)
      this.#restored += added
      this.#say()
      return added
    }
    const ways = { deliver, putBack, removed: (stream: string) => this.#removed.get(stream) ?? [] }
    try {
      for await (const { link, bytes } of this.#links()) await writers.get(link.stream)?.add(link, bytes, ways)
      for (const writer of writers.values()) await writer.flush(ways)
    } finally {
      await destination.close()
    }
  }

  async *#links(): AsyncGenerator<{ link: Link; bytes: Buffer }> {
    for await (const group of (await this.#round.open()).read()) {
      for (const found of group) {
        const link = found.damage === undefined ? readLink(found) : undefined
        if (link !== undefined && found.damage === undefined) yield { link, bytes: Buffer.from(found.bytes) }
      }
      this.#round.signal.throwIfAborted()
    }
  }

  #say(): void {
    this.#round.onProgress?.({ read: this.#read, restored: this.#restored })
  }
}

function emptyOf({ stream }: RestorePlan): StreamRestore {
  return { stream, from: 0, to: 0, restored: 0, delivered: 0 }
}

interface Ways {
  /** Why not, where it was refused. */
  readonly deliver: (records: readonly StoredRecord[]) => Promise<string | undefined>
  readonly putBack: (records: readonly StoredRecord[], range: RemovedRange) => Promise<number>
  readonly removed: (stream: string) => readonly RemovedRange[]
}

/** Writes one stream block by block, each only when the copy still has what the survey saw. */
class StreamWriter {
  readonly #plan: RestorePlan
  #block = -1
  #leaves = ''
  #records: StoredRecord[] = []
  #restored = 0
  #delivered = 0
  #refused: string | undefined

  constructor(plan: RestorePlan) {
    this.#plan = plan
  }

  outcome(): StreamRestore {
    const { stream, from, to } = this.#plan
    const outcome = { stream, from, to, restored: this.#restored, delivered: this.#delivered }
    return this.#refused === undefined ? outcome : { ...outcome, refused: this.#refused }
  }

  async add({ stream, sequence, leaf }: Link, bytes: Buffer, ways: Ways): Promise<void> {
    if (blockOf(sequence) !== this.#block) {
      await this.flush(ways)
      this.#block = blockOf(sequence)
      this.#leaves = ''
    }
    this.#leaves += leaf
    if (sequence >= this.#plan.from && sequence <= this.#plan.to) this.#records.push({ stream, sequence, bytes })
  }

  async flush(ways: Ways): Promise<void> {
    const records = this.#records
    this.#records = []
    if (records.length === 0 || this.#refused !== undefined) return
    if (hash('sha256', this.#leaves) !== this.#plan.digests.get(this.#block)) {
      this.#refused = `the copy has changed while it was read, about record ${records[0]?.sequence}`
      return
    }
    const removed = ways.removed(this.#plan.stream)
    const rangeOf = ({ sequence }: StoredRecord) => removed.find(({ from, to }) => from <= sequence && sequence <= to)
    try {
      for (const run of runsOf(records, rangeOf)) {
        // In order: a delivery takes no gaps.
        const range = run[0] && rangeOf(run[0])
        if (range !== undefined) this.#restored += await ways.putBack(run, range)
        else this.#refused ??= await ways.deliver(run)
        if (range === undefined && this.#refused === undefined) this.#delivered += run.length
      }
    } catch (thrown) {
      this.#refused = errorText(thrown)
    }
  }
}

/** Side by side what lies in the same range, or in none. */
function runsOf<Group>(records: readonly StoredRecord[], groupOf: (record: StoredRecord) => Group): StoredRecord[][] {
  const runs: StoredRecord[][] = []
  let last: Group | undefined
  for (const record of records) {
    const group = groupOf(record)
    const run = runs.at(-1)
    if (run !== undefined && group === last) run.push(record)
    else runs.push([record])
    last = group
  }
  return runs
}
