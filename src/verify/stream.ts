/**
 * The verification of one stream: it gathers records in whatever order they come, and settles them up to each
 * signed size as soon as everything up to the checkpoint after it is there. Always holds: what is settled below a
 * size was folded to the root signed for it, or a finding says that it was not. Memory is the records since the
 * last but one checkpoint, plus what `SeenLeaves` keeps. Where every record names the one before it and the signed root
 * is reached, whole runs are settled at once; everything else is resolved link by link (`resolve.ts`).
 */

import { Frontier } from '../chain/merkle.ts'
import { checkpointLagMax } from '../limits.ts'
import type { Anchor } from './anchor.ts'
import { findRefusal, findTwoRoots, findUnreachedRoot } from './anchor-findings.ts'
import { Extent } from './extent.ts'
import { StreamJudge } from './judge.ts'
import type { Link } from './link.ts'
import { resolveLinks, resolveToRoot } from './resolve.ts'
import { foldRuns, Run } from './run.ts'
import { SignedRoots } from './signed-roots.ts'
import { KeptRoots } from './since.ts'
import type { StreamContext } from './stream-context.ts'
import { StreamKeys } from './stream-keys.ts'
import { Window } from './window.ts'

/** Beyond this many records a hole is taken for one: a checkpoint reaches back no further. */
const windowRecordsMax = 2 * checkpointLagMax
/** How many records above a forced end are asked to vouch for it. */
const lookaheadRecords = 256

export class StreamVerifier {
  readonly stream: string
  readonly judge: StreamJudge
  readonly kept: KeptRoots
  readonly #context: StreamContext
  readonly #window = new Window()
  /** Anchors above what is settled, smallest size first. */
  readonly #anchors: Anchor[] = []
  readonly #roots = new SignedRoots()
  readonly #extent = new Extent()
  readonly #keys: StreamKeys
  /** Control records that verification needs, without checkpoints. */
  readonly #controls: Link[] = []
  /** The tree up to `#settledTo`; undefined while a leaf below is unknown. */
  #tree: Frontier | undefined = new Frontier()
  #settledTo = 0
  /** The last size whose root was reached, and whether any was reached from the size before it. */
  #provenTo = 0
  isProven = false
  deployment: string | undefined
  checkpoints = 0
  anchorsSeen = 0
  coveredTo = 0
  /** The last checkpoint whose root was reached. */
  reached: Link | undefined

  constructor(stream: string, context: StreamContext) {
    this.stream = stream
    this.#context = context
    this.#keys = new StreamKeys(context.ring, windowRecordsMax)
    this.kept = new KeptRoots((context.since ?? []).filter((one) => one.stream === stream))
    this.judge = new StreamJudge({ ...context, stream })
    const { base } = context
    if (base === undefined) return
    this.#leave(base.sequence, base.tree)
    this.#provenTo = base.sequence
    this.judge.begin(base.sequence, base.hash)
  }

  add(link: Link): void {
    if (link.sequence <= this.#settledTo) {
      this.judge.judgeLate(link)
      return
    }
    const first = this.#window.find(link.sequence)
    if (first === undefined) this.#put(Run.of(link))
    else if (this.#repeats(first, link)) return
    else first.rivals = [...(first.rivals ?? []), link]
    if (link.control?.type === 'checkpoint') this.#addCheckpoint(link)
    else if (link.control?.type === 'rotated') {
      this.#keys.addRotation(link)
      this.#reopenRefused()
    } else if (link.control !== undefined && link.control.type !== 'anchored') this.#controls.push(link)
    this.#keepBounded()
  }

  /** Adds records none of which is a control record. */
  addRun(run: Run): void {
    if (run.first <= Math.max(this.#settledTo, this.last?.sequence ?? 0)) {
      for (const link of run.links()) this.add(link)
      return
    }
    this.#put(run)
    this.#keepBounded()
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
    const { log, source } = this.#context
    for (const refusal of this.#keys.refusals) {
      const { sequence, leaf } = refusal.link
      // A refused note is a finding where its record stands as sealed; elsewhere the edit is the finding.
      if (this.judge.leafOf(sequence) === leaf) log.addAlike(findRefusal(refusal, source))
    }
  }

  /** The control records of a type that stand; with keys, of what can be forged those that a signature covers. */
  standing(type: 'opened' | 'deleted' | 'pruned' | 'erased'): readonly Link[] {
    const covered = this.#keys.isAsked && type !== 'opened' ? this.coveredTo : Number.POSITIVE_INFINITY
    const isCovered = ({ control, sequence }: Link) => control?.type === type && sequence <= covered
    return this.#controls.filter((link) => isCovered(link) && this.judge.leafOf(link.sequence) === link.leaf)
  }

  get records(): number {
    return this.#extent.records
  }

  get first(): number {
    return this.#extent.first
  }

  get last(): Link | undefined {
    return this.#extent.last
  }

  /** The root signed for a size of this stream. */
  signedRoot(size: number): Buffer | undefined {
    return this.#roots.get(size)
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
    this.#extent.removeLast()
  }

  #put(run: Run): void {
    this.#window.put(run)
    this.#extent.add(run)
  }

  #keepBounded(): void {
    while (this.#window.size > (this.#context.windowRecordsMax ?? windowRecordsMax)) this.#settleHalf()
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

  /** Adds again what more keys may vouch for now. */
  #reopenRefused(): void {
    for (let refused = this.#keys.takeRefused(); refused.length > 0; refused = this.#keys.takeRefused()) {
      for (const link of refused) {
        if (link.control?.type === 'rotated') this.#keys.addRotation(link)
        else this.#addCheckpoint(link)
      }
    }
  }

  #isKnownSize(anchor: Anchor): boolean {
    const before = this.#roots.add(anchor.size, anchor.root)
    const { log, source } = this.#context
    if (before?.equals(anchor.root) === false) log.add(findTwoRoots(anchor, before, source))
    return before !== undefined
  }

  /** Settles up to a checkpoint's size once all records up to the next checkpoint are there to vouch for them. */
  #settleReady(): void {
    while (this.#window.contiguousTo >= (this.#anchors[1]?.link.sequence ?? Number.POSITIVE_INFINITY)) {
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
    const limit = next > size ? next : (this.last?.sequence ?? 0)
    const tree = this.#foldRow(limit, size)
    if (tree?.root().equals(root)) {
      this.#judgeRow(size)
      ;[this.isProven, this.reached] = [true, anchor.link]
    } else this.#settleResolved(anchor, limit)
    this.#provenTo = size
    this.coveredTo = size
    this.#leave(size, frontier)
  }

  #settleResolved(anchor: Anchor, limit: number): void {
    const { size, root, link } = anchor
    const links = this.#window.links(limit)
    const beneath = this.#beneath()
    const base = this.#tree
    const outcome = base && resolveToRoot(links, { base, beneath, size, root })
    const resolved = outcome?.resolved ?? resolveLinks(links, beneath, () => false)
    this.judge.settle(
      resolved.filter(({ link: { sequence } }) => sequence <= size),
      size,
    )
    this.kept.fold(base, resolved, size)
    if (base === undefined) this.kept.takeSigned(size, root)
    if (outcome?.reachesRoot) [this.isProven, this.reached] = [true, link]
    else if (outcome?.folded !== undefined) {
      const range = { from: this.#provenTo + 1, folded: outcome.folded.root() }
      this.#context.log.addAdjacent(findUnreachedRoot(anchor, range, this.#context.source))
    }
  }

  /** The tree of `size` records, when all up to `limit` are a row that goes on where the settled ones end. */
  #foldRow(limit: number, size: number): Frontier | undefined {
    const row = this.#window.row(limit)
    const [first] = row ?? []
    if (row === undefined || first === undefined || this.#tree === undefined) return undefined
    if (this.kept.asksBetween(this.#tree.size, size)) return undefined
    if (this.judge.isLoose({ sequence: first.first, prev: first.prev })) return undefined
    return foldRuns(this.#tree, row, size)
  }

  #judgeRow(upTo: number): void {
    for (const run of this.#window.row(upTo) ?? []) this.judge.settleRun(run, upTo)
  }

  /** Gives up waiting for what is missing: no checkpoint can reach the older half of the window any more. */
  #settleHalf(): void {
    const { middle } = this.#window
    if ((this.#anchors[0]?.size ?? Number.POSITIVE_INFINITY) <= middle) this.#settleNext()
    else this.#settleByLinks(middle)
  }

  #settleByLinks(upTo: number): void {
    const limit = Math.min(upTo + lookaheadRecords, this.last?.sequence ?? 0)
    const tree = this.#foldRow(limit, upTo)
    if (tree !== undefined) {
      this.#judgeRow(upTo)
      this.#leave(upTo, tree)
      return
    }
    const resolved = resolveLinks(this.#window.links(limit), this.#beneath(), () => false)
    const settled = resolved.filter(({ link }) => link.sequence <= upTo)
    this.judge.settle(settled, upTo)
    const isWhole = settled.length === upTo - this.#settledTo
    this.kept.fold(this.#tree, settled, upTo)
    if (isWhole) for (const { leaf } of settled) this.#tree?.append(leaf)
    this.#leave(upTo, isWhole ? this.#tree : undefined)
  }

  #leave(size: number, tree: Frontier | undefined): void {
    this.#window.leave(size)
    this.#tree = tree
    this.#settledTo = size
  }

  #beneath(): { sequence: number; leaf: string | undefined } {
    return { sequence: this.#settledTo, leaf: this.judge.leafOf(this.#settledTo) }
  }
}
