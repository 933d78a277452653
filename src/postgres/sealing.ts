/**
 * The records of one transaction of the sequencer, in the making: their places, their bytes, and what the journal's row
 * will say. Pure but for the ids it makes: nothing is issued until the transaction commits, and when it does not, this
 * is forgotten.
 */

import { Chain, isFarBack } from '../chain/chain.ts'
import { checkpointDetails, originOf } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import { Frontier } from '../chain/merkle.ts'
import type { Signer } from '../chain/note.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import { type ControlFact, encodeControl, encodeRecord, type StoredRecord } from '../event/record.ts'
import type { DisclosedRecord } from './disclosures.ts'
import type { Journal, JournalChange } from './journal.ts'
import type { SeenHead } from './seen-head.ts'

export interface SealingParts {
  readonly signer: Signer
  readonly service: string
  /** The clock of the database, which all sequencers share. */
  readonly nowMs: number
}

/** A record whose leaf hash is known already. */
export interface SealedRecord extends StoredRecord {
  readonly hash: string
}

export class Sealing {
  readonly #parts: SealingParts
  #records: SealedRecord[] = []
  #taken = 0
  readonly #disclosed: DisclosedRecord[] = []
  readonly #signedSize: number
  readonly #tree: readonly Buffer[]
  #chain: Chain
  #signed: Frontier | undefined
  #unsigned: number

  constructor({ stream, sequence, hash, recorded, signedSize, tree, unsigned }: Journal, parts: SealingParts) {
    this.#parts = parts
    this.#chain = new Chain({ stream, epoch: 1, sequence, hash, recorded })
    this.#signedSize = signedSize
    this.#tree = tree
    this.#unsigned = unsigned
  }

  /** How many there are. */
  get records(): number {
    return this.#taken + this.#records.length
  }

  /** Those that were not taken before, in order. */
  take(): readonly SealedRecord[] {
    const records = this.#records
    this.#taken += records.length
    this.#records = []
    return records
  }

  /** The personal values beside them. */
  get disclosed(): readonly DisclosedRecord[] {
    return this.#disclosed
  }

  /** The clock has gone so far back that the next record belongs into another stream. */
  get isClockFarBack(): boolean {
    return isFarBack(this.#chain.next(this.#parts.nowMs))
  }

  /** Seals an event under the id that it was emitted with; `emittedAt` is RFC 3339 with microseconds. */
  sealEvent(event: ConvertedEvent, id: string, emittedAt: string): void {
    const position = { ...this.#chain.next(this.#parts.nowMs), id }
    this.#add(encodeRecord(event, position), position)
    this.#unsigned += 1
    const { stream, sequence } = position
    const disclosures = event.disclosures?.list
    if (disclosures !== undefined) this.#disclosed.push({ stream, sequence, disclosures, madeAt: emittedAt })
  }

  sealFact(fact: ControlFact): void {
    const position = this.#chain.next(this.#parts.nowMs)
    this.#add(encodeControl({ service: this.#parts.service, ...fact }, position), position)
    if (fact.type !== 'audit.checkpoint') this.#unsigned += 1
  }

  /**
   * Seals a checkpoint over everything before, when `leaves`, the hashes of what is held behind the last checkpoint, are
   * what was sealed; false when they are not, and then nothing is signed.
   */
  sealCheckpoint(leaves: readonly string[]): boolean {
    const { stream, sequence, hash } = this.#chain.head
    const frontier = Frontier.from(this.#signedSize, this.#tree)
    if (frontier === undefined) return false
    for (const leaf of leaves) frontier.append(leaf)
    if (frontier.size !== sequence || leaves.at(-1) !== hash) return false
    const { note, frontier: hashes } = checkpointDetails(
      frontier,
      originOf(this.#parts.signer.name, stream),
      this.#parts.signer,
    )
    this.#unsigned = 0
    this.#signed = frontier
    this.sealFact({ type: 'audit.checkpoint', details: { note, frontier: [...hashes] } })
    return true
  }

  /** What the journal's row will say. */
  get change(): JournalChange {
    const signed = this.#signed
    const tree = signed?.hashes() ?? this.#tree
    const signedSize = signed?.size ?? this.#signedSize
    const { stream } = this.#chain
    const { verifierKey } = this.#parts.signer
    return { stream, signedSize, tree, unsigned: this.#unsigned, signs: signed !== undefined, verifierKey }
  }

  /** The head as it will be. */
  get head(): SeenHead {
    const { stream, sequence, hash = '' } = this.#chain.head
    return { stream, sequence, hash }
  }

  #add(text: string, position: ReturnType<Chain['next']>): void {
    const bytes = Buffer.from(text)
    const hash = leafHash(bytes)
    this.#records.push({ stream: position.stream, sequence: position.sequence, bytes, hash })
    this.#chain.advance(position, hash)
  }
}
