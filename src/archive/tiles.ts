/**
 * Tiles of one stream's tree (c2sp.org/tlog-tiles): their names, their bytes, and the tree that fills them. Pure.
 *
 *   tile/<L>/<N>[.p/<W>]        up to 256 hashes of 32 bytes; level L + 1 holds the roots of full tiles of level L
 *   tile/entries/<N>[.p/<W>]    the records of tile/0/<N>: u16 big-endian length, bytes, and so on
 *   N as x001/x234/067          index 1,234,067; W the number of hashes of a tile that is not full
 *
 * The record of sequence n is entry n − 1. A full tile never changes.
 */

import { hashBytes } from '../chain/hash.ts'
import { Frontier } from '../chain/merkle.ts'

/** Hashes of a full tile. */
export const tileHashes = 256

const lengthBytes = 2

/** Where the hashes of a tile lie; `width` below 256 for one that is not full. */
export function tilePath(level: number, index: number, width = tileHashes): string {
  return `tile/${level}/${formatIndex(index)}${formatWidth(width)}`
}

/** Where the records of `tile/0/<index>` lie. */
export function entriesPath(index: number, width = tileHashes): string {
  return `tile/entries/${formatIndex(index)}${formatWidth(width)}`
}

function formatIndex(index: number): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? []
  return groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/')
}

function formatWidth(width: number): string {
  return width === tileHashes ? '' : `.p/${width}`
}

/** The records of one tile. Each has at most 65,535 bytes; ours have less. */
export function encodeEntries(records: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const length = Buffer.alloc(lengthBytes)
      length.writeUInt16BE(record.length)
      return [length, record]
    }),
  )
}

/** Inverse of `encodeEntries`; what follows a length that cannot be true is left out, and `isWhole` is false. */
export function decodeEntries(bytes: Buffer): { readonly records: Buffer[]; readonly isWhole: boolean } {
  const records: Buffer[] = []
  let at = 0
  while (at + lengthBytes <= bytes.length) {
    const start = at + lengthBytes
    const end = start + bytes.readUInt16BE(at)
    if (end > bytes.length) break
    records.push(bytes.subarray(start, end))
    at = end
  }
  return { records, isWhole: at === bytes.length }
}

/** The hashes of a tile, or `undefined` when these bytes cannot be `width` of them. */
export function decodeTile(bytes: Buffer, width: number): Buffer[] | undefined {
  if (bytes.length !== width * hashBytes) return undefined
  return Array.from({ length: width }, (_, at) => bytes.subarray(at * hashBytes, (at + 1) * hashBytes))
}

/** The root over the hashes of one tile: what its parent holds of a full one. */
export function tileRoot(hashes: readonly Uint8Array[]): Buffer {
  return frontierOf(hashes).root()
}

/** One tile of the tree. */
export interface Tile {
  readonly level: number
  readonly index: number
  readonly hashes: readonly Buffer[]
}

/** The tiles that are not full in a tree of `size`: one a level, lowest first; width 0 where a level ends with a full one. */
export function unfilledTiles(
  size: number,
): { readonly level: number; readonly index: number; readonly width: number }[] {
  const unfilled = []
  for (let level = 0, count = size; count > 0; level += 1) {
    unfilled.push({ level, index: Math.floor(count / tileHashes), width: count % tileHashes })
    count = Math.floor(count / tileHashes)
  }
  return unfilled
}

/** A growing tree, of which the tiles that are not full are in memory. */
export class TileTree {
  #size: number
  readonly #levels: Buffer[][]

  /** `levels`: the hashes of the tiles that `unfilledTiles(size)` names. */
  constructor(size = 0, levels: readonly (readonly Buffer[])[] = []) {
    this.#size = size
    this.#levels = levels.map((hashes) => [...hashes])
  }

  get size(): number {
    return this.#size
  }

  /** Adds the next leaf; the tiles that it fills, lowest first. */
  append(leaf: Buffer): Tile[] {
    const filled: Tile[] = []
    this.#size += 1
    let hash = leaf
    for (let level = 0, count = this.#size; ; level += 1) {
      const hashes = this.#levels[level] ?? []
      hashes.push(hash)
      this.#levels[level] = hashes
      if (hashes.length < tileHashes) return filled
      filled.push({ level, index: count / tileHashes - 1, hashes })
      hash = tileRoot(hashes)
      this.#levels[level] = []
      count /= tileHashes
    }
  }

  /** The tiles that are not full, without those that are empty. */
  unfilled(): Tile[] {
    return unfilledTiles(this.#size).flatMap(({ level, index, width }) =>
      width === 0 ? [] : [{ level, index, hashes: this.#levels[level] ?? [] }],
    )
  }

  root(): Buffer {
    const hashes = this.#levels.toReversed().flatMap((level) => frontierOf(level).hashes())
    return Frontier.from(this.#size, hashes)?.root() ?? Buffer.alloc(0)
  }

  clone(): TileTree {
    return new TileTree(this.#size, this.#levels)
  }
}

function frontierOf(hashes: readonly Uint8Array[]): Frontier {
  const frontier = new Frontier()
  for (const hash of hashes) frontier.append(hash)
  return frontier
}
