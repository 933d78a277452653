/**
 * The closed files of an NDJSON file and their names: `audit.ndjson.000001`, `.000002`, …, in the order in which they
 * were closed, `.gz` or `.zst` behind it once compressed. Always holds: a number is not given twice while the one before
 * is there; a compressed file under its name is whole; each record is in one of them, or in the file being written, at
 * every step. What a crash leaves beside them (`.tmp`, a plain file beside its compressed one) is taken away at once.
 */

import fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream'
import zlib from 'node:zlib'
import { type Compression, suffixes } from './compression.ts'

export interface ClosedFile {
  readonly number: number
  readonly path: string
  readonly compression: Compression
}

const numberDigits = 6

/** The closed files of `path`, oldest first. */
export function listClosed(path: string): ClosedFile[] {
  const found = new Map<number, ClosedFile>()
  for (const name of namesBeside(path)) {
    const closed = parseName(path, name)
    // Compressed beside plain: a crash came before the plain one was removed.
    if (closed !== undefined && (closed.compression !== 'none' || !found.has(closed.number)))
      found.set(closed.number, closed)
  }
  return [...found.values()].sort((a, b) => a.number - b.number)
}

/** Gives the file being written the next number; afterwards there is none at `path`. Durable on return. */
export function closeCurrent(path: string): void {
  const last = listClosed(path).at(-1)?.number ?? 0
  fs.renameSync(path, `${path}.${String(last + 1).padStart(numberDigits, '0')}`)
  syncDirectory(path)
}

/** Removes what a crash left of a compression. */
export function removeLeftovers(path: string): void {
  const kept = new Set(listClosed(path).map((closed) => closed.path))
  const leftovers = namesBeside(path).filter((name) => {
    const isHalf = name.endsWith('.tmp') && parseName(path, name.slice(0, -'.tmp'.length)) !== undefined
    return isHalf || (parseName(path, name) !== undefined && !kept.has(join(dirname(path), name)))
  })
  for (const name of leftovers) fs.unlinkSync(join(dirname(path), name))
  if (leftovers.length > 0) syncDirectory(path)
}

/** Where the compressed form of a plain closed file goes. */
export function compressedName({ path }: ClosedFile, compression: Compression): string {
  return `${path}${suffixes[compression]}`
}

/** The content of a closed file, decompressed. Rejects for a file that is not whole. */
export function readClosed({ path, compression }: ClosedFile): AsyncIterable<Buffer> {
  const stored = fs.createReadStream(path)
  if (compression === 'none') return stored
  const decompress = compression === 'gzip' ? zlib.createGunzip() : zlib.createZstdDecompress()
  return pipeline(stored, decompress, () => {}) // whoever iterates hears of the failure
}

/** Makes the names in the file's directory survive a power cut. */
export function syncDirectory(path: string): void {
  const directory = fs.openSync(dirname(path), fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(directory)
  } finally {
    fs.closeSync(directory)
  }
}

function namesBeside(path: string): string[] {
  const start = `${basename(path)}.`
  return fs.readdirSync(dirname(path)).filter((name) => name.startsWith(start))
}

function parseName(path: string, name: string): ClosedFile | undefined {
  const [, digits, suffix = ''] = /^\.(\d{6,})(\.gz|\.zst)?$/.exec(name.slice(basename(path).length)) ?? []
  if (digits === undefined) return undefined
  const compression = suffix === '.gz' ? 'gzip' : suffix === '.zst' ? 'zstd' : 'none'
  return { number: Number(digits), path: join(dirname(path), name), compression }
}
