/** How a destination gathers records where its options leave that open: what each of its sendings costs decides. */

import type { DestinationOptions } from './destination.ts'
import type { CommonOptions } from './options.ts'

export type Batching = Pick<CommonOptions, 'flushIntervalMs' | 'batchRecordsMax' | 'batchBytesMax'>

/** An object for each batch, which is paid for; a part of a table for each, of which ClickHouse wants few. */
const batchingByType: Readonly<Partial<Record<DestinationOptions['type'], Batching>>> = {
  s3: { flushIntervalMs: 10_000, batchRecordsMax: 10_000 },
  clickhouse: { flushIntervalMs: 1_000, batchRecordsMax: 10_000 },
}

/** What the options say; for the rest what suits the type, else nothing, which leaves it to the forwarder. */
export function batchingOf(options: DestinationOptions): Batching {
  const suited = batchingByType[options.type]
  return {
    flushIntervalMs: options.flushIntervalMs ?? suited?.flushIntervalMs,
    batchRecordsMax: options.batchRecordsMax ?? suited?.batchRecordsMax,
    batchBytesMax: options.batchBytesMax ?? suited?.batchBytesMax,
  }
}
