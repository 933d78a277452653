/**
 * An archive as somebody writes it who knows its format: any records, in tiles whose every hash fits them, under the last
 * checkpoint that there is.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { encodeEntries, entriesPath, type Tile, TileTree, tileHashes, tilePath } from '../../src/archive/tiles.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { parseRecord } from '../../src/event/record.ts'

const nowhere = '019b7c2f-0000-7000-8000-00000000000a'

/** `changeNote`: of the checkpoint that lies beside the records. */
export function craftArchive(
  directory: string,
  lines: readonly string[],
  changeNote: (note: string) => string = (note) => note,
): void {
  mkdirSync(directory, { recursive: true })
  const streams = new Map<string, string[]>()
  let stream = nowhere
  for (const line of lines) {
    stream = parseRecord(Buffer.from(line))?.stream ?? stream
    streams.set(stream, [...(streams.get(stream) ?? []), line])
  }
  for (const [name, own] of streams) writeStream(join(directory, name), own, changeNote)
}

function writeStream(folder: string, lines: readonly string[], changeNote: (note: string) => string): void {
  const write = (path: string, bytes: string | Uint8Array): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
  }
  const { note, size } = lastCheckpoint(lines)
  const isTiled = (line: string): boolean => (parseRecord(Buffer.from(line))?.seq ?? 0) <= size
  const records = lines.filter(isTiled).map((line) => Buffer.from(line))
  const tree = new TileTree()
  const tiles: Tile[] = records.flatMap((record) => tree.append(Buffer.from(leafHash(record), 'hex')))
  for (const { level, index, hashes } of [...tiles, ...tree.unfilled()])
    write(tilePath(level, index, widthOf(level, index, size)), Buffer.concat(hashes))
  for (let from = 0; from < records.length; from += tileHashes) {
    const entries = records.slice(from, from + tileHashes)
    write(entriesPath(from / tileHashes, widthOf(0, from / tileHashes, size)), encodeEntries(entries))
  }
  if (note !== undefined) write('checkpoint', changeNote(note))
  const tail = lines.filter((line) => !isTiled(line))
  if (tail.length > 0) write('tail.ndjson', tail.map((line) => `${line}\n`).join(''))
}

/** The tiles keep the names that the checkpoint gives them, whatever is in them. */
function widthOf(level: number, index: number, size: number): number {
  const hashes = Math.floor(size / tileHashes ** level)
  return Math.min(tileHashes, Math.max(1, hashes - index * tileHashes))
}

function lastCheckpoint(lines: readonly string[]): { note: string | undefined; size: number } {
  let last: { note: string | undefined; size: number } = { note: undefined, size: 0 }
  for (const line of lines) {
    const { event_type, details } = parseRecord(Buffer.from(line)) ?? {}
    const note = event_type === 'audit.checkpoint' ? details?.note : undefined
    const size = typeof note === 'string' ? Number(note.split('\n')[1]) : 0
    if (typeof note === 'string' && size > last.size) last = { note, size }
  }
  return last
}
