/**
 * What a source of records is: the one interface between the copies of a trail and their verification. A source
 * hands out bytes exactly as its carrier holds them, and what the carrier says beside them; it judges nothing and
 * never throws for bad bytes (they become `Damage`). It reads with memory that does not grow with the copy.
 */

import type { Frontier } from '../chain/merkle.ts'
import type { Verifier } from '../chain/note.ts'
import type { RecordMembers } from '../event/record.ts'
import type { CreatedProof, ProveRefusal } from './proof.ts'

export type SourceKind = 'archive' | 'clickhouse' | 'ndjson' | 'otlp' | 'postgres' | 'spool'

/** Where a record belongs, as its carrier says beside it (attributes, columns): a hint, never evidence. */
export interface Place {
  readonly stream: string
  readonly sequence: number
}

/** A derived value of the carrier that the record's own bytes contradict. */
export interface ProjectionMismatch {
  /** Attribute or column. */
  readonly name: string
  readonly expected: string
  readonly found: string
}

/** The bytes of one record. */
export interface FoundRecord {
  readonly damage?: undefined
  readonly bytes: Uint8Array
  /** Grows through the source; `locate` says what it means. */
  readonly position: number
  readonly place?: Place | undefined
  /** Leaf hash of the bytes, 32 bytes, where the source itself has computed it. */
  readonly leaf?: Uint8Array | undefined
  /** What is disclosed beside the record, as base64url digests: what it is filed under, and what the disclosure gives. */
  readonly disclosed?: readonly { readonly digest: string; readonly found: string }[] | undefined
  /** Compares what the carrier derived with the record itself; the first difference, if any. */
  readonly checkProjection?: ((members: RecordMembers, leaf: string) => ProjectionMismatch | undefined) | undefined
}

/** Bytes that are no record any more. */
export interface Damage {
  /** Why not, one sentence without the place. */
  readonly damage: string
  readonly position: number
  /** SHA-256 leaf hash of what stands there, where it was read. */
  readonly found?: string | undefined
  readonly place?: Place | undefined
  /** The end of the source cuts the last record off: a copy made while it was written looks the same. */
  readonly cutOff?: boolean | undefined
}

/** The end of a stream, as its source keeps it. */
export interface Head extends Place {
  /** Leaf hash of its last record; `undefined` where only the number is kept. */
  readonly hash: string | null | undefined
  /** The signed checkpoint that it keeps beside the records, verbatim. */
  readonly note?: string | undefined
}

/** Records that retention has removed, as the source lists them beside the others. */
export interface PrunedRange {
  readonly stream: string
  readonly from: number
  readonly to: number
  /** Leaf hash of the record `to`. */
  readonly hash: string
  /** The roots of the perfect subtrees of the stream's first `to` records, largest first, where they are known. */
  readonly tree: readonly Uint8Array[] | undefined
}

export interface NearRecords {
  /** Absent: the only stream of the source. */
  readonly stream?: string | undefined
  readonly sequence: number
  /** How many are wanted on each side. */
  readonly records: number
}

export interface Source {
  readonly kind: SourceKind
  /** As the user gave it, secrets taken out. */
  readonly name: string
  /** Whether the source keeps the order of sealing; where it does not, order is no finding. */
  readonly ordered: boolean
  /** Whether a stream may begin later than sequence 1 without a finding, because the source reclaims its beginning. */
  readonly beginsLater: boolean
  /** A position for people: `line 17`. */
  locate(position: number): string
  /** How far each stream must reach, where the source keeps that beside the records. Called before `read`. */
  readonly readHeads?: (() => Promise<readonly Head[]>) | undefined
  /** What was removed, where the source keeps that beside the records. Called before `read`. */
  readonly readPruned?: (() => Promise<readonly PrunedRange[]>) | undefined
  /** Proves a record without reading all of the source; undefined where it cannot tell which is meant. */
  readonly prove?:
    | ((
        wanted: { readonly stream?: string | undefined; readonly sequence: number },
        verifiers: readonly Verifier[],
      ) => Promise<CreatedProof | ProveRefusal | undefined>)
    | undefined
  /** Which of these commitments are disclosed, where the source keeps disclosures. Called behind `read`. */
  readonly readDisclosed?: ((digests: readonly string[]) => Promise<readonly string[]>) | undefined
  /** Where a record with this id stands, where the source can tell without being read. A hint. */
  readonly find?: ((id: string) => Promise<Place | undefined>) | undefined
  /** The trees of the first records of a stream that it keeps beside the records. Nobody has signed them. */
  readonly readTrees?: ((stream: string) => Promise<readonly Frontier[]>) | undefined
  /**
   * The records around a number, so many on both sides, as far as they are found without reading the whole source;
   * undefined where it cannot tell which stream is meant.
   */
  readonly readNear?: ((wanted: NearRecords) => Promise<readonly FoundRecord[] | undefined>) | undefined
  /** As `read`, but may leave out what was sealed before `from`, or at `to` or later: RFC 3339. Not for verification. */
  readonly readSealed?:
    | ((range: {
        readonly from?: string | undefined
        readonly to?: string | undefined
      }) => AsyncIterable<readonly (FoundRecord | Damage)[]>)
    | undefined
  /** Hands over the same source, which keeps what reading needs, a connection, for the time of `use`. */
  readonly during?: (<Result>(use: (source: Source) => Promise<Result>) => Promise<Result>) | undefined
  /** In groups as they were read. Throws `AuditError` SOURCE_UNREADABLE when reading itself fails. */
  read(): AsyncIterable<readonly (FoundRecord | Damage)[]>
}
