/**
 * Where a segment's frames begin: the sequence of the first record and what the first frame links to. An explicit
 * header says both; of a planned one the second header block does, and where that is damaged, the first frame itself.
 */

import { Frontier } from '../chain/merkle.ts'
import type { Files } from './files.ts'
import { decodeFrame, frameHeaderBytes, segmentHeaderBytes } from './format.ts'
import { segmentPath } from './refusals.ts'
import { type PathSegment, readSegmentHeader } from './segment.ts'
import { decodeSegmentFrontier, type SegmentFrontier } from './segment-header.ts'

export interface SegmentStart {
  /** Sequence of the first record; `undefined` where nothing says so: a planned segment without block and frames. */
  readonly base: number | undefined
  /** CRC that the first frame links to; `undefined` likewise. */
  readonly frameCrc: number | undefined
  /** The tree before the first record, when the segment states it. */
  readonly stated: SegmentFrontier | undefined
}

export function readSegmentStart(files: Files, directory: string, { header, crc }: PathSegment): SegmentStart {
  const bytes = Buffer.alloc(segmentHeaderBytes + frameHeaderBytes)
  const file = files.open(segmentPath(directory, header.segment), 'read')
  try {
    files.read(file, bytes, 0)
  } finally {
    files.close(file)
  }
  const isExplicit = header.kind === 'explicit'
  if (isExplicit && header.base === 1) return { base: 1, frameCrc: crc, stated: emptyTree(crc, header.createdMs) }
  const block = decodeSegmentFrontier(bytes.subarray(0, segmentHeaderBytes))
  const stated = block !== undefined && treeOf(block) !== undefined ? block : undefined
  if (isExplicit) return { base: header.base, frameCrc: crc, stated }
  const first = stated === undefined ? decodeFrame(bytes, segmentHeaderBytes, header.salt) : undefined
  if (first?.kind !== 'partial') return { base: stated?.base, frameCrc: stated?.frameCrc, stated }
  return { base: first.header.sequence, frameCrc: first.header.previousCrc, stated }
}

/** The tree that a segment states; `undefined` when its hashes cannot be one. */
export function treeOf({ base, hashes }: SegmentFrontier): Frontier | undefined {
  return Frontier.from(base - 1, hashes)
}

/**
 * Whether a spool may begin with this segment: it states the tree before it, so that nothing older is needed to go on.
 * Reclaim must keep what comes before a segment that does not.
 */
export function statesTree(files: Files, directory: string, segment: number): boolean {
  const decoded = readSegmentHeader(files, directory, segment)
  if (!decoded.ok) return false
  return readSegmentStart(files, directory, { ...decoded, length: undefined }).stated !== undefined
}

function emptyTree(frameCrc: number, writtenMs: number): SegmentFrontier {
  return { base: 1, previousHash: undefined, hashes: [], frameCrc, writtenMs }
}
