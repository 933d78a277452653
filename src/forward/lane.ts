/**
 * A lane: one destination, its cursor in one spool, and the forwarder between them. Opened for the own spool and for an
 * adopted slot alike; whoever runs it closes it by running it to its end.
 */

import { batchingOf } from '../destination/batching.ts'
import { createDestination } from '../destination/create.ts'
import type { Destination, DestinationOptions } from '../destination/destination.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { diskFiles } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { SpoolReader } from '../spool/reader.ts'
import type { SetAsideKind } from '../spool/set-aside.ts'
import { type AheadRecord, watchAhead } from './ahead.ts'
import { Bell } from './bell.ts'
import { Fallback } from './fallback.ts'
import { Forwarder } from './forwarder.ts'
import { firstBehind, OwnStream, streamsIn } from './own-stream.ts'
import { SealedQuarantine, type SealFact } from './quarantine.ts'
import { QuarantineFolder } from './quarantine-folder.ts'
import { Resends } from './resend.ts'
import { Resolutions } from './resolutions.ts'
import { Rewind, type RewindSource } from './rewind.ts'
import { expecting } from './sending-by.ts'
import { SpoolSource, type SpoolSourceOptions } from './spool-source.ts'
import type { ForwarderState } from './standing.ts'
import { inTurns } from './turns.ts'

/** The spool that a lane reads. */
export interface LaneSpool {
  readonly directory: string
  readonly durable: () => SpoolEnd
  /** As for `SpoolSource`. */
  readonly moved?: SpoolSourceOptions['moved']
}

/** Who hears of a lane, and seals for it. */
export interface LaneListener {
  changed?(state: ForwarderState): void
  /** The destination is ahead of the stream being written; absent where nobody writes. */
  ahead?(found: AheadRecord): void
  readonly seal: SealFact
}

export interface Lane {
  readonly forwarder: Forwarder
  readonly destination: Destination
  readonly source: SpoolSource
  readonly quarantine: SealedQuarantine
  readonly resolutions: Resolutions
  readonly resends: Resends
  /** Prints while the destination fails, where that is wanted. */
  readonly fallback?: Fallback | undefined
  /** What this destination refused for ever. */
  readonly folders: Readonly<Record<SetAsideKind, QuarantineFolder>>
}

/** The durable name of a destination. */
export function nameOf(options: DestinationOptions): string {
  return options.name ?? options.type
}

/** Opens a lane; rejects for settings that cannot be meant and for a cursor that cannot be opened. */
export async function openLane(options: DestinationOptions, spool: LaneSpool, listener: LaneListener): Promise<Lane> {
  const name = nameOf(options)
  const made = await createDestination(options, { seal: listener.seal })
  const created = inTurns(made)
  const source = new SpoolSource({ files: diskFiles, name, withDisclosures: made.keepsDisclosures, ...spool })
  const folderOf = (kind: SetAsideKind) => new QuarantineFolder(diskFiles, spool.directory, { kind, name })
  const folders = { forked: folderOf('forked'), poison: folderOf('poison') }
  const isSetAside = (number: RecordNumber) => Object.values(folders).some((folder) => folder.covers(number))
  const expected = expecting(created, () => source.confirmed.confirmed, isSetAside)
  const { ahead, seal } = listener
  const destination =
    ahead === undefined
      ? expected
      : watchAhead(expected, new OwnStream(diskFiles, spool), (found) => ahead.call(listener, found))
  const [kept, changes] = [new Bell(), new Bell()]
  const quarantine = new SealedQuarantine(folders, seal, kept)
  const onStateChange = (state: ForwarderState) => {
    changes.ring()
    listener.changed?.(state)
  }
  const resolutions = new Resolutions({ folders: Object.values(folders), destination, seal, kept })
  const resends = new Resends({ files: diskFiles, spool, destination, batch: batchingOf(options), seal })
  const rewind = new Rewind({ destination, source: rewindSource(source, spool), seal })
  const how = { options: batchingOf(options), onStateChange }
  const forwarder = new Forwarder({ destination, source, quarantine, rewind, ...how })
  const lane = { forwarder, destination, source, quarantine, folders, resolutions, resends }
  if (options.type === 'stdout' || options.fallback === undefined) return lane
  return { ...lane, fallback: await openFallback(lane, spool, changes) }
}

function rewindSource(source: SpoolSource, spool: LaneSpool): RewindSource {
  return {
    get confirmed() {
      return source.confirmed.confirmed
    },
    rewind: (to) => source.rewind(to),
    streams: () => streamsIn(diskFiles, spool),
    firstBehind: (number) => firstBehind(diskFiles, spool, number),
  }
}

/** Printing has a reader of its own: it goes on while delivery stands. */
async function openFallback({ forwarder, source }: Lane, spool: LaneSpool, changes: Bell): Promise<Fallback> {
  const reader = new SpoolReader(diskFiles, spool.directory, spool.durable)
  const output = await createDestination({ type: 'stdout' })
  const view = () => {
    const { condition, delivered, quarantined } = forwarder.state()
    return { isFailing: condition !== 'ok', passed: delivered + quarantined, confirmed: source.confirmed }
  }
  return new Fallback({ reader, output, view, changes })
}

/** Delivers until the signal aborts, then releases everything. Rejects when the spool itself cannot be read. */
export async function runLane(lane: Lane, signal: AbortSignal): Promise<void> {
  const ending = new AbortController()
  const lasting = AbortSignal.any([signal, ending.signal])
  const beside = [
    lane.quarantine.run(lasting),
    lane.resolutions.run(lasting),
    lane.resends.run(lasting),
    lane.fallback?.run(lasting),
  ]
  try {
    await Promise.all([lane.forwarder.run(signal).finally(() => ending.abort()), ...beside])
  } finally {
    await lane.destination.close()
    lane.source.close()
  }
}

/** Delivers what is there now and returns when every record is confirmed, or when the signal aborts. */
export async function drainLane(lane: Lane, signal: AbortSignal): Promise<void> {
  const drained = new AbortController()
  const running = runLane(lane, AbortSignal.any([signal, drained.signal]))
  const end = () => drained.abort() // a flush that rejects was ended by the signal or by the run, which says why
  await lane.forwarder.flush().then(end, end)
  await running
}
