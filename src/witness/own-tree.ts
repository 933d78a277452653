/**
 * The tree of the stream that is being written in a spool, read back for witnesses up to what is durable. Reads each record
 * once and goes on where it stopped; begins at a checkpoint where what was before it was given back.
 */

import { openUnsigned } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import { LeafRanges } from '../chain/leaf-ranges.ts'
import { Frontier } from '../chain/merkle.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import type { Files } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { SpoolReader } from '../spool/reader.ts'
import type { Progress } from './progress.ts'

export interface TreeSpool {
  readonly files: Files
  readonly directory: string
  readonly durable: () => SpoolEnd
}

const group = { records: 256, bytes: 1 << 20 }

/** Counts in the records up to `size`; false where the spool does not hold all of them any more. */
export function countUpTo(spool: TreeSpool, progress: Progress, size: number): boolean {
  const { stream } = progress
  for (const record of recordsBehind(spool, stream, progress.size)) {
    if (record.sequence > size) break
    if (record.sequence !== progress.size + 1) return false
    progress.count(record)
  }
  return progress.size === size
}

/** The tree of the first `from` records and the ranges from there to `to`; undefined where the spool cannot tell. */
export function treeAt(
  spool: TreeSpool,
  { origin, stream, from, to }: { origin: string; stream: string; from: number; to: number },
): { readonly base: Frontier; readonly beyond: LeafRanges } | undefined {
  let tree: Frontier | undefined
  let base: Frontier | undefined
  const beyond = new LeafRanges(from)
  for (const { sequence, bytes } of recordsBehind(spool, stream, 0)) {
    if (sequence > to && base !== undefined) break
    if (sequence === 1) tree = new Frontier()
    const leaf = Buffer.from(leafHash(bytes), 'hex')
    if (sequence <= from) tree?.append(leaf)
    if (sequence === from) base = tree?.clone()
    if (sequence > from && sequence <= to) {
      if (beyond.to !== sequence - 1) return undefined
      beyond.append(leaf)
    }
    base ??= treeIn(bytes, origin, from)
  }
  return base !== undefined && beyond.to === to ? { base, beyond } : undefined
}

/** The tree of this size, when it stands in a checkpoint record. */
function treeIn(bytes: Uint8Array, origin: string, size: number): Frontier | undefined {
  const { event_type, details } = parseRecord(bytes) ?? {}
  const tree = event_type === 'audit.checkpoint' ? openUnsigned(details, origin) : undefined
  return tree?.size === size ? tree : undefined
}

function* recordsBehind(
  { files, directory, durable }: TreeSpool,
  stream: string,
  sequence: number,
): Generator<StoredRecord> {
  const reader = new SpoolReader(files, directory, durable)
  try {
    reader.seek(sequence === 0 ? {} : { confirmed: { stream, sequence } })
    for (let found = reader.next(group); found.length > 0; found = reader.next(group))
      for (const record of found) if (record.stream === stream) yield record
  } finally {
    reader.close()
  }
}
