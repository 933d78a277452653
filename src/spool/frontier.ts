/**
 * The tree's frontier at the watermark when a spool is opened: from the newest segment that states one (or begins at
 * sequence 1), hashed forward. So a start reads at most about one segment, whatever was reclaimed before.
 */

import { leafHash } from '../chain/hash.ts'
import { Frontier } from '../chain/merkle.ts'
import type { ControlState } from './control.ts'
import type { Files } from './files.ts'
import { segmentHeaderBytes } from './format.ts'
import { damaged, segmentPath } from './refusals.ts'
import { type FramePlace, FrameReader, type PathSegment, readPath, readSegmentHeader } from './segment.ts'
import { decodeSegmentFrontier, type SegmentFrontier } from './segment-header.ts'

/** The tree at the watermark, and at the start of the watermark's segment. */
export interface RebuiltFrontier {
  readonly frontier: Frontier
  readonly atSegmentStart: SegmentFrontier
}

/** Rebuilds the tree of everything before `state.watermark` in its stream; `SPOOL_CORRUPT` when that cannot be done. */
export function rebuildFrontier(files: Files, directory: string, state: ControlState): RebuiltFrontier {
  const { watermark } = state
  const all = readPath(files, directory, { first: state.firstSegment, last: watermark.segment })
  const path = all.filter((one) => one.header.stream === state.stream)
  let stated: SegmentFrontier | undefined
  const start = path.findLastIndex((one) => {
    stated = statedFrontier(files, directory, one)
    return stated !== undefined
  })
  const frontier = stated === undefined ? undefined : Frontier.from(stated.base - 1, stated.hashes)
  if (stated === undefined || frontier === undefined) {
    throw damaged(directory, watermark.segment, 'no segment states the tree before it')
  }
  let atSegmentStart: SegmentFrontier = stated
  let { frameCrc, previousHash } = stated
  for (const one of path.slice(start)) {
    if (one.header.kind === 'explicit') frameCrc = one.crc
    const hashes = [...frontier.hashes()]
    atSegmentStart = { base: frontier.size + 1, previousHash, hashes, frameCrc, writtenMs: one.header.createdMs }
    const limit = one.header.segment === watermark.segment ? watermark.offset : one.length
    const end = walkSegment(
      files,
      { path: segmentPath(directory, one.header.segment), salt: one.header.salt, frameCrc, limit },
      (record) => {
        previousHash = leafHash(record)
        frontier.append(previousHash)
      },
    )
    frameCrc = end.frameCrc
  }
  if (frontier.size + 1 === watermark.nextSequence) return { frontier, atSegmentStart }
  throw damaged(
    directory,
    watermark.segment,
    `its records lead to sequence ${frontier.size}, control to ${watermark.nextSequence - 1}`,
  )
}

/** What a segment says of the tree before it: its second header block, or that it begins the stream. */
function statedFrontier(files: Files, directory: string, one: PathSegment): SegmentFrontier | undefined {
  const { header, crc } = one
  if (header.kind === 'explicit' && header.base === 1)
    return { base: 1, previousHash: undefined, hashes: [], frameCrc: crc, writtenMs: header.createdMs }
  return decodeSegmentFrontier(readSegmentHeader(files, directory, header.segment).bytes)
}

function walkSegment(
  files: Files,
  segment: { path: string; salt: number; frameCrc: number; limit: number | undefined },
  visit: (record: Buffer) => void,
): FramePlace {
  const file = files.open(segment.path, 'read')
  try {
    const start = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: segment.frameCrc }
    const reader = new FrameReader(files, { file, salt: segment.salt }, start)
    for (let frame = reader.next(segment.limit); frame !== undefined; frame = reader.next(segment.limit))
      visit(frame.record)
    return reader.place
  } finally {
    files.close(file)
  }
}
