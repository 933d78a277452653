/**
 * A spool directory as it lies there: a dead one whole, a live one up to its durable position. Frames are in the
 * order of sealing; a frame whose checksum fails is damage, unless it lies above the durable position, where a
 * crash leaves torn rests behind. Nothing is written and no lock is taken.
 */

import { leafHash } from '../../chain/hash.ts'
import { AuditError, errorText } from '../../errors.ts'
import { diskFiles } from '../../spool/files.ts'
import { type SpoolView, type ViewedRecord, viewSpool } from '../../spool/view.ts'
import type { Damage, FoundRecord, Head, Source } from '../source.ts'

const groupRecords = 500
const segmentSpan = 2 ** 32
/** The number of the first segment a spool ever has; with a later one, what was delivered has been reclaimed. */
const firstSegmentEver = 1

export function createSpoolSource(directory: string): Source {
  const view = readable(directory, () => viewSpool(diskFiles, directory))
  return {
    kind: 'spool',
    name: directory,
    ordered: true,
    beginsLater: view.state.firstSegment > firstSegmentEver,
    locate: (position) => `segment ${Math.floor(position / segmentSpan)} offset ${position % segmentSpan}`,
    readHeads: async () => headsOf(view),
    async readNear({ stream = onlyOf(view.streams), sequence, records }) {
      if (stream === undefined) return undefined
      const place = { stream, from: sequence - records, to: sequence + records }
      return readable(directory, () => [...view.near(place)].map(foundAt))
    },
    readTrees: async (stream) => readable(directory, () => [...view.trees(stream)]),
    readSealed: (range) => readGroups(directory, () => view.sealed(range)),
    read: () => readGroups(directory, () => view.records()),
  }
}

async function* readGroups(directory: string, open: () => Iterator<ViewedRecord>) {
  const records = open()
  for (;;) {
    const group = readable(directory, () => nextGroup(records))
    if (group === undefined) return
    yield group
  }
}

/** How far the control file says the stream is durable: what is shorter has lost records. */
function headsOf({ state, durable }: SpoolView): Head[] {
  const { stream, watermark } = state
  const sequence = Math.max(watermark.nextSequence, durable.epoch === state.epoch ? durable.nextSequence : 1) - 1
  const hash = sequence === watermark.nextSequence - 1 ? (watermark.hash ?? null) : undefined
  return sequence === 0 ? [] : [{ stream, sequence, hash }]
}

function onlyOf(streams: readonly string[]): string | undefined {
  return streams.length === 1 ? streams[0] : undefined
}

function nextGroup(records: Iterator<ViewedRecord>): (FoundRecord | Damage)[] | undefined {
  const group: (FoundRecord | Damage)[] = []
  while (group.length < groupRecords) {
    const { value, done } = records.next()
    if (done) return group.length > 0 ? group : undefined
    if (value.damaged && !value.durable) continue
    group.push(readFrame(value))
  }
  return group
}

/** Positions must grow through the whole spool: the segment and the offset in it are one number. */
function foundAt({ stream, sequence, bytes, segment, offset }: PlacedRecord): FoundRecord {
  return { bytes, position: segment * segmentSpan + offset, place: { stream, sequence } }
}

type PlacedRecord = Pick<ViewedRecord, 'stream' | 'sequence' | 'bytes' | 'segment' | 'offset'>

function readFrame({ stream, sequence, bytes, segment, offset, damaged }: ViewedRecord): FoundRecord | Damage {
  const found = foundAt({ stream, sequence, bytes, segment, offset })
  if (!damaged) return found
  const { position, place } = found
  return { damage: 'the checksum of the frame fails', position, found: leafHash(bytes), place }
}

function readable<Result>(directory: string, read: () => Result): Result {
  try {
    return read()
  } catch (cause) {
    const hint = cause instanceof AuditError ? cause.hint : 'let this user read the directory'
    throw new AuditError('SOURCE_UNREADABLE', `${directory}: ${errorText(cause)}`, { setting: 'SOURCE', hint, cause })
  }
}
