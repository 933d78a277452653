/**
 * Reading what stands above the watermark, for recovery: whole frames up to the cut, by stream, and the traces behind
 * it that prove damage or show that it was only a torn tail. Decides nothing; `recover.ts` does.
 */

import type { Watermark } from './control.ts'
import type { Files } from './files.ts'
import { type SpoolPosition, segmentHeaderBytes } from './format.ts'
import { bytesUntilZeros, type FrameRange, findFrames } from './frame-search.ts'
import { damaged, segmentPath } from './refusals.ts'
import { type CarriedRecord, type FramePlace, FrameReader, type PathSegment } from './segment.ts'
import { decodeSegmentFrontier } from './segment-header.ts'

/** Records of one stream that follow each other. */
export interface TailStream {
  readonly stream: string
  readonly firstSequence: number
  readonly records: readonly CarriedRecord[]
  /** Where the stream before it ends; durable, because none begins before. The watermark for the first one. */
  readonly after: SpoolPosition
}

/** A place that was durable once, and what says so. */
export interface Proof extends SpoolPosition {
  readonly by: string
}

/** What stands above the watermark. */
export interface Tail {
  /** The watermark's stream first; another follows where the writer began one. */
  readonly streams: readonly TailStream[]
  /** The records of all streams, in order, copied. */
  readonly records: readonly CarriedRecord[]
  readonly cut: SpoolPosition
  readonly tornBytes: number
  readonly provenBehindCut: readonly Proof[]
}

/** Where the scan stands. */
interface Scan {
  readonly directory: string
  readonly streams: { stream: string; firstSequence: number; records: CarriedRecord[]; after: SpoolPosition }[]
  link: FramePlace
  cut: SpoolPosition
  tornBytes: number
  readonly provenBehindCut: Proof[]
  /** Frames may still follow: nothing but zeros stood behind the last one. */
  isOpen: boolean
}

/** Step 4 of recovery, and what step 5 needs: frames above the watermark up to the cut, and what stands behind it. */
export function scanTail(
  files: Files,
  directory: string,
  range: { path: readonly PathSegment[]; watermark: Watermark },
): Tail {
  const { path, watermark } = range
  const from = path.findIndex((one) => one.header.segment === watermark.segment)
  const [first] = path.slice(from)
  if (from < 0 || first === undefined) {
    const what = `control has its watermark there, but the segments do not lead to it from ${path.at(-1)?.header.segment}`
    throw damaged(directory, watermark.segment, { kind: 'missing', what })
  }
  const scan: Scan = {
    directory,
    streams: [{ stream: first.header.stream, firstSequence: watermark.nextSequence, records: [], after: watermark }],
    link: watermark,
    cut: { segment: watermark.segment, offset: watermark.offset },
    tornBytes: 0,
    provenBehindCut: [],
    isOpen: true,
  }
  for (const one of path.slice(from)) {
    if (one !== first) enterSegment(scan, one)
    scanSegment(files, scan, one)
  }
  const { streams, cut, tornBytes, provenBehindCut } = scan
  return { streams, records: streams.flatMap(({ records }) => records), cut, tornBytes, provenBehindCut }
}

/** What the last stream goes on with. */
export function nextSequenceOf({ firstSequence, records }: TailStream): number {
  return firstSequence + records.length
}

/** Sets the link that the segment's first frame must have, and begins another stream where the header names one. */
function enterSegment(scan: Scan, { header, crc }: PathSegment): void {
  const frameCrc = header.kind === 'explicit' ? crc : scan.link.frameCrc
  scan.link = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc }
  if (header.stream !== currentStream(scan).stream) {
    scan.streams.push({ stream: header.stream, firstSequence: 1, records: [], after: scan.cut })
  }
  const expected = nextSequenceOf(currentStream(scan))
  if (header.kind === 'planned' || header.base === expected || !scan.isOpen) return
  const what = `its header begins at sequence ${header.base}, but the segment before it ends at ${expected - 1}`
  throw damaged(scan.directory, header.segment, { kind: 'corrupt', what })
}

function scanSegment(files: Files, scan: Scan, one: PathSegment): void {
  const { segment, salt, kind } = one.header
  const file = files.open(segmentPath(scan.directory, segment), 'read')
  try {
    if (files.size(file) < scan.link.offset) throw cutShort(scan, segment, files.size(file))
    const reader = new FrameReader(files, { file, salt }, scan.link)
    if (scan.isOpen) readFrames(scan, one, reader)
    const { offset, frameNumber, frameCrc } = reader.place
    const continues = kind === 'explicit' || frameNumber > scan.link.frameNumber || isEntered(files, file, scan.link)
    if (scan.isOpen && continues) scan.cut = { segment, offset }
    const rest = { file, salt, from: offset, to: one.length ?? files.size(file) }
    const behind = bytesBehind(files, segment, rest)
    if (one.length === undefined) {
      if (behind.bytes > 0) scan.isOpen = false
      scan.tornBytes += behind.bytes
    } else if (offset < one.length) {
      throw notReached(scan, one, offset)
    } // Behind an explicit length nothing counts: it was given up, and what was kept of it stands in the successor.
    scan.provenBehindCut.push(...behind.proven)
    scan.link = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc }
  } finally {
    files.close(file)
  }
}

/**
 * A planned segment that the sync thread has entered, although nothing may stand in it yet: before it told so it
 * synced the second header block, which names the frame before.
 */
function isEntered(files: Files, file: number, { offset, frameNumber, frameCrc }: FramePlace): boolean {
  if (offset !== segmentHeaderBytes || frameNumber > 0) return false
  const header = Buffer.alloc(segmentHeaderBytes)
  files.read(file, header, 0)
  return decodeSegmentFrontier(header)?.frameCrc === frameCrc
}

function readFrames(scan: Scan, one: PathSegment, reader: FrameReader): void {
  const { records, firstSequence } = currentStream(scan)
  for (let frame = reader.next(one.length); frame !== undefined; frame = reader.next(one.length)) {
    const { record, attachment, flags, sequence } = frame
    const expected = firstSequence + records.length
    if (sequence !== expected) {
      const what = `a whole frame holds sequence ${sequence} where ${expected} must follow`
      throw damaged(scan.directory, one.header.segment, { kind: 'corrupt', offset: reader.place.offset, what })
    }
    records.push({ record: Buffer.from(record), attachment: Buffer.from(attachment), flags })
  }
}

function currentStream({ streams }: Scan): Scan['streams'][number] {
  const current = streams.at(-1)
  if (current === undefined) throw new RangeError('a tail without a stream')
  return current
}

function cutShort({ directory, link, streams }: Scan, segment: number, bytes: number) {
  const last = (streams[0]?.firstSequence ?? 1) - 1
  const what = `control says that all was durable up to offset ${link.offset} (sequence ${last}), but the file has only ${bytes} bytes`
  return damaged(directory, segment, { kind: 'corrupt', offset: bytes, what })
}

function notReached(scan: Scan, { header, length }: PathSegment, offset: number) {
  const { stream, firstSequence, records } = currentStream(scan)
  const last = firstSequence + records.length - 1
  const what = `whole frames end at offset ${offset}, with sequence ${last} of stream ${stream}; the segment after it states that ${length} bytes were durable`
  return damaged(scan.directory, header.segment, { kind: 'corrupt', offset, what })
}

/** What stands behind the last linked frame: how many bytes that are not zero, and what valid headers there know. */
function bytesBehind(files: Files, segment: number, rest: FrameRange): { bytes: number; proven: Proof[] } {
  const proven = [...findFrames(files, rest)].map(({ offset, header: { known, sequence } }) => {
    return { ...known, by: `the frame of sequence ${sequence} at offset ${offset} of ${segment}` }
  })
  return { bytes: bytesUntilZeros(files, rest), proven }
}
