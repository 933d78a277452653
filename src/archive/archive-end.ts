/** Where the archive of one stream ends: its checkpoint, the tiles that are not full, and what follows the checkpoint. */

import { parseCheckpoint } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import type { ArchiveStore } from './store.ts'
import { decodeEntries, decodeTile, entriesPath, TileTree, tileHashes, tilePath, unfilledTiles } from './tiles.ts'

/** The end of an archived stream. */
export interface ArchivedEnd {
  /** The signed checkpoint that covers the tiles, verbatim; absent before the first. */
  readonly note: string | undefined
  readonly size: number
  readonly root: Uint8Array | undefined
}

/** All that is needed to go on behind the end. */
export interface OpenEnd extends ArchivedEnd {
  readonly tree: TileTree
  /** The records of the entries tile that is not full. */
  readonly entries: readonly Buffer[]
  /** Leaf hash of the last record in tiles. */
  readonly lastLeaf: string | undefined
}

const newline = 0x0a
const streamForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export const notePath = (stream: string): string => `${stream}/checkpoint`
export const tailPath = (stream: string): string => `${stream}/tail.ndjson`

/** The streams that a store holds, as their folders say. */
export async function listStreams(store: ArchiveStore): Promise<string[]> {
  return (await store.list()).filter((name) => streamForm.test(name))
}

/** The end as the checkpoint says; `undefined` when what stands there is no checkpoint of this stream. */
export async function readEnd(store: ArchiveStore, stream: string): Promise<ArchivedEnd | undefined> {
  const end = await readForeignEnd(store, stream)
  return end?.origin === undefined || end.origin.endsWith(`/${stream}`) ? end : undefined
}

/** As `readEnd`, of whatever stream the checkpoint is. */
export async function readForeignEnd(
  store: ArchiveStore,
  stream: string,
): Promise<(ArchivedEnd & { readonly origin?: string }) | undefined> {
  const note = (await store.read(notePath(stream)))?.toString('utf8')
  if (note === undefined) return { note, size: 0, root: undefined }
  const checkpoint = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
  return 'problem' in checkpoint ? undefined : { note, ...checkpoint }
}

/** The end with its tree; `undefined` when what is there does not fold to the root in the checkpoint. */
export async function openEnd(store: ArchiveStore, stream: string): Promise<OpenEnd | undefined> {
  const end = await readEnd(store, stream)
  if (end === undefined) return undefined
  const levels: (readonly Buffer[])[] = []
  for (const { level, index, width } of unfilledTiles(end.size)) {
    const hashes = width === 0 ? [] : await readTile(store, `${stream}/${tilePath(level, index, width)}`, width)
    if (hashes === undefined) return undefined
    levels.push(hashes)
  }
  const tree = new TileTree(end.size, levels)
  if (end.root !== undefined && !tree.root().equals(end.root)) return undefined
  const leaves = levels[0] ?? []
  const path = `${stream}/${entriesPath(Math.floor(end.size / tileHashes), leaves.length)}`
  const entries = await readEntries(store, path, leaves)
  return entries && { ...end, tree, entries, lastLeaf: await readLastLeaf(store, stream, end.size) }
}

/** The hashes of a tile; `undefined` when it is not there or is not one. */
export async function readTile(store: ArchiveStore, path: string, width: number): Promise<Buffer[] | undefined> {
  const bytes = await store.read(path)
  return bytes && decodeTile(bytes, width)
}

/** The records after the checkpoint, and perhaps some before it: a crash may leave those of an older one. */
export async function readTail(store: ArchiveStore, stream: string): Promise<Buffer[]> {
  return splitTail(await store.read(tailPath(stream)))
}

/** The lines of a tail, the last one also without its end. */
export function splitTail(text: Buffer = Buffer.alloc(0)): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = text.indexOf(newline); end !== -1; end = text.indexOf(newline, start)) {
    lines.push(text.subarray(start, end))
    start = end + 1
  }
  return start < text.length ? [...lines, text.subarray(start)] : lines
}

/** The records of these leaves, if it is them that lie there. */
async function readEntries(
  store: ArchiveStore,
  path: string,
  leaves: readonly Buffer[],
): Promise<Buffer[] | undefined> {
  if (leaves.length === 0) return []
  const { records } = decodeEntries((await store.read(path)) ?? Buffer.alloc(0))
  const fits =
    records.length === leaves.length && records.every((one, at) => leafHash(one) === leaves[at]?.toString('hex'))
  return fits ? records : undefined
}

async function readLastLeaf(store: ArchiveStore, stream: string, size: number): Promise<string | undefined> {
  if (size === 0) return undefined
  const index = Math.floor((size - 1) / tileHashes)
  const width = size - index * tileHashes
  const hashes = await readTile(store, `${stream}/${tilePath(0, index, width)}`, width)
  return hashes?.at(-1)?.toString('hex')
}
