/**
 * Makes the proof of one record from a copy: finds it, the checkpoint that covers it first and the one before, and folds
 * the records between them. Always holds: a proof that is handed out has been checked against the root in its
 * checkpoint. Where the source can read the records around a number or behind a time alone, no others are read; elsewhere
 * the copy is read three times: for the record, for checkpoints, for leaves. Memory is a window around it.
 */

import { leafHash } from '../chain/hash.ts'
import { checkInclusion, Frontier, inclusionRanges } from '../chain/merkle.ts'
import type { Verifier } from '../chain/note.ts'
import { PartialTree } from '../chain/partial-tree.ts'
import { parseRecord } from '../event/record.ts'
import { sealedBy } from '../event/record-id.ts'
import { scanRecord } from '../event/record-scan.ts'
import { type Anchor, openAnchor } from './anchor.ts'
import { asBuffer, type Link, readLink } from './link.ts'
import { type Copy, Nearby, type NumberRange, windowRecords } from './nearby.ts'
import { type CreatedProof, formatProof, type ProveRefusal, type WantedRecord } from './proof.ts'
import type { Place, Source } from './source.ts'

const checkpointMark = Buffer.from('"audit.checkpoint"')
/** Checkpoints tried on each side of the record, until a given key has signed one. */
const claimsMax = 256

/** The source must be one that can be read twice. With keys, only checkpoints that they signed are taken. */
export function createProof(
  source: Source,
  wanted: WantedRecord,
  verifiers: readonly Verifier[],
): Promise<CreatedProof | ProveRefusal> {
  const proveFrom = (one: Source): Promise<CreatedProof | ProveRefusal> => prove(one, wanted, verifiers)
  return source.during === undefined ? proveFrom(source) : source.during(proveFrom)
}

async function prove(
  source: Source,
  wanted: WantedRecord,
  verifiers: readonly Verifier[],
): Promise<CreatedProof | ProveRefusal> {
  const place = await placeOf(source, wanted)
  const direct = place && (await source.prove?.(place, verifiers))
  if (direct !== undefined) return direct
  const near = place && (await proveNear(source, place, { wanted, verifiers }))
  if (near !== undefined) return near
  const found = await findRecord(source, wanted)
  if (found.problem !== undefined) return found
  const nearFound = place === undefined ? await proveNear(source, found, { wanted, verifiers }) : undefined
  return nearFound ?? proveFound(source, found, verifiers)
}

/** The number of the record: as it is wanted, as the source's own index has it, or as the time in its id leads there. */
async function placeOf(source: Source, { id, stream, sequence }: WantedRecord) {
  if (sequence !== undefined) return { stream, sequence }
  return id === undefined ? undefined : ((await source.find?.(id)) ?? (await findByTime(source, id)))
}

/** Reads what was sealed soon after the id was made. */
async function findByTime(source: Source, id: string): Promise<Place | undefined> {
  const range = sealedBy(id)
  if (source.readSealed === undefined || range === undefined) return undefined
  for await (const group of source.readSealed(range)) {
    for (const one of group) {
      if (one.damage !== undefined || asBuffer(one.bytes).indexOf(id) < 0) continue
      const members = parseRecord(one.bytes)
      if (members?.id === id && members.stream !== undefined && members.seq !== undefined)
        return { stream: members.stream, sequence: members.seq }
    }
  }
  return undefined
}

/** Reads no more around the record than leads to a proof; undefined where that leads to none. */
async function proveNear(
  source: Source,
  place: { readonly stream?: string | undefined; readonly sequence: number },
  { wanted, verifiers }: { readonly wanted: WantedRecord; readonly verifiers: readonly Verifier[] },
): Promise<CreatedProof | undefined> {
  const nearby = await Nearby.of(source, place)
  for (let isWider = nearby !== undefined; nearby !== undefined && isWider; ) {
    // One after the other: what is missing says on which side to read on.
    const found = await findRecord(nearby.copy, wanted)
    if (found.problem !== undefined) return undefined
    const created = await proveFound(nearby.copy, found, verifiers)
    if (created.problem === undefined) return created
    if (created.problem === 'damaged') return undefined
    isWider = await nearby.widen(created.problem === 'incomplete' ? 'below' : 'above')
  }
  return undefined
}

async function proveFound(
  source: Copy,
  found: FoundOne,
  verifiers: readonly Verifier[],
): Promise<CreatedProof | ProveRefusal> {
  const { below, above } = await findClaims(source, found)
  const covering = openFirst(above, verifiers)
  if (covering === undefined)
    return refuse(
      'uncovered',
      `no ${verifiers.length > 0 ? 'checkpoint that a given key signed' : 'checkpoint'} covers it`,
    )
  const base = openFirst(below, verifiers)?.frontier ?? new Frontier()
  const created = await proveAbove(source, found, { base, covering })
  if (created.problem !== 'incomplete') return created
  // Nobody has signed what the source keeps beside the records: a proof from there is checked as any other.
  const kept = (await keptTrees(source, found.stream)).findLast(({ size }) => size > base.size && size < found.sequence)
  const other = kept && (await proveAbove(source, found, { base: kept, covering }))
  return other?.problem === undefined ? (other ?? created) : created
}

async function keptTrees(source: Source, stream: string): Promise<readonly Frontier[]> {
  const pruned = (await source.readPruned?.()) ?? []
  const folded = pruned.flatMap((range) => {
    const tree = range.stream === stream && range.tree !== undefined && Frontier.from(range.to, range.tree)
    return tree ? [tree] : []
  })
  const stated = (await source.readTrees?.(stream)) ?? []
  return [...folded, ...stated].sort((one, other) => one.size - other.size)
}

/** The proof from a tree of the first records, and all those between it and the checkpoint. */
async function proveAbove(
  source: Copy,
  found: FoundOne,
  { base, covering }: { readonly base: Frontier; readonly covering: Anchor },
): Promise<CreatedProof | ProveRefusal> {
  const { stream, sequence, bytes: record } = found
  const known = await readLeaves(source, found, { from: base.size + 1, to: covering.size })
  const leaves: Buffer[] = []
  for (let next = base.size + 1; next <= covering.size; next += 1) {
    const leaf = known.get(next)
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
  const proof = formatProof({ index, hashes, checkpoint: noteOf(covering.link) })
  return { proof, record, stream, sequence, deployment, size }
}

interface FoundOne {
  readonly problem?: undefined
  readonly stream: string
  readonly sequence: number
  readonly bytes: Buffer
}

async function findRecord(source: Copy, wanted: WantedRecord): Promise<FoundOne | ProveRefusal> {
  const needle = wanted.id === undefined ? undefined : Buffer.from(JSON.stringify(wanted.id))
  const streams = new Set<string>()
  const matching = new Map<string, FoundOne>()
  const { sequence } = wanted
  const range = sequence === undefined ? undefined : { from: sequence, to: sequence }
  for await (const group of source.read(range)) {
    for (const one of group) {
      if (one.damage !== undefined) continue
      // Most records of a search by id are passed over without parsing.
      if (needle !== undefined && asBuffer(one.bytes).indexOf(needle) < 0) continue
      const { stream, seq } = numberOf(one.bytes) ?? {}
      if (stream === undefined || stream === '' || seq === undefined) continue
      streams.add(stream)
      const isWanted = wanted.id === undefined ? seq === wanted.sequence : parseRecord(one.bytes)?.id === wanted.id
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

/** A checkpoint record, and the size that its note names: believed once it is opened. */
interface Claim {
  readonly link: Link
  readonly size: number
}

/** The checkpoints whose trees end before the record and those whose trees hold it, the nearest first. */
async function findClaims(source: Copy, { stream, sequence }: FoundOne): Promise<{ below: Claim[]; above: Claim[] }> {
  const [below, above] = [new Nearest(sequence), new Nearest(sequence)]
  for await (const group of source.read('checkpoints')) {
    for (const one of group) {
      // Most records are passed over without a look at their members.
      if (one.damage !== undefined || asBuffer(one.bytes).indexOf(checkpointMark) < 0) continue
      const link = readLink({ bytes: one.bytes, position: one.position })
      if (link?.stream !== stream || link.control?.type !== 'checkpoint') continue
      const size = Number(noteOf(link).split('\n', 2)[1])
      if (size >= 1) (size < sequence ? below : above).add({ link, size })
    }
  }
  return { below: below.claims, above: above.claims }
}

/** A bounded number of claims, by how far they are from a sequence. */
class Nearest {
  readonly #sequence: number
  #claims: Claim[] = []

  constructor(sequence: number) {
    this.#sequence = sequence
  }

  get claims(): Claim[] {
    const distance = ({ size }: Claim) => Math.abs(size - this.#sequence)
    return this.#claims.sort((one, other) => distance(one) - distance(other)).slice(0, claimsMax)
  }

  add(claim: Claim): void {
    this.#claims.push(claim)
    if (this.#claims.length > 2 * claimsMax) this.#claims = this.claims
  }
}

function openFirst(claims: readonly Claim[], verifiers: readonly Verifier[]): Anchor | undefined {
  for (const { link } of claims) {
    const anchor = openAnchor(link, { verifiers, deployment: undefined })
    if (anchor !== undefined && !('verdict' in anchor)) return anchor
  }
  return undefined
}

/** Leaf hashes by sequence. */
async function readLeaves(source: Copy, wanted: FoundOne, { from, to }: NumberRange): Promise<Map<number, string>> {
  const leaves = new Map<number, string>()
  if (to - from > windowRecords) return leaves
  for await (const group of source.read({ from, to })) {
    for (const one of group) {
      const { stream, seq = 0 } = (one.damage === undefined && numberOf(one.bytes)) || {}
      if (one.damage !== undefined || stream !== wanted.stream || seq < from || seq > to) continue
      // Of two records with one number, the wanted one counts.
      if (seq === wanted.sequence && !wanted.bytes.equals(one.bytes)) continue
      leaves.set(seq, leafHash(one.bytes))
    }
  }
  return leaves
}

function numberOf(bytes: Uint8Array): { readonly stream?: string; readonly seq?: number } | undefined {
  return scanRecord(asBuffer(bytes)) ?? parseRecord(bytes)
}

function noteOf({ control }: Link): string {
  const { note } = (control?.details ?? {}) as { note?: unknown }
  return typeof note === 'string' ? note : ''
}

function refuse(problem: ProveRefusal['problem'], reason: string): ProveRefusal {
  return { problem, reason }
}
