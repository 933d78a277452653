/**
 * Evidence for an auditor: the records that were asked for, each with its proof, and what the trail says of itself in
 * that time. One reading verifies the copy and gathers them. Always holds: evidence about a subject holds no record, no
 * count and no name of anybody else; in the place of neighbours stand hashes.
 */

import { openCheckpoint } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import type { Verifier } from '../chain/note.ts'
import { AuditError } from '../errors.ts'
import { parseRecord, type RecordMembers, type StoredRecord } from '../event/record.ts'
import type { Condition } from '../postgres/filter.ts'
import { deriveColumns } from '../postgres/projection.ts'
import { StreamProofs } from './evidence-proofs.ts'
import { isSameKey, KeyRing } from './key-ring.ts'
import type { VerifyOptions } from './reading.ts'
import type { SourceReport } from './report.ts'
import type { FoundRecord, Source } from './source.ts'
import { verifySource } from './verify.ts'

/** Each record is a file with its proof, and a plain zip holds at most 65,535 files. */
export const evidenceRecordsMax = 50_000

export interface EvidenceOptions extends VerifyOptions {
  /** What an event must match. */
  readonly conditions: readonly Condition[]
  /** What a record about the trail itself must match: the range of time. */
  readonly range: readonly Condition[]
  /** Whether somebody's records are asked for, not all of a time. */
  readonly isAboutSubject: boolean
}

export interface EvidenceRecord extends StoredRecord {
  readonly members: RecordMembers
  /** A `.tlog-proof`; absent where no signed checkpoint covers the record. */
  readonly proof?: string | undefined
}

export interface Evidence {
  readonly verification: SourceReport
  /** By stream and sequence. */
  readonly records: readonly EvidenceRecord[]
  /** The newest signed checkpoint of each stream; of a subject's evidence none, because its size counts everybody's records. */
  readonly checkpoints: ReadonlyMap<string, string>
  /** Types of records about the trail that were left out because they speak of everybody. */
  readonly withheld: readonly string[]
  /** The keys that were given, and those that rotations in the copy lead to from them. */
  readonly keys: readonly Verifier[]
}

const unopenedMax = 1_000

/** What a subject's evidence tells of the trail itself: which policy decided, and which keys signed. */
const tellsOfNobody = new Set(['audit.policy.changed', 'audit.key.rotated'])

/** Reads the source once. Throws `AuditError` when there is more than a bundle can hold. */
export async function gatherEvidence(source: Source, options: EvidenceOptions): Promise<Evidence> {
  const gathering = new Gathering(options)
  const tapped: Source = {
    ...source,
    async *read() {
      for await (const group of source.read()) {
        for (const one of group) if (one.damage === undefined) gathering.take(one)
        yield group
      }
    },
  }
  const verification = await verifySource(tapped, options)
  return { verification, ...gathering.finish() }
}

class Gathering {
  readonly #options: EvidenceOptions
  readonly #streams = new Map<string, StreamProofs>()
  readonly #records = new Map<string, Omit<EvidenceRecord, 'proof'>>()
  readonly #withheld = new Set<string>()
  readonly #ring: KeyRing
  readonly #replaced: { readonly stream: string; readonly from: number; readonly key: Verifier }[] = []
  /** Checkpoints by keys that were not believed when they came: a rotation may come late. */
  #unopened: Omit<EvidenceRecord, 'proof'>[] = []

  constructor(options: EvidenceOptions) {
    this.#options = options
    this.#ring = new KeyRing(options.verifiers)
  }

  take({ bytes: found }: FoundRecord): void {
    const members = parseRecord(found)
    const { stream, seq: sequence } = members ?? {}
    if (members === undefined || stream === undefined || sequence === undefined) return
    if (!Number.isSafeInteger(sequence) || sequence < 1) return
    const bytes = Buffer.from(found) // a source may use its buffer again
    const record = { stream, sequence, bytes, members }
    const isWanted = this.#isWanted(record)
    if (isWanted) this.#keep(record)
    this.#streamOf(stream).add(sequence, leafHash(bytes), isWanted)
    if (members.event_type === 'audit.checkpoint') this.#takeCheckpoint(record)
    if (members.event_type === 'audit.key.rotated') this.#takeRotation(record)
  }

  finish(): Omit<Evidence, 'verification'> {
    for (const proofs of this.#streams.values()) proofs.finish()
    const records = [...this.#records.values()]
      .map((record) => ({ ...record, proof: this.#streams.get(record.stream)?.proofs.get(record.sequence) }))
      // The last checkpoint is covered by none: it proves, and needs no proof.
      .filter(({ proof, members }) => proof !== undefined || members.event_type !== 'audit.checkpoint')
      .sort((one, other) =>
        one.stream === other.stream ? one.sequence - other.sequence : one.stream < other.stream ? -1 : 1,
      )
    const newest = [...this.#streams].flatMap(([stream, { newest: note }]) =>
      note === undefined || this.#options.isAboutSubject ? [] : [[stream, note] as const],
    )
    const withheld = [...this.#withheld].sort()
    return { records, checkpoints: new Map(newest.sort()), withheld, keys: this.#ring.verifiers }
  }

  #isWanted({ stream, sequence, bytes, members }: Omit<EvidenceRecord, 'proof'>): boolean {
    const { conditions, range, isAboutSubject } = this.#options
    const { columns } = deriveColumns({ stream, sequence, bytes })
    // By the time of sealing, which never steps back: so all records of a time have no gap in their numbers.
    const sealed = { ...columns, occurred_at: columns.recorded_at }
    const { event_type: type = 'audit' } = members
    if (type === 'audit') return conditions.every((one) => one.matches(isAboutSubject ? columns : sealed))
    if (!range.every((one) => one.matches(sealed))) return false
    if (!isAboutSubject || tellsOfNobody.has(type)) return true
    if (type !== 'audit.checkpoint') this.#withheld.add(type)
    return false
  }

  #keep(record: Omit<EvidenceRecord, 'proof'>): void {
    const key = `${record.stream} ${record.sequence}`
    if (!this.#records.has(key)) this.#records.set(key, record)
    if (this.#records.size <= evidenceRecordsMax) return
    throw new AuditError('INVALID_OPTION', `a bundle holds at most ${evidenceRecordsMax} records, and here are more`, {
      setting: '--until',
      hint: 'make several, each of a shorter time: --since 2026-01-01 --until 2026-02-01',
    })
  }

  #takeRotation({ stream, sequence, members }: Omit<EvidenceRecord, 'proof'>): void {
    const isGone = (old: Verifier) =>
      this.#replaced.some((one) => one.stream === stream && one.from < sequence && isSameKey(one.key, old))
    const outcome = this.#ring.take(members.details, (old) => !isGone(old))
    if (outcome.refusal !== undefined) return
    this.#replaced.push({ stream, from: sequence, key: outcome.old })
    if (!outcome.hasGrown) return
    for (const record of this.#unopened.splice(0)) this.#takeCheckpoint(record)
  }

  #takeCheckpoint(record: Omit<EvidenceRecord, 'proof'>): void {
    const { stream, members } = record
    const checkpoint = openCheckpoint(members.details, undefined, this.#ring.verifiers)
    if ('problem' in checkpoint && checkpoint.problem !== undefined) {
      // Verification says why; of keys that are never believed only so many wait.
      if (this.#unopened.length < unopenedMax) this.#unopened.push(record)
      return
    }
    if (!checkpoint.origin.endsWith(`/${stream}`)) return
    this.#streamOf(stream).addCheckpoint({ checkpoint, note: String(members.details?.note) })
  }

  #streamOf(stream: string): StreamProofs {
    const proofs = this.#streams.get(stream) ?? new StreamProofs()
    this.#streams.set(stream, proofs)
    return proofs
  }
}
