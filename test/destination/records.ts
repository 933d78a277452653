/** Records for destination tests, built by hand so that these tests stand on the format and not on our sealing. */

import type { Batch } from '../../src/destination/destination.ts'
import type { StoredRecord } from '../../src/event/record.ts'

export const stream = '0190f5a0-0000-7000-8000-000000000001'

/** A sealed record; `members` replace or add to the ones every record has. Keys must come out sorted. */
export function makeRecord(sequence: number, members: Readonly<Record<string, unknown>> = {}): StoredRecord {
  const all: Record<string, unknown> = {
    action: 'invoice.delete',
    actor: { id: 'u-1', type: 'user' },
    correlation_id: 'c-1',
    epoch: 1,
    event_type: 'audit',
    id: `0190f5a0-0000-7000-8000-${String(sequence).padStart(12, '0')}`,
    level: 'all',
    operation: 'delete',
    outcome: 'success',
    recorded: '2026-11-22T09:00:00.000000002Z',
    schema: '1',
    seq: sequence,
    service: 'billing',
    stream,
    timestamp: '2026-11-22T09:00:00.000000001Z',
    v: '1',
    ...(sequence > 1 && { prev: 'ab'.repeat(32) }),
    ...members,
  }
  const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { stream, sequence, bytes: Buffer.from(JSON.stringify(sorted)) }
}

export function makeBatch(records: readonly StoredRecord[]): Batch {
  return { records, bytes: records.reduce((bytes, record) => bytes + record.bytes.length, 0) }
}

/** A batch of plain records, `from` to `to` (included). */
export function batchOf(from: number, to: number): Batch {
  return makeBatch(Array.from({ length: to - from + 1 }, (_, index) => makeRecord(from + index)))
}
