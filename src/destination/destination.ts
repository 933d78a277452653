/**
 * What the forwarder asks of a destination. A destination sends one batch and says what became of it; it never
 * retries on its own, never drops, and keeps no record after `send` has resolved. The forwarder alone decides
 * what `retry` means.
 */

import type { JsonObject } from '../event/canonical.ts'
import type { StoredRecord } from '../event/record.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import type {
  ClickhouseDestinationOptions,
  ExporterDestinationOptions,
  FileDestinationOptions,
  HttpDestinationOptions,
  OtlpDestinationOptions,
  PostgresDestinationOptions,
  S3DestinationOptions,
  StdoutDestinationOptions,
  SyslogDestinationOptions,
} from './options.ts'

/** Records of one batch, in spool order; never empty. `bytes` is the sum of their sizes. */
export interface Batch {
  readonly records: readonly StoredRecord[]
  readonly bytes: number
  /** The last record that the destination has confirmed, and so must hold; only for one that keeps the chain. */
  readonly after?: RecordNumber | undefined
}

/**
 * What became of a batch. `delivered`: every record is durable there, as far as the destination can know.
 * `retry`: nothing is known to be wrong with the records; `afterMs` is the peer's own wish (Retry-After).
 * `rejected`: the peer refuses the batch as it is; `indexes` names the refused records when it said which. `forked`
 * names one that contradicts what the peer holds, and with it all that follow it in its stream: nothing was overwritten,
 * and no repetition can help. `isBehind`: the peer lacks records that go before the batch, and nothing was put there.
 */
export type Delivery =
  | { readonly status: 'delivered' }
  | Retry
  | {
      readonly status: 'rejected'
      readonly reason: string
      readonly indexes?: readonly number[] | undefined
      readonly forked?: ForkedRecord | undefined
      readonly isBehind?: boolean | undefined
    }

export interface Retry {
  readonly status: 'retry'
  readonly reason: string
  readonly afterMs?: number | undefined
}

/** The first record of a batch, by its index, that contradicts what the destination holds. */
export interface ForkedRecord {
  readonly index: number
  /** What is held under its number, or the head that it does not follow. */
  readonly held: StreamHead
}

/** A record of a stream that a destination holds, in general the last. */
export interface StreamHead {
  readonly sequence: number
  /** Its leaf hash, where it is known. */
  readonly hash: string | undefined
}

/** Records of a stream that are gone for good, and so are not sent to a destination any more. */
export interface DeclaredGap {
  readonly stream: string
  /** Both ends included. */
  readonly from: number
  readonly to: number
  /** Leaf hash of the record `to`, as the next one names it. */
  readonly hash: string | undefined
}

/** `known` without a head: it holds nothing of the stream, or cannot tell cheaply. */
export type HeadReading = { readonly status: 'known'; readonly head: StreamHead | undefined } | Retry

export interface Destination {
  /** Durable name: the cursor file carries it. */
  readonly name: string
  /** How many batches may be on their way at once, default 1. With more, they may arrive in another order. */
  readonly sendingsMax?: number | undefined
  /** Its copy of a stream has no holes: a record that it refuses by itself holds up what follows, and is not left out. */
  readonly keepsChain?: boolean | undefined
  /** Is handed what travels beside the records, and keeps it where it can be erased. Nobody else ever sees it. */
  readonly keepsDisclosures?: boolean | undefined
  /** A batch that is sent again must hold the same records, also after a crash: its name is made of them. One at a time. */
  readonly repeatsBatches?: boolean | undefined
  /** Sends one batch. Resolves for every remote failure; rejects only for a defect of ours. */
  send(batch: Batch, signal: AbortSignal): Promise<Delivery>
  /** Where a stream ends there. As `send`: every remote failure is `retry`. Absent where nobody can be asked. */
  head?(stream: string, signal: AbortSignal): Promise<HeadReading>
  /**
   * Puts records back that it has held and lost, in the middle of those it holds: of one stream, one after the other. As
   * `send`. Absent where sending them again does that.
   */
  putBack?(batch: Batch, signal: AbortSignal): Promise<Delivery>
  /** Lets the stream go on behind a gap that the trail declares. Absent where a hole is no obstacle. */
  cross?(gap: DeclaredGap, signal: AbortSignal): Promise<Delivery>
  /** Releases connections and files. Sends nothing. */
  close(): Promise<void>
}

/** What a destination may ask of whoever runs it. */
export interface DestinationHost {
  /** Seals a fact; resolves to whether it is durable in the trail. False on abort. */
  seal(fact: DestinationFact, signal: AbortSignal): Promise<boolean>
}

/** What a destination does that the trail must tell of. */
export interface DestinationFact {
  readonly type: 'audit.file.deleted' | 'audit.destination.rewound' | 'audit.destination.resent' | 'audit.gap'
  readonly details: JsonObject
}

/** Plain data, because delivery runs in another thread or process. */
export type DestinationOptions =
  | OtlpDestinationOptions
  | PostgresDestinationOptions
  | FileDestinationOptions
  | StdoutDestinationOptions
  | HttpDestinationOptions
  | SyslogDestinationOptions
  | S3DestinationOptions
  | ClickhouseDestinationOptions
  | ExporterDestinationOptions
