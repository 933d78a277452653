/**
 * An archive of tiles: the records of each stream in order, those that its checkpoint covers from the entries tiles, then
 * the tail. Hash tiles are derived from the records and compared with them; what of them is wrong or missing is
 * PROJECTION_MISMATCH, for no proof could be made from it. Memory is one tile a level.
 */

import { listStreams, readForeignEnd, readTail, readTile } from '../../archive/archive-end.ts'
import type { ArchiveStore } from '../../archive/store.ts'
import { decodeEntries, entriesPath, type Tile, TileTree, tileHashes, tilePath } from '../../archive/tiles.ts'
import { hashBytes, leafHash, writeLeafHash } from '../../chain/hash.ts'
import { AuditError, errorText } from '../../errors.ts'
import { parseRecord } from '../../event/record.ts'
import { proveFromArchive } from '../prove-archive.ts'
import type { Damage, FoundRecord, Head, ProjectionMismatch, Source } from '../source.ts'

type Group = (FoundRecord | Damage)[]

/** Tiles that are read before they are needed, and the one that is. */
const readsAhead = 4
/** Positions of different streams must not meet. */
const streamSpan = 2 ** 40

/** Reads every stream of the archive, or only those that are named. */
export function createArchiveSource(store: ArchiveStore, only?: readonly string[]): Source {
  const streams: string[] = []
  const list = async () => {
    if (streams.length === 0) streams.push(...(only ?? (await listStreams(store))))
    return streams
  }
  return {
    kind: 'archive',
    name: store.name,
    ordered: true,
    beginsLater: false,
    locate(position) {
      const sequence = position % streamSpan
      return `${streams[Math.floor(position / streamSpan)]} record ${sequence}, ${entriesPath(Math.floor((sequence - 1) / tileHashes))}`
    },
    readHeads: () =>
      reading(store, async () => (await Promise.all((await list()).map((one) => headOf(store, one)))).flat()),
    async prove({ stream, sequence }, verifiers) {
      const held = await reading(store, list)
      const meant = stream ?? (held.length === 1 ? held[0] : undefined)
      if (meant === undefined || !held.includes(meant)) return undefined
      return reading(store, () => proveFromArchive(store, { stream: meant, sequence }, verifiers))
    },
    async *read() {
      for (const [at, stream] of (await list()).entries()) yield* readStream(store, stream, at * streamSpan)
    },
    async *readSealed(range) {
      for (const [at, stream] of (await list()).entries())
        yield* readSealed(store, { stream, start: at * streamSpan }, range)
    },
  }
}

/** What the checkpoint covers must be there; its last leaf, where it can be read, is the hash of the head. */
async function headOf(store: ArchiveStore, stream: string): Promise<Head[]> {
  const end = await readForeignEnd(store, stream)
  if (end === undefined) throw new Error(`${stream}/checkpoint is no checkpoint`)
  if (end.size === 0) return []
  const index = Math.floor((end.size - 1) / tileHashes)
  const width = end.size - index * tileHashes
  const leaves = await readTile(store, `${stream}/${tilePath(0, index, width)}`, width)
  return [{ stream, sequence: end.size, hash: leaves?.at(-1)?.toString('hex') ?? null, note: end.note }]
}

async function* readStream(store: ArchiveStore, stream: string, start: number): AsyncGenerator<Group> {
  const size = (await reading(store, () => readForeignEnd(store, stream)))?.size ?? 0
  // Above a leaf that is wrong every hash is: the tree is followed up to there.
  let tree: TileTree | undefined = new TileTree()
  const entries = readAhead(tilesOf(size), (tile) => reading(store, () => readEntries(store, stream, tile)))
  for await (const [tile, { records, damage }] of entries) {
    const from = tile.index * tileHashes
    const leaves = leavesOf(records)
    const above: Tile[] = leaves.flatMap((leaf) => tree?.append(leaf) ?? [])
    if (from + tile.width === size) above.push(...(tree?.unfilled() ?? []))
    const derived = [{ level: 0, index: tile.index, hashes: leaves }, ...above.filter(({ level }) => level > 0)]
    const isWhole = leaves.length === tile.width
    const mismatch = isWhole ? await reading(store, () => findMismatch(store, stream, derived)) : undefined
    if (!isWhole || mismatch !== undefined) tree = undefined
    const found = records.map((bytes, at) => {
      return { ...place({ bytes, stream, sequence: from + at + 1, start }), leaf: leaves[at] }
    })
    const position = start + from + records.length + 1
    yield [...withMismatch(found, mismatch), ...damage.map((one) => ({ ...one, position }))]
  }
  yield* readTailOf(store, { stream, start }, size)
}

function leavesOf(records: readonly Buffer[]): Buffer[] {
  const leaves = Buffer.allocUnsafeSlow(records.length * hashBytes)
  return records.map((bytes, at) => {
    writeLeafHash(bytes, leaves, at * hashBytes)
    return leaves.subarray(at * hashBytes, (at + 1) * hashBytes)
  })
}

/** The tiles that may hold what was sealed in a range, and the tail: times never fall in a stream. */
async function* readSealed(
  store: ArchiveStore,
  { stream, start }: { readonly stream: string; readonly start: number },
  { from = '', to = '9999' }: { readonly from?: string | undefined; readonly to?: string | undefined },
): AsyncGenerator<Group> {
  const size = (await reading(store, () => readForeignEnd(store, stream)))?.size ?? 0
  const tiles = tilesOf(size)
  const read = (tile: EntriesTile) => reading(store, () => readEntries(store, stream, tile))
  let [low, high] = [0, tiles.length]
  while (high - low > 1) {
    // Each look depends on the one before.
    const middle = Math.floor((low + high) / 2)
    const tile = tiles[middle]
    if (tile !== undefined && (sealedAt((await read(tile)).records) ?? from) < from) low = middle
    else high = middle
  }
  for await (const [{ index }, { records }] of readAhead(tiles.slice(low), read)) {
    if ((sealedAt(records) ?? '') >= to) break
    yield records.map((bytes, at) => place({ bytes, stream, sequence: index * tileHashes + at + 1, start }))
  }
  yield* readTailOf(store, { stream, start }, size)
}

/** When the first of them was sealed, with microseconds, as far as it can be read. */
function sealedAt([first]: readonly Buffer[]): string | undefined {
  const recorded = first && parseRecord(first)?.recorded
  return recorded && `${recorded.slice(0, 26)}Z`
}

interface EntriesTile {
  readonly index: number
  readonly width: number
}

function tilesOf(size: number): EntriesTile[] {
  return Array.from({ length: Math.ceil(size / tileHashes) }, (_, index) => {
    return { index, width: Math.min(tileHashes, size - index * tileHashes) }
  })
}

/** What stands behind the checkpoint; a crash may leave there what it covers. */
async function* readTailOf(
  store: ArchiveStore,
  { stream, start }: { readonly stream: string; readonly start: number },
  size: number,
): AsyncGenerator<Group> {
  const tail = await reading(store, () => readTail(store, stream))
  yield tail.flatMap((bytes) => {
    const sequence = parseRecord(bytes)?.seq ?? size + 1
    return sequence <= size ? [] : [place({ bytes, stream, sequence, start })]
  })
}

/** A few reads under way while one is looked at: a bucket is far away. In the order of what is read. */
async function* readAhead<Place, Content>(
  places: readonly Place[],
  read: (place: Place) => Promise<Content>,
): AsyncGenerator<[Place, Content]> {
  const begun: Promise<Content>[] = []
  for (const [at, place] of places.entries()) {
    for (const next of places.slice(at + begun.length, at + readsAhead)) {
      const reading = read(next)
      reading.catch(() => undefined) // whoever waits for it hears of it
      begun.push(reading)
    }
    const [reading] = begun.splice(0, 1)
    if (reading !== undefined) yield [place, await reading]
  }
}

/** The records of a tile, at most as many as it has, and what could not be read as any. */
async function readEntries(
  store: ArchiveStore,
  stream: string,
  { index, width }: { readonly index: number; readonly width: number },
): Promise<{ records: Buffer[]; damage: Omit<Damage, 'position'>[] }> {
  const bytes = (await store.read(`${stream}/${entriesPath(index, width)}`)) ?? Buffer.alloc(0)
  const { records, isWhole } = decodeEntries(bytes)
  if (isWhole && records.length <= width) return { records, damage: [] }
  const damage = 'the lengths in the entries tile do not fit it'
  return { records: records.slice(0, width), damage: [{ damage, found: leafHash(bytes) }] }
}

function place(at: { bytes: Buffer; stream: string; sequence: number; start: number }): FoundRecord {
  const { bytes, stream, sequence, start } = at
  return { bytes, position: start + sequence, place: { stream, sequence } }
}

/** The first hash tile that is not what the records give. */
async function findMismatch(
  store: ArchiveStore,
  stream: string,
  tiles: readonly Tile[],
): Promise<(ProjectionMismatch & { readonly at: number }) | undefined> {
  for (const { level, index, hashes } of tiles) {
    const path = tilePath(level, index, hashes.length)
    const held = await readTile(store, `${stream}/${path}`, hashes.length)
    const at = hashes.findIndex((hash, place) => held?.[place]?.equals(hash) !== true)
    if (at === -1) continue
    const found = held?.[at]?.toString('hex') ?? ''
    return { name: path, expected: hashes[at]?.toString('hex') ?? '', found, at: level === 0 ? at : tileHashes }
  }
  return undefined
}

/** Said of the record whose hash it is; above the leaves, of the last record of the group. */
function withMismatch(
  found: FoundRecord[],
  mismatch: (ProjectionMismatch & { at: number }) | undefined,
): FoundRecord[] {
  if (mismatch === undefined) return found
  const at = Math.min(mismatch.at, found.length - 1)
  return found.map((one, index) => (index === at ? { ...one, checkProjection: () => mismatch } : one))
}

async function reading<Result>(store: ArchiveStore, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read()
  } catch (cause) {
    const hint =
      cause instanceof AuditError
        ? cause.hint
        : 'name the folder that otel-audit archive wrote, and let this user read it'
    throw new AuditError(
      'SOURCE_UNREADABLE',
      cause instanceof AuditError ? cause.message : `${store.name}: ${errorText(cause)}`,
      { setting: 'SOURCE', hint, cause },
    )
  }
}
