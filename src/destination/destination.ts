/**
 * What the forwarder asks of a destination. A destination sends one batch and says what became of it; it never
 * retries on its own, never drops, and keeps no record after `send` has resolved. The forwarder alone decides
 * what `retry` means.
 */

import type { StoredRecord } from '../event/record.ts'

/** Records of one batch, in spool order; never empty. `bytes` is the sum of their sizes. */
export interface Batch {
  readonly records: readonly StoredRecord[]
  readonly bytes: number
}

/**
 * What became of a batch. `delivered`: every record is durable there, as far as the destination can know.
 * `retry`: nothing is known to be wrong with the records; `afterMs` is the peer's own wish (Retry-After).
 * `rejected`: the peer refuses the batch as it is; `indexes` names the refused records when it said which. `forked`
 * names one that contradicts what the peer holds, and with it all that follow it in its stream: nothing was overwritten,
 * and no repetition can help.
 */
export type Delivery =
  | { readonly status: 'delivered' }
  | Retry
  | {
      readonly status: 'rejected'
      readonly reason: string
      readonly indexes?: readonly number[] | undefined
      readonly forked?: ForkedRecord | undefined
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

/** `known` without a head: it holds nothing of the stream, or cannot tell cheaply. */
export type HeadReading = { readonly status: 'known'; readonly head: StreamHead | undefined } | Retry

export interface Destination {
  /** Durable name: the cursor file carries it. */
  readonly name: string
  /** How many batches may be on their way at once, default 1. With more, they may arrive in another order. */
  readonly sendingsMax?: number | undefined
  /** Sends one batch. Resolves for every remote failure; rejects only for a defect of ours. */
  send(batch: Batch, signal: AbortSignal): Promise<Delivery>
  /** Where a stream ends there. As `send`: every remote failure is `retry`. Absent where nobody can be asked. */
  head?(stream: string, signal: AbortSignal): Promise<HeadReading>
  /** Releases connections and files. Sends nothing. */
  close(): Promise<void>
}

interface CommonOptions {
  /** Durable name, default the type; two destinations of one type must be named. */
  readonly name?: string | undefined
  /** How long records wait for company before they are sent, in milliseconds. `flush()` ignores it. */
  readonly flushIntervalMs?: number | undefined
  readonly batchRecordsMax?: number | undefined
  readonly batchBytesMax?: number | undefined
}

/** An OTLP/HTTP endpoint, in general the sidecar collector. */
export interface OtlpDestinationOptions extends CommonOptions {
  readonly type: 'otlp'
  /** Base URL (`/v1/logs` is added). Default: the `OTEL_EXPORTER_OTLP_*` variables, else `http://localhost:4318`. */
  readonly endpoint?: string | undefined
  readonly protocol?: 'http/protobuf' | 'http/json' | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly compression?: 'gzip' | 'none' | undefined
  readonly timeoutMs?: number | undefined
}

/** A PostgreSQL database with our schema (`otel-audit migrate up`). */
export interface PostgresDestinationOptions extends CommonOptions {
  readonly type: 'postgres'
  readonly url: string
}

/** An NDJSON file, one record a line, mode 0600, synced before it counts as delivered. One process writes it. */
export interface FileDestinationOptions extends CommonOptions {
  readonly type: 'file'
  readonly path: string
}

/** Standard output, NDJSON. It cannot confirm durability: written counts as delivered. */
export interface StdoutDestinationOptions extends CommonOptions {
  readonly type: 'stdout'
}

/** Plain data, because delivery runs in another thread or process. */
export type DestinationOptions =
  | OtlpDestinationOptions
  | PostgresDestinationOptions
  | FileDestinationOptions
  | StdoutDestinationOptions
