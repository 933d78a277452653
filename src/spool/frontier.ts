/**
 * The tree's frontier at the watermark when a spool is opened: from the newest segment of the stream that states the
 * tree before it, hashed forward, so that a start reads at most about one segment, whatever was reclaimed before.
 * Where no segment states it any more, the newest checkpoint record does, which holds the frontier of what it signs.
 */

import { openUnsigned, originOf } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import { Frontier } from '../chain/merkle.ts'
import { parseRecord } from '../event/record.ts'
import type { ControlState } from './control.ts'
import type { Files } from './files.ts'
import { checkpointFlag, type DecodedFrame, segmentHeaderBytes } from './format.ts'
import { damaged, segmentPath } from './refusals.ts'
import { FrameReader, type PathSegment, readPath } from './segment.ts'
import type { SegmentFrontier } from './segment-header.ts'
import { readSegmentStart, type SegmentStart, treeOf } from './segment-start.ts'

/** The tree at the watermark, and at the start of the watermark's segment. */
export interface RebuiltFrontier {
  readonly frontier: Frontier
  /** `undefined` when the checkpoint that served lies in that segment, so that its start is not known again. */
  readonly atSegmentStart: SegmentFrontier | undefined
}

/** Where hashing begins: this tree, which may already cover some records of the segment at this index of the path. */
interface Beginning {
  readonly index: number
  readonly tree: Frontier
}

/** Rebuilds the tree of everything before `state.watermark` in its stream; `SPOOL_CORRUPT` when that cannot be done. */
export function rebuildFrontier(files: Files, directory: string, state: ControlState): RebuiltFrontier {
  const stream = new StreamPath(files, directory, state)
  const beginning = stream.beginAtSegment() ?? stream.beginAtCheckpoint()
  const { segment, nextSequence } = state.watermark
  if (beginning === undefined) {
    throw damaged(directory, segment, 'no segment states the tree before it, and no checkpoint record does')
  }
  const rebuilt = stream.hashForward(beginning)
  if (rebuilt.frontier.size + 1 === nextSequence) return rebuilt
  const reached = rebuilt.frontier.size
  throw damaged(directory, segment, `its records lead to sequence ${reached}, control to ${nextSequence - 1}`)
}

/** The retained segments of the stream that is being written, up to the watermark. */
class StreamPath {
  readonly #files: Files
  readonly #directory: string
  readonly #state: ControlState
  readonly #path: readonly PathSegment[]
  readonly #starts: SegmentStart[]
  /** The stream begins in the first of them: another stream, still there, comes before it. */
  readonly #isWhole: boolean

  constructor(files: Files, directory: string, state: ControlState) {
    this.#files = files
    this.#directory = directory
    this.#state = state
    const all = readPath(files, directory, { first: state.firstSegment, last: state.watermark.segment })
    this.#path = all.filter((one) => one.header.stream === state.stream)
    this.#starts = []
    this.#isWhole = this.#path.length < all.length
  }

  /** The newest segment that states the tree before it. */
  beginAtSegment(): Beginning | undefined {
    for (let index = this.#path.length - 1; index >= 0; index -= 1) {
      const { stated } = this.#startOf(index)
      const tree = stated === undefined ? undefined : treeOf(stated)
      if (tree !== undefined) return { index, tree }
    }
    return this.#isWhole ? { index: 0, tree: new Frontier() } : undefined
  }

  /**
   * The newest checkpoint record whose tree ends at or before the last segment, so that its start becomes known again;
   * without such a one the newest. Read backwards: damage in several places is rare, a long path is not.
   */
  beginAtCheckpoint(): Beginning | undefined {
    const { base: lastBase = 0 } = this.#startOf(this.#path.length - 1)
    let newest: Beginning | undefined
    for (let index = this.#path.length - 1; index >= 0; index -= 1) {
      const trees = this.#checkpointsIn(index)
      const early = this.#beginBehind(trees.findLast(({ size }) => size < lastBase))
      if (early !== undefined) return early
      newest ??= this.#beginBehind(trees.at(-1))
    }
    return newest
  }

  /** Hashes everything behind the beginning, up to the watermark. */
  hashForward({ index, tree }: Beginning): RebuiltFrontier {
    let { base = tree.size + 1, frameCrc = 0, stated } = this.#startOf(index)
    let previousHash = stated?.previousHash
    let atSegmentStart: SegmentFrontier | undefined
    for (const one of this.#path.slice(index)) {
      const { kind, createdMs } = one.header
      if (kind === 'explicit') {
        frameCrc = one.crc
        previousHash = one.header.previousHash
      }
      const isKnown = tree.size + 1 === base && (base === 1 || previousHash !== undefined)
      const start = { base, previousHash, hashes: tree.hashes(), frameCrc, writtenMs: createdMs }
      atSegmentStart = isKnown ? start : undefined
      frameCrc = this.#walk(one, frameCrc, ({ sequence, record }) => {
        base = sequence + 1
        if (sequence <= tree.size) return // the checkpoint covers it
        previousHash = leafHash(record)
        tree.append(previousHash)
      })
    }
    return { frontier: tree, atSegmentStart }
  }

  /** The segment in which the record behind this tree stands; `undefined` when it is not retained. */
  #beginBehind(tree: Frontier | undefined): Beginning | undefined {
    if (tree === undefined) return undefined
    const holds = (_: PathSegment, index: number) => (this.#startOf(index).base ?? Number.MAX_VALUE) <= tree.size + 1
    const index = this.#path.findLastIndex(holds)
    return index < 0 ? undefined : { index, tree }
  }

  #checkpointsIn(index: number): Frontier[] {
    const one = this.#path[index]
    const trees: Frontier[] = []
    if (one === undefined) return trees
    const origin = originOf(this.#state.deployment, this.#state.stream)
    this.#walk(one, this.#startOf(index).frameCrc ?? 0, ({ flags, record }) => {
      if ((flags & checkpointFlag) === 0) return
      const opened = openUnsigned(parseRecord(record)?.details, origin)
      if (opened !== undefined) trees.push(opened)
    })
    return trees
  }

  #startOf(index: number): SegmentStart {
    const one = this.#path[index]
    if (one === undefined) return { base: undefined, frameCrc: undefined, stated: undefined }
    this.#starts[index] ??= readSegmentStart(this.#files, this.#directory, one)
    return this.#starts[index]
  }

  /** Every frame of a segment below the watermark; the CRC that the next frame links to. */
  #walk({ header, length }: PathSegment, frameCrc: number, visit: (frame: DecodedFrame) => void): number {
    const { watermark } = this.#state
    const limit = header.segment === watermark.segment ? watermark.offset : length
    const file = this.#files.open(segmentPath(this.#directory, header.segment), 'read')
    try {
      const start = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc }
      const reader = new FrameReader(this.#files, { file, salt: header.salt }, start)
      for (let frame = reader.next(limit); frame !== undefined; frame = reader.next(limit)) visit(frame)
      return reader.place.frameCrc
    } finally {
      this.#files.close(file)
    }
  }
}
