/**
 * What is left of a trail: the records of a spool and of the copies that destinations hold, read as any reader reads
 * them, and checked against what was acknowledged. Knows nothing of how the spool works.
 */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { leafHash } from '../../src/chain/hash.ts'
import { AuditError } from '../../src/errors.ts'
import { diskFiles } from '../../src/spool/files.ts'
import type { SpoolReader } from '../../src/spool/reader.ts'
import { openReader } from '../../src/spool/settle.ts'
import type { Acknowledged } from './subject.ts'

export interface TrailRecord {
  readonly id: string
  readonly stream: string
  readonly sequence: number
  readonly eventType: string
  readonly prev: string | undefined
  readonly recorded: string
  readonly target: string | undefined
  readonly details: Readonly<Record<string, unknown>>
  readonly bytes: string
}

/** The records of a spool, recovered first as the next start would do; none where nothing was ever made. */
export function readSpool(directory: string): TrailRecord[] {
  if (!existsSync(directory)) return []
  try {
    return recordsOf(openReader(diskFiles, directory))
  } catch (error) {
    if (error instanceof AuditError && error.code === 'SOURCE_UNREADABLE') return []
    throw error
  }
}

/** Everything a reader gives, to its end; closes it. */
export function recordsOf(reader: SpoolReader): TrailRecord[] {
  const records: TrailRecord[] = []
  for (;;) {
    const more = reader.next({ records: 1_000, bytes: 2 ** 22 })
    if (more.length === 0) break
    for (const { bytes } of more) records.push(parse(bytes.toString()))
  }
  reader.close()
  return records
}

/** The whole lines of an NDJSON file; the last may be cut off. */
export function readLines(path: string): TrailRecord[] {
  if (!existsSync(path)) return []
  return parseLines(readFileSync(path, 'utf8'))
}

/** The records of NDJSON whose last line may be cut off. */
export function parseLines(text: string): TrailRecord[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map(parse)
}

function parse(text: string): TrailRecord {
  const json = JSON.parse(text) as Record<string, unknown> & { target?: { id?: string }; details?: object }
  return {
    id: String(json.id),
    stream: String(json.stream),
    sequence: Number(json.seq),
    eventType: String(json.event_type),
    prev: json.prev as string | undefined,
    recorded: String(json.recorded),
    target: json.target?.id,
    details: { ...json.details },
    bytes: text,
  }
}

/** No gap, every link right, no id twice; in the order in which they were read. Returns how many streams there are. */
export function checkChain(records: readonly TrailRecord[]): number {
  const ends = new Map<string, { sequence: number; hash: string }>()
  const ids = new Set<string>()
  for (const { id, stream, sequence, prev, bytes } of records) {
    const before = ends.get(stream)
    if (before !== undefined) {
      assert.equal(sequence, before.sequence + 1, `stream ${stream} has no gap`)
      assert.equal(prev, before.hash, `record ${sequence} of ${stream} names the one before it`)
    }
    assert.ok(!ids.has(id), `record ${id} stands once in the spool`)
    ids.add(id)
    ends.set(stream, { sequence, hash: leafHash(Buffer.from(bytes)) })
  }
  return ends.size
}

/** No stream and sequence with two contents in all copies together. */
export function checkNoContradiction(...copies: readonly (readonly TrailRecord[])[]): void {
  const seen = new Map<string, string>()
  for (const { stream, sequence, bytes } of copies.flat()) {
    const known = seen.get(`${stream} ${sequence}`)
    if (known !== undefined) assert.equal(bytes, known, `sequence ${sequence} of ${stream} has one content everywhere`)
    seen.set(`${stream} ${sequence}`, bytes)
  }
}

/** Everything acknowledged is there, under the number that was promised. */
export function checkAcknowledged(acknowledged: readonly Acknowledged[], records: readonly TrailRecord[]): void {
  const found = new Map(records.map((record) => [record.id, record.sequence]))
  const lost = acknowledged.filter(({ id, sequence }) => found.get(id) !== sequence)
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} of ${acknowledged.length} acknowledged records are lost`)
}

/** Everything that a destination received stands in the trail, byte for byte; returns how many repetitions it has. */
export function checkReceived(received: readonly TrailRecord[], records: readonly TrailRecord[]): number {
  const found = new Map(records.map((record) => [record.id, record.bytes]))
  const foreign = received.filter(({ id, bytes }) => found.get(id) !== bytes)
  const names = foreign.slice(0, 5).map(({ stream, sequence }) => `${stream} ${sequence}`)
  assert.deepEqual(names, [], `${foreign.length} received records are not in the trail`)
  return received.length - new Set(received.map(({ id }) => id)).size
}

/** `predecessor` of each `opened` record that begins a stream: the record that it names exists, with that hash. */
export function checkPredecessors(...copies: readonly (readonly TrailRecord[])[]): number {
  const hashes = new Map<string, string>()
  for (const one of copies.flat()) hashes.set(`${one.stream} ${one.sequence}`, leafHash(Buffer.from(one.bytes)))
  let named = 0
  for (const { eventType, details, stream } of copies.flat()) {
    const predecessor = details.predecessor as { stream: string; seq: number; hash: string } | undefined
    if (eventType !== 'audit.stream.opened' || predecessor === undefined) continue
    named += 1
    const hash = hashes.get(`${predecessor.stream} ${predecessor.seq}`)
    assert.equal(hash, predecessor.hash, `the predecessor that stream ${stream} names is there`)
  }
  return named
}
