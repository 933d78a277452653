/**
 * An archive of any length, made as fast as its records can be hashed: every tile of hashes, and of the tiles of records
 * those alone that proofs are asked of. Its records are linked, and its checkpoint covers all of them.
 */

import { hash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { encodeEntries, entriesPath, type Tile, TileTree, tileHashes, tilePath } from '../../src/archive/tiles.ts'
import { checkpointDetails } from '../../src/chain/checkpoint.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { makeKeys } from '../support/trail.ts'

export interface LongArchive {
  readonly archive: string
  readonly records: number
  readonly verifierKey: string
}

const stream = '019b7c2f-1111-7000-8000-000000000001'
const time = '2026-01-02T03:04:05.000000000Z'
const keys = makeKeys('bench')

/** The numbers of so many records all over a trail, without the last one. */
export function sequencesOver(records: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => 1 + Math.floor(((index + 0.5) * (records - 1)) / count))
}

/** `sequences`: of the records that must be there. */
export function makeLongArchive(archive: string, records: number, sequences: readonly number[]): LongArchive {
  const wanted = new Set(sequences.map((sequence) => Math.floor((sequence - 1) / tileHashes)))
  const folders = new Set<string>()
  const write = (path: string, bytes: string | Uint8Array): void => {
    const target = join(archive, stream, path)
    if (!folders.has(dirname(target))) mkdirSync(dirname(target), { recursive: true })
    folders.add(dirname(target))
    writeFileSync(target, bytes)
  }
  const writeTile = ({ level, index, hashes }: Tile): void =>
    write(tilePath(level, index, hashes.length), Buffer.concat(hashes))
  const tree = new TileTree()
  let [prev, lines]: [string, string[]] = ['', []]
  for (let sequence = 1; sequence <= records; sequence += 1) {
    const line = recordOf(sequence, prev)
    const leaf = hash('sha256', `\0${line}`, 'buffer')
    prev = leaf.toString('hex')
    lines.push(line)
    for (const tile of tree.append(leaf)) writeTile(tile)
    if (lines.length < tileHashes && sequence < records) continue
    const index = Math.floor((sequence - 1) / tileHashes)
    if (wanted.has(index)) write(entriesPath(index, lines.length), encodeEntries(lines.map((one) => Buffer.from(one))))
    lines = []
  }
  for (const tile of tree.unfilled()) writeTile(tile)
  write('checkpoint', checkpointDetails(frontierOf(tree), `bench/${stream}`, keys.signer).note)
  return { archive, records, verifierKey: keys.signer.verifierKey }
}

function recordOf(sequence: number, prev: string): string {
  const link = prev === '' ? '' : `"prev":"${prev}",`
  return `{"action":"invoice.delete","epoch":1,"event_type":"audit",${link}"recorded":"${time}","schema":"1","seq":${sequence},"stream":"${stream}","timestamp":"${time}","v":"1"}`
}

function frontierOf(tree: TileTree): Frontier {
  const roots = tree
    .unfilled()
    .toReversed()
    .flatMap(({ hashes }) => {
      const level = new Frontier()
      for (const one of hashes) level.append(one)
      return level.hashes()
    })
  const frontier = Frontier.from(tree.size, roots)
  if (frontier === undefined) throw new Error('its tiles are no tree')
  return frontier
}
