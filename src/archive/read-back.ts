/** Reads back what was archived of a stream, down to its bytes, before anybody relies on it. */

import { leafHash } from '../chain/hash.ts'
import { openEnd, readTail, readTile } from './archive-end.ts'
import type { ArchiveStore } from './store.ts'
import { decodeEntries, entriesPath, tileHashes, tilePath, tileRoot } from './tiles.ts'

/**
 * Whether the archive holds every record of a stream behind `from` up to `to`: records, leaves, nodes and checkpoint are
 * read and compared with one another. The first thing that is wrong, in words.
 */
export async function readBack(
  store: ArchiveStore,
  stream: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<string | undefined> {
  const end = await openEnd(store, stream)
  if (end === undefined) return 'what it ends with does not fit its checkpoint'
  const { size } = end
  const tail = await readTail(store, stream)
  if (size + tail.length < to) return `it ends with record ${size + tail.length}`
  for (let index = Math.floor(from / tileHashes); index * tileHashes < size; index += 1) {
    const width = Math.min(tileHashes, size - index * tileHashes)
    const leaves = (await readTile(store, `${stream}/${tilePath(0, index, width)}`, width)) ?? []
    const { records } = decodeEntries((await store.read(`${stream}/${entriesPath(index, width)}`)) ?? Buffer.alloc(0))
    const isWhole = records.length === width && leaves.length === width
    const fits = isWhole && records.every((record, at) => leafHash(record) === leaves[at]?.toString('hex'))
    if (!fits) return `${entriesPath(index, width)} is not what ${tilePath(0, index, width)} says`
    const wrong = width === tileHashes ? await findWrongParent(store, stream, { index, size }) : undefined
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** The first tile above a full one of leaves that does not hold the root of the one below it. */
async function findWrongParent(
  store: ArchiveStore,
  stream: string,
  { index, size }: { readonly index: number; readonly size: number },
): Promise<string | undefined> {
  let [child, count] = [index, Math.floor(size / tileHashes)]
  for (let level = 1; count > child; level += 1) {
    const below = await readTile(store, `${stream}/${tilePath(level - 1, child)}`, tileHashes)
    const parent = Math.floor(child / tileHashes)
    const width = Math.min(tileHashes, count - parent * tileHashes)
    const path = tilePath(level, parent, width)
    const held = (await readTile(store, `${stream}/${path}`, width))?.[child % tileHashes]
    if (below === undefined || held?.equals(tileRoot(below)) !== true) return `${path} is not what lies below it`
    // A parent that this child did not fill is looked at with the child that does.
    if (width < tileHashes || child % tileHashes !== tileHashes - 1) return undefined
    ;[child, count] = [parent, Math.floor(count / tileHashes)]
  }
  return undefined
}
