/**
 * Seals what the outbox holds: exactly once, in one stream, whatever the number of sequencers. One transaction a batch:
 *   1. lock the journal's row: the others wait, or go away      4. seal them behind the head, in the order of the outbox
 *   2. a new stream, where numbers may have been lost           5. insert the records, move head and journal, commit
 *   3. claim events, and read back what is to be signed         6. note the head in the local file
 * A crash before the commit leaves everything as it was; after it, nothing is left to be done but the file's note.
 */

import { randomUUID } from 'node:crypto'
import { normalizeTimestamp } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { convertEvent } from '../event/convert.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import { checkpointIntervalMs, checkpointRecords } from '../limits.ts'
import type { Connection } from './client.ts'
import { Confirming } from './confirming.ts'
import { storeDisclosures } from './disclosures.ts'
import { decodeEnlisted, parseEnlisted } from './enlisted.ts'
import {
  createJournal,
  enterStream,
  type Journal,
  lockJournal,
  readIdentity,
  readLeaves,
  type ServerIdentity,
  saveJournal,
} from './journal.ts'
import { type JournalKey, rotationFacts } from './journal-key.ts'
import type { OutboxRow } from './outbox.ts'
import { sealPortions, storeSealed } from './portions.ts'
import { claimFacts } from './quarantine.ts'
import { readHead } from './records.ts'
import { Sealing } from './sealing.ts'
import { lacksHead, type SeenHead, type SeenHeadFile } from './seen-head.ts'
import type { StandbyDemand } from './standbys.ts'
import { openingOf, type Succession, type SuccessionReason } from './succession.ts'

/** The name of the signer is the deployment, to which the journal belongs. */
export interface SequencerParts extends JournalKey {
  readonly service: string
  /** What is recorded of an event that came in by plain SQL: redacted. */
  readonly admit: (input: unknown) => ConvertedEvent
  readonly seen: SeenHeadFile
  /** How many must hold what is signed. */
  readonly standbys?: StandbyDemand
}

export interface BatchLimit {
  /** Claim only events with a greater number. */
  readonly above: number
  readonly events: number
  /** Sign what is not signed, however little and recent it is. */
  readonly signs: boolean
}

/** `held`: another sequencer seals. */
export type BatchOutcome =
  | { readonly status: 'idle' | 'held' }
  | { readonly status: 'sealed'; readonly events: number; readonly records: number; readonly lastNumber: number }

export class Sequencer {
  readonly #parts: SequencerParts
  /** Whose records were compared with the head that was seen. */
  #compared: Connection | undefined

  readonly #confirming: Confirming

  constructor(parts: SequencerParts) {
    this.#parts = parts
    this.#confirming = new Confirming(parts.standbys)
  }

  /** Why what is sealed is not signed, although it is time: standbys are behind. */
  get unconfirmed(): string | undefined {
    return this.#confirming.reason
  }

  /** Nothing is left to be signed: another one may have done it. */
  forgetUnconfirmed(): void {
    this.#confirming.forget()
  }

  /** One transaction. Rejects with the driver's error, and then it was rolled back or will be. */
  async sealBatch(client: Connection, limit: BatchLimit): Promise<BatchOutcome> {
    await client.query(begin)
    try {
      const sealing = await this.#seal(client, limit)
      await client.query('sealing' in sealing ? 'commit' : 'rollback')
      if (!('sealing' in sealing)) {
        if (sealing.status === 'held') await this.#confirming.lookForStuck(client)
        return sealing
      }
      this.#noteSealed(sealing.sealing.head)
      return sealing.outcome
    } catch (thrown) {
      await client.query('rollback').catch(() => {}) // the thrown error is the one to hear of
      throw thrown
    }
  }

  async #seal(
    client: Connection,
    limit: BatchLimit,
  ): Promise<{ status: 'idle' | 'held' } | { sealing: Sealing; outcome: BatchOutcome }> {
    const identity = await readIdentity(client)
    const journal = await this.#lock(client, identity)
    if (journal === 'held') return { status: 'held' }
    await this.#confirming.lookAt(client)
    const loss = await this.#findLoss(client, journal, identity)
    const rotated = rotationFacts(journal, this.#parts)
    // What the new key signs comes behind its rotation.
    const isWanted = loss === undefined && rotated.length === 0 && isCheckpointDue(journal, limit)
    const isDue = isWanted && (await this.#isHeld(client, journal, limit))
    const { signer, service } = this.#parts
    const parts = { signer, service, nowMs: await readClock(client) }
    let sealing = new Sealing(journal, parts)
    const reason = loss ?? (sealing.isClockFarBack ? 'clock' : undefined)
    if (reason !== undefined) sealing = await this.#succeed(client, { journal, identity, reason }, parts)
    else if (isDue && !sealing.sealCheckpoint(await readUnsigned(client, journal)))
      sealing = await this.#succeed(client, { journal, identity, reason: 'damaged' }, parts)
    for (const fact of rotated) sealing.sealFact(fact)
    const seal = (row: OutboxRow) => sealing.sealEvent(this.#eventOf(row), row.recordId, row.emittedAt)
    const { events, lastNumber } = await sealPortions(client, limit, { sealing, seal })
    for (const fact of await claimFacts(client)) sealing.sealFact(fact)
    const { records } = sealing
    if (records === 0 || (journal.sequence === 0 && events === 0)) return { status: 'idle' }
    await store(client, sealing)
    return { sealing, outcome: { status: 'sealed', events, records, lastNumber } }
  }

  async #lock(client: Connection, identity: ServerIdentity): Promise<Journal | 'held'> {
    const { name: deployment } = this.#parts.signer
    let journal = await lockJournal(client)
    if (journal === 'absent') {
      await createJournal(client, { deployment, stream: randomUUID(), identity })
      journal = await lockJournal(client)
    }
    if (typeof journal === 'string') return 'held'
    if (journal.deployment === deployment) return journal
    throw new AuditError('INVALID_OPTION', `the journal of this database belongs to ${journal.deployment}`, {
      setting: 'deployment',
      hint: `Seal it as ${journal.deployment}, with the same key, or use another database.`,
    })
  }

  /** Why numbers may have been issued that are not here. */
  async #findLoss(
    client: Connection,
    journal: Journal,
    identity: ServerIdentity,
  ): Promise<SuccessionReason | undefined> {
    const { seen } = this.#parts
    if (seen.head !== undefined && (await this.#lacks(client, journal, seen.head))) return 'restored'
    if (journal.sequence === 0) return 'first'
    const isHere = journal.systemIdentifier === identity.systemIdentifier && journal.timelineId === identity.timelineId
    return isHere ? undefined : 'failover'
  }

  /** Once for each connection against the records; after that a look at the head says enough. */
  async #lacks(client: Connection, { stream, sequence, hash }: Journal, seen: SeenHead): Promise<boolean> {
    if (this.#compared !== client) {
      const lacks = await lacksHead(client, seen)
      if (!lacks) this.#compared = client
      return lacks
    }
    return stream === seen.stream && (sequence < seen.sequence || (sequence === seen.sequence && hash !== seen.hash))
  }

  /** Whether standbys hold what is sealed so far; then a database without it is one that has lost something. */
  async #isHeld(client: Connection, { stream, sequence, hash }: Journal, { signs }: BatchLimit): Promise<boolean> {
    const isHeld = await this.#confirming.isHeld(client, { now: signs })
    if (isHeld && hash !== undefined) this.#parts.seen.note({ stream, sequence, hash })
    return isHeld
  }

  /** What a failover may still take back, before anybody has it, was not seen; but a new stream is not forgotten. */
  #noteSealed(head: SeenHead): void {
    const { seen } = this.#parts
    const isEntered = seen.head !== undefined && seen.head.stream !== head.stream
    if (!this.#confirming.isLater || isEntered) seen.save(head)
  }

  /** The journal goes over to a new stream, which says what it follows. */
  async #succeed(
    client: Connection,
    { journal, identity, reason }: Pick<Succession, 'journal' | 'reason'> & { identity: ServerIdentity },
    parts: ConstructorParameters<typeof Sealing>[1],
  ): Promise<Sealing> {
    const stream = journal.sequence === 0 ? journal.stream : randomUUID()
    await enterStream(client, stream, identity)
    const nothing = { sequence: 0, hash: undefined, recorded: undefined, signedSize: 0, tree: [], unsigned: 0 }
    const sealing = new Sealing({ ...journal, stream, ...nothing }, parts)
    const { seen, signer } = this.#parts
    const held = seen.head === undefined ? 0 : ((await readHead(client, seen.head.stream))?.sequence ?? 0)
    const facts = openingOf({ journal, reason, seen: seen.head, held, verifierKey: signer.verifierKey })
    for (const fact of facts) sealing.sealFact(fact)
    return sealing
  }

  #eventOf(row: OutboxRow): ConvertedEvent {
    const event = this.#readEvent(row)
    event.timestamp ??= normalizeTimestamp(row.emittedAt)
    event.correlation_id ??= event.trace?.id ?? row.recordId
    event.service ??= this.#parts.service
    return event
  }

  #readEvent({ isAdmitted, event }: OutboxRow): ConvertedEvent {
    try {
      return isAdmitted ? decodeEnlisted(event) : this.#parts.admit(parseEnlisted(event))
    } catch {
      // None is known. One that there is must not hold up all others for ever: that there was an event is recorded.
      return convertEvent({ details: { unreadable: true, bytes: event.length } })
    }
  }
}

/** What it waits for is bounded here too, so that a sequencer that hangs gives the journal up. */
const begin = `begin;
  set local lock_timeout = '10s';
  set local idle_in_transaction_session_timeout = '30s'`

async function readClock(client: Connection): Promise<number> {
  const { rows } = await client.query<{ ms: string }>(
    'select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as ms',
  )
  return Number(rows[0]?.ms)
}

function isCheckpointDue({ unsigned, signedMsAgo }: Journal, { signs }: BatchLimit): boolean {
  return unsigned > 0 && (signs || unsigned >= checkpointRecords || !(signedMsAgo < checkpointIntervalMs))
}

/** Read back from the table: a checkpoint signs what is there, not what was meant to be. */
function readUnsigned(client: Connection, { stream, signedSize, sequence }: Journal): Promise<string[]> {
  return readLeaves(client, { stream, after: signedSize, upTo: sequence })
}

async function store(client: Connection, sealing: Sealing): Promise<void> {
  await storeSealed(client, sealing)
  await storeDisclosures(client, sealing.disclosed)
  await saveJournal(client, sealing.change)
}
