/**
 * Makes the proof of one record from an archive by reading its tiles: one of records, and of each level the few hashes on
 * the way to the root. What is read grows with the logarithm of the stream. The proof leads to the archive's checkpoint.
 */

import { readEnd, readTile } from '../archive/archive-end.ts'
import type { ArchiveStore } from '../archive/store.ts'
import { decodeEntries, entriesPath, tileHashes, tilePath } from '../archive/tiles.ts'
import { openSignedCheckpoint } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import { checkInclusion, Frontier, inclusionRanges, type LeafRange } from '../chain/merkle.ts'
import type { Verifier } from '../chain/note.ts'
import { type CreatedProof, formatProof, type ProveRefusal } from './proof.ts'

/** Hashes of a tile are the leaves of eight levels. */
const tileLevels = 8

/** The record of a stream by its number. With keys, one of them must have signed the archive's checkpoint. */
export async function proveFromArchive(
  store: ArchiveStore,
  { stream, sequence }: { readonly stream: string; readonly sequence: number },
  verifiers: readonly Verifier[],
): Promise<CreatedProof | ProveRefusal> {
  const { note, size = 0, root } = (await readEnd(store, stream)) ?? {}
  if (note === undefined || root === undefined || sequence > size)
    return { problem: 'uncovered', reason: 'the checkpoint of the archive does not cover it' }
  const opened = verifiers.length > 0 ? openSignedCheckpoint(note, undefined, verifiers) : undefined
  if (opened !== undefined && 'problem' in opened) return { problem: 'uncovered', reason: opened.reason }
  const index = sequence - 1
  const tree = new ArchivedTree(store, stream, size)
  const record = await tree.record(index)
  const ranges = inclusionRanges(index, size)
  const hashes = await Promise.all(ranges.map((range) => tree.rootOf(range)))
  const known = hashes.filter((hash) => hash !== undefined)
  if (record === undefined || known.length < hashes.length)
    return { problem: 'incomplete', reason: 'a tile that the proof needs is missing or damaged' }
  const leaf = Buffer.from(leafHash(record), 'hex')
  if (!checkInclusion({ index, size, leaf, root, proof: known }))
    return { problem: 'damaged', reason: 'its tiles do not lead to the root that was signed: verify the archive' }
  const origin = note.slice(0, note.indexOf('\n'))
  const deployment = origin.slice(0, origin.lastIndexOf('/'))
  return { proof: formatProof({ index, hashes: known, checkpoint: note }), record, stream, sequence, deployment, size }
}

class ArchivedTree {
  readonly #store: ArchiveStore
  readonly #stream: string
  readonly #size: number

  constructor(store: ArchiveStore, stream: string, size: number) {
    this.#store = store
    this.#stream = stream
    this.#size = size
  }

  async record(index: number): Promise<Buffer | undefined> {
    const tile = Math.floor(index / tileHashes)
    const bytes = await this.#store.read(`${this.#stream}/${entriesPath(tile, this.#widthOf(0, tile))}`)
    return bytes && decodeEntries(bytes).records[index % tileHashes]
  }

  /** The root of a range that a proof names: it begins where its largest perfect subtree does. */
  async rootOf([from, to]: LeafRange): Promise<Buffer | undefined> {
    const roots: Buffer[] = []
    for (let at = from; at < to; ) {
      const height = Math.floor(Math.log2(to - at))
      // One after the other: the next begins where this one ends.
      const root = await this.#subtree(height, at / 2 ** height)
      if (root === undefined) return undefined
      roots.push(root)
      at += 2 ** height
    }
    return Frontier.from(to - from, roots)?.root()
  }

  async #subtree(height: number, number: number): Promise<Buffer | undefined> {
    const level = Math.floor(height / tileLevels)
    const count = 2 ** (height % tileLevels)
    const tile = Math.floor((number * count) / tileHashes)
    const width = this.#widthOf(level, tile)
    const hashes = await readTile(this.#store, `${this.#stream}/${tilePath(level, tile, width)}`, width)
    const start = (number * count) % tileHashes
    const frontier = new Frontier()
    for (const hash of hashes?.slice(start, start + count) ?? []) frontier.append(hash)
    return frontier.size === count ? frontier.root() : undefined
  }

  #widthOf(level: number, tile: number): number {
    return Math.min(tileHashes, Math.floor(this.#size / tileHashes ** level) - tile * tileHashes)
  }
}
