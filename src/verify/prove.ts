/**
 * Makes the proof of one record from a copy: finds it, the checkpoint that covers it first and the one before, and folds
 * the records between them. Always holds: a proof that is handed out has been checked against the root in its
 * checkpoint. The copy is read once to find the record and once for its neighbours; memory is a window around it.
 */

import { checkInclusion, Frontier, inclusionRanges } from '../chain/merkle.ts'
import type { Verifier } from '../chain/note.ts'
import { PartialTree } from '../chain/partial-tree.ts'
import { parseRecord } from '../event/record.ts'
import { checkpointLagMax } from '../limits.ts'
import { type Anchor, openAnchor } from './anchor.ts'
import { readLink } from './link.ts'
import { type CreatedProof, formatProof, type ProveRefusal, type WantedRecord } from './proof.ts'
import type { Source } from './source.ts'

/** Further from the record no checkpoint needs to be looked for: none reaches back so far. */
const windowRecords = 2 * checkpointLagMax

/** The source must be one that can be read twice. With keys, only checkpoints that they signed are taken. */
export async function createProof(
  source: Source,
  wanted: WantedRecord,
  verifiers: readonly Verifier[],
): Promise<CreatedProof | ProveRefusal> {
  const { stream: named, sequence: number } = wanted
  const direct = number === undefined ? undefined : await source.prove?.({ stream: named, sequence: number }, verifiers)
  if (direct !== undefined) return direct
  const found = await findRecord(source, wanted)
  if (found.problem !== undefined) return found
  const around = await readAround(source, found, verifiers)
  const { stream, sequence, bytes: record } = found
  const covering = around.after
  if (covering === undefined)
    return refuse(
      'uncovered',
      `no ${verifiers.length > 0 ? 'checkpoint that a given key signed' : 'checkpoint'} covers it`,
    )
  const base = around.before?.frontier ?? new Frontier()
  const leaves: Buffer[] = []
  for (let next = base.size + 1; next <= covering.size; next += 1) {
    const leaf = around.leaves.get(next)
    if (leaf === undefined) return refuse('incomplete', `record ${next}, which the proof needs, is not in this copy`)
    leaves.push(Buffer.from(leaf, 'hex'))
  }
  const tree = new PartialTree(base, leaves)
  const { size, root, deployment } = covering
  const index = sequence - 1
  const hashes = inclusionRanges(index, size).map((range) => tree.rootOf(range))
  const leaf = leaves[index - base.size] ?? root
  if (!checkInclusion({ index, size, leaf, root, proof: hashes }))
    return refuse(
      'damaged',
      `the records up to ${size} do not fold to the root that was signed for them: verify the copy`,
    )
  const proof = formatProof({ index, hashes, checkpoint: noteOf(covering) })
  return { proof, record, stream, sequence, deployment, size }
}

interface FoundOne {
  readonly problem?: undefined
  readonly stream: string
  readonly sequence: number
  readonly bytes: Buffer
}

async function findRecord(source: Source, wanted: WantedRecord): Promise<FoundOne | ProveRefusal> {
  const needle = wanted.id === undefined ? undefined : Buffer.from(JSON.stringify(wanted.id))
  const streams = new Set<string>()
  const matching = new Map<string, FoundOne>()
  for await (const group of source.read()) {
    for (const one of group) {
      if (one.damage !== undefined) continue
      // Most records of a search by id are passed over without parsing.
      if (
        needle !== undefined &&
        Buffer.from(one.bytes.buffer, one.bytes.byteOffset, one.bytes.length).indexOf(needle) < 0
      )
        continue
      const { stream, seq, id } = parseRecord(one.bytes) ?? {}
      if (stream === undefined || seq === undefined) continue
      streams.add(stream)
      const isWanted = wanted.id === undefined ? seq === wanted.sequence : id === wanted.id
      if (!isWanted || (wanted.stream !== undefined && wanted.stream !== stream)) continue
      const bytes = Buffer.from(one.bytes)
      matching.set(`${stream} ${bytes.toString('latin1')}`, { stream, sequence: seq, bytes })
    }
  }
  const [first, ...others] = matching.values()
  if (first === undefined) return refuse('not_found', 'the copy holds no such record')
  if (others.length === 0 && (streams.size === 1 || wanted.id !== undefined || wanted.stream !== undefined))
    return first
  const isOneStream = others.every(({ stream }) => stream === first.stream)
  if (isOneStream && others.length > 0)
    return refuse('ambiguous', 'the copy holds two different records with this number')
  return refuse('ambiguous', `the copy holds several streams: say --stream, one of ${[...streams].join(', ')}`)
}

interface Around {
  /** Leaf hashes by sequence, near the record. */
  readonly leaves: Map<number, string>
  /** The last checkpoint whose tree ends before the record, and the first whose tree holds it. */
  before: Anchor | undefined
  after: Anchor | undefined
}

async function readAround(source: Source, wanted: FoundOne, verifiers: readonly Verifier[]): Promise<Around> {
  const around: Around = { leaves: new Map(), before: undefined, after: undefined }
  for await (const group of source.read()) {
    for (const one of group) {
      const link = one.damage === undefined ? readLink(one) : undefined
      if (link === undefined || link.stream !== wanted.stream) continue
      const { sequence, leaf } = link
      // Of two records with one number, the wanted one counts.
      const isOther = sequence === wanted.sequence && !wanted.bytes.equals(one.damage === undefined ? one.bytes : empty)
      if (Math.abs(sequence - wanted.sequence) <= windowRecords && !isOther) around.leaves.set(sequence, leaf)
      if (link.control?.type !== 'checkpoint') continue
      const anchor = openAnchor(link, { verifiers, deployment: undefined })
      if (anchor !== undefined && !('verdict' in anchor)) noteAnchor(around, anchor, wanted.sequence)
    }
  }
  return around
}

function noteAnchor(around: Around, anchor: Anchor, sequence: number): void {
  const { size } = anchor
  if (size < sequence && size > (around.before?.size ?? 0)) around.before = anchor
  if (size >= sequence && size < (around.after?.size ?? Number.POSITIVE_INFINITY)) around.after = anchor
}

function noteOf({ link }: Anchor): string {
  const { note } = (link.control?.details ?? {}) as { note?: unknown }
  return typeof note === 'string' ? note : ''
}

function refuse(problem: ProveRefusal['problem'], reason: string): ProveRefusal {
  return { problem, reason }
}

const empty = Buffer.alloc(0)
