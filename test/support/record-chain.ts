/** Chained records with chosen members, for what carries and stores records but does not seal them. */

import { randomUUID } from 'node:crypto'
import { leafHash } from '../../src/chain/hash.ts'
import type { StoredRecord } from '../../src/event/record.ts'

export interface ChainOptions {
  readonly stream?: string | undefined
  /** First sequence, and the hash before it. */
  readonly from?: number | undefined
  readonly prev?: string | undefined
  /** Members added to each record, or put in the place of the usual ones. */
  readonly members?: ((sequence: number) => Readonly<Record<string, unknown>>) | undefined
}

/** `count` records that follow one another. */
export function chainOf(count: number, options: ChainOptions = {}): StoredRecord[] {
  const { stream = randomUUID(), from = 1, members } = options
  let prev = options.prev
  return Array.from({ length: count }, (_, index) => {
    const sequence = from + index
    const bytes = recordBytes({ stream, seq: sequence, prev, ...members?.(sequence) })
    prev = leafHash(bytes)
    return { stream, sequence, bytes }
  })
}

/** A record's text from its members, with usual values for those that are not given. */
export function recordBytes(members: Readonly<Record<string, unknown>>): Buffer {
  const usual = {
    action: 'invoice.delete',
    actor: { id: 'u-1', type: 'user' },
    correlation_id: 'c-1',
    epoch: 1,
    event_type: 'audit',
    id: randomUUID(),
    operation: 'delete',
    outcome: 'success',
    recorded: '2026-11-22T09:00:00.123456789Z',
    service: 'billing',
    target: { id: '42', resource_type: 'invoice' },
    timestamp: '2026-11-22T08:59:59.000000001Z',
    trace: { flags: 1, id: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' },
    v: '1',
  }
  return Buffer.from(JSON.stringify({ ...usual, ...members }))
}
