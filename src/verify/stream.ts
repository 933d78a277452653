/**
 * The verification of one stream: it gathers records in whatever order they come, and settles them up to each
 * signed size as soon as everything up to the checkpoint after it is there. Always holds: what is settled below a
 * size was folded to the root signed for it, or a finding says that it was not. Memory is the records since the
 * last but one checkpoint, plus what `SeenLeaves` keeps.
 */

import { Frontier } from '../chain/merkle.ts'
import { checkpointLagMax } from '../limits.ts'
import type { Anchor, AnchorRefusal } from './anchor.ts'
import type { FindingLog } from './finding-log.ts'
import { StreamJudge } from './judge.ts'
import type { KeyRing } from './key-ring.ts'
import type { Link } from './link.ts'
import type { Base } from './prunes.ts'
import { resolveLinks, resolveToRoot } from './resolve.ts'
import { type KeptCheckpoint, KeptRoots } from './since.ts'
import type { Source } from './source.ts'
import { StreamKeys } from './stream-keys.ts'
import { linksUpTo } from './window.ts'

/** Beyond this many records a hole is taken for one: a checkpoint reaches back no further. */
const windowRecordsMax = 2 * checkpointLagMax
/** How many records above a forced end are asked to vouch for it. */
const lookaheadRecords = 256

export interface StreamContext {
  readonly source: Source
  /** The keys to believe; shared by the streams of one source. */
  readonly ring: KeyRing
  readonly log: FindingLog
  /** Where it begins, when retention has removed what was before. */
  readonly base?: Base | undefined
  /** Checkpoints of any streams, kept outside the source. */
  readonly since?: readonly KeptCheckpoint[] | undefined
  /** For tests: how many records are waited for what is missing before them. */
  readonly windowRecordsMax?: number | undefined
}

export class StreamVerifier {
  readonly stream: string
  readonly judge: StreamJudge
  readonly kept: KeptRoots
  readonly #context: StreamContext
  readonly #window = new Map<number, Link>()
  /** Anchors above what is settled, smallest size first. */
  readonly #anchors: Anchor[] = []
  /** The root signed for each size. */
  readonly #roots = new Map<number, string>()
  readonly #keys: StreamKeys
  /** Control records that verification needs, without checkpoints. */
  readonly #controls: Link[] = []
  /** The tree up to `#settledTo`; undefined while a leaf below is unknown. */
  #tree: Frontier | undefined = new Frontier()
  #settledTo = 0
  #contiguousTo = 0
  /** The last size whose root was reached, and whether any was reached from the size before it. */
  #provenTo = 0
  isProven = false
  deployment: string | undefined
  records = 0
  checkpoints = 0
  anchorsSeen = 0
  coveredTo = 0
  /** The last checkpoint whose root was reached. */
  reached: Link | undefined
  first = Number.POSITIVE_INFINITY
  last: Link | undefined
  #belowLast: Link | undefined

  constructor(stream: string, context: StreamContext) {
    this.stream = stream
    this.#context = context
    this.#keys = new StreamKeys(context.ring, windowRecordsMax)
    this.kept = new KeptRoots((context.since ?? []).filter((one) => one.stream === stream))
    this.judge = new StreamJudge({ source: context.source, stream, log: context.log })
    if (context.base !== undefined) this.#begin(context.base)
  }

  add(link: Link): void {
    if (link.sequence <= this.#settledTo) {
      this.judge.judgeLate(link)
      return
    }
    const first = this.#window.get(link.sequence)
    if (first === undefined) this.#window.set(link.sequence, link)
    else if (this.#repeats(first, link)) return
    else first.rivals = [...(first.rivals ?? []), link]
    if (first === undefined) this.#count(link)
    if (link.control?.type === 'checkpoint') this.#addCheckpoint(link)
    if (link.control?.type === 'rotated') this.#addRotation(link)
    else if (link.control !== undefined) this.#controls.push(link)
    while (this.#window.has(this.#contiguousTo + 1)) this.#contiguousTo += 1
    if (this.#window.size > (this.#context.windowRecordsMax ?? windowRecordsMax)) this.#settleHalf()
  }

  /** Settles everything that is left, the records after the last checkpoint by their links alone. */
  finish(): void {
    this.#reopenRefused()
    while (this.#settleNext()) {}
    const top = this.last?.sequence ?? 0
    if (top > this.#settledTo) this.#settleByLinks(top)
  }

  /** Logs the checkpoints that no key vouches for, as far as their records stand as sealed. */
  reportRefusals(): void {
    for (const refusal of this.#keys.refusals) this.#reportRefusal(refusal)
  }

  /** The control records of a type that stand; with keys, of what can be forged those that a signature covers. */
  standing(type: 'opened' | 'deleted' | 'pruned' | 'erased'): readonly Link[] {
    const covered = this.#keys.isAsked && type !== 'opened' ? this.coveredTo : Number.POSITIVE_INFINITY
    const isCovered = ({ control, sequence }: Link) => control?.type === type && sequence <= covered
    return this.#controls.filter((link) => isCovered(link) && this.judge.leafOf(link.sequence) === link.leaf)
  }

  /** The root signed for `coveredTo`, base64. */
  get coveredRoot(): string | undefined {
    const root = this.#roots.get(this.coveredTo)
    return root === undefined ? undefined : Buffer.from(root, 'hex').toString('base64')
  }

  /** A signed size that the copy does not reach. */
  get signedBeyond(): number | undefined {
    return this.#anchors.at(-1)?.size
  }

  /** A last record that nothing ties to the stream: its number or its stream may be what was changed. */
  get stray(): Link | undefined {
    const { last, judge } = this
    if (last === undefined) return undefined
    const isAlone = this.records === 1 || judge.holes.at(-1)?.above === last || judge.isLoose(last)
    return isAlone ? last : undefined
  }

  /** Takes the stray away: it belongs elsewhere. */
  removeStray(): void {
    if (this.last !== undefined) this.judge.forgetStray(this.last)
    this.records -= 1
    this.last = this.#belowLast
  }

  #begin({ sequence, hash, tree }: Base): void {
    this.#leave(sequence, tree)
    this.#provenTo = sequence
    this.judge.begin(sequence, hash)
  }

  #count(link: Link): void {
    this.records += 1
    this.first = Math.min(this.first, link.sequence)
    if (this.last !== undefined && link.sequence < this.last.sequence) {
      if (link.sequence > (this.#belowLast?.sequence ?? 0)) this.#belowLast = link
      return
    }
    this.#belowLast = this.last
    this.last = link
  }

  #repeats(first: Link, link: Link): boolean {
    const same = [first, ...(first.rivals ?? [])].find(({ leaf }) => leaf === link.leaf)
    if (same === undefined) return false
    same.again = link.position
    this.judge.judgeRepeat(link)
    return true
  }

  #addCheckpoint(link: Link): void {
    const anchor = this.#keys.open(link, this.deployment)
    if (anchor === undefined) return
    this.deployment ??= anchor.deployment
    this.anchorsSeen += 1
    if (this.#keys.isAsked) this.checkpoints += 1
    // The same size again is a replay and covers nothing; with another root the key has signed two histories.
    if (this.#isKnownSize(anchor) || anchor.size <= this.#settledTo) return
    const at = this.#anchors.findIndex(({ size }) => size > anchor.size)
    this.#anchors.splice(at === -1 ? this.#anchors.length : at, 0, anchor)
    if (at === -1) this.#settleReady()
  }

  #addRotation(link: Link): void {
    this.#keys.addRotation(link)
    this.#reopenRefused()
  }

  /** Adds again what more keys may vouch for now. */
  #reopenRefused(): void {
    for (let refused = this.#keys.takeRefused(); refused.length > 0; refused = this.#keys.takeRefused()) {
      for (const link of refused) {
        if (link.control?.type === 'rotated') this.#keys.addRotation(link)
        else this.#addCheckpoint(link)
      }
    }
  }

  #isKnownSize({ size, root, link }: Anchor): boolean {
    const found = Buffer.from(root).toString('hex')
    const expected = this.#roots.get(size)
    this.#roots.set(size, expected ?? found)
    if (expected === undefined || expected === found) return expected !== undefined
    const { log, source } = this.#context
    const where = source.locate(link.position)
    const detail = `two checkpoints of ${size} records are signed with different roots`
    log.add({ verdict: 'FORKED', stream: this.stream, sequence: size, expected, found, where, detail })
    return true
  }

  /** Settles up to a checkpoint's size once all records up to the next checkpoint are there to vouch for them. */
  #settleReady(): void {
    while (this.#contiguousTo + 1 >= (this.#anchors[1]?.link.sequence ?? Number.POSITIVE_INFINITY)) {
      if (!this.#settleNext()) return
    }
  }

  /** Settles up to the smallest signed size that the copy reaches. */
  #settleNext(): boolean {
    const anchor = this.#anchors[0]
    if (anchor === undefined || anchor.size > (this.last?.sequence ?? 0)) return false
    this.#anchors.shift()
    this.#settleTo(anchor)
    return true
  }

  #settleTo(anchor: Anchor): void {
    const { size, root, frontier } = anchor
    const next = this.#anchors[0]?.link.sequence ?? 0
    const links = this.#linksUpTo(next > size ? next : (this.last?.sequence ?? 0))
    const beneath = this.#beneath()
    const base = this.#tree
    const outcome = base && resolveToRoot(links, { base, beneath, size, root })
    const resolved = outcome?.resolved ?? resolveLinks(links, beneath, () => false)
    this.judge.settle(
      resolved.filter(({ link }) => link.sequence <= size),
      size,
    )
    this.kept.fold(base, resolved, size)
    if (base === undefined) this.kept.takeSigned(size, root)
    if (outcome?.reachesRoot) [this.isProven, this.reached] = [true, anchor.link]
    else if (outcome?.folded !== undefined) this.#reportRange(anchor, outcome.folded.root())
    this.#provenTo = size
    this.coveredTo = size
    this.#leave(size, frontier)
  }

  #reportRange({ size, root, link }: Anchor, found: Buffer): void {
    const { log, source } = this.#context
    log.addAdjacent({
      verdict: 'CONTENT_TAMPERED',
      stream: this.stream,
      from: this.#provenTo + 1,
      to: size,
      expected: Buffer.from(root).toString('hex'),
      found: found.toString('hex'),
      where: source.locate(link.position),
      detail: 'the links fit, but these records do not fold to the root that was signed for them',
    })
  }

  /** Gives up waiting for what is missing: no checkpoint can reach the older half of the window any more. */
  #settleHalf(): void {
    const sequences = [...this.#window.keys()].sort((a, b) => a - b)
    const middle = sequences[sequences.length >> 1] ?? 0
    if ((this.#anchors[0]?.size ?? Number.POSITIVE_INFINITY) <= middle) this.#settleNext()
    else this.#settleByLinks(middle)
    while (this.#window.has(this.#contiguousTo + 1)) this.#contiguousTo += 1
  }

  #settleByLinks(upTo: number): void {
    const resolved = resolveLinks(this.#linksUpTo(upTo + lookaheadRecords), this.#beneath(), () => false)
    const settled = resolved.filter(({ link }) => link.sequence <= upTo)
    this.judge.settle(settled, upTo)
    const isWhole = settled.length === upTo - this.#settledTo
    this.kept.fold(this.#tree, settled, upTo)
    if (isWhole) for (const { leaf } of settled) this.#tree?.append(leaf)
    this.#leave(upTo, isWhole ? this.#tree : undefined)
  }

  #leave(size: number, tree: Frontier | undefined): void {
    for (const { sequence } of this.#linksUpTo(size)) this.#window.delete(sequence)
    this.#tree = tree
    this.#settledTo = size
    this.#contiguousTo = Math.max(this.#contiguousTo, size)
  }

  #linksUpTo(limit: number): Link[] {
    return linksUpTo(this.#window, this.#settledTo, limit)
  }

  #beneath(): { sequence: number; leaf: string | undefined } {
    return { sequence: this.#settledTo, leaf: this.judge.leafOf(this.#settledTo) }
  }

  /** A refused note is a finding where its record stands as sealed; elsewhere the edit is the finding. */
  #reportRefusal({ link, verdict, detail }: AnchorRefusal): void {
    const { log, source } = this.#context
    const { stream, sequence, leaf, position } = link
    if (this.judge.leafOf(sequence) !== leaf) return
    log.addAlike({ verdict, stream, sequence, where: source.locate(position), detail })
  }
}
