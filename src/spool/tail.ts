/**
 * Reading what stands above the watermark, for recovery: whole frames up to the cut, and the traces behind it that
 * prove damage or show that it was only a torn tail. Decides nothing; `recover.ts` does.
 */

import type { Watermark } from './control.ts'
import type { Files } from './files.ts'
import { decodeFrame, frameHeaderBytes, type SpoolPosition, segmentHeaderBytes } from './format.ts'
import { damaged, segmentPath } from './refusals.ts'
import { type CarriedRecord, FrameReader, type PathSegment } from './segment.ts'

/** What stands above the watermark. */
export interface Tail {
  /** Records above the watermark, in order, copied. */
  readonly records: readonly CarriedRecord[]
  readonly cut: SpoolPosition
  readonly tornBytes: number
  readonly knownBehindCut: readonly SpoolPosition[]
}

/** Step 4 of recovery, and what step 5 needs: frames above the watermark up to the cut, and what stands behind it. */
export function scanTail(files: Files, directory: string, scan: { path: PathSegment[]; watermark: Watermark }): Tail {
  const { path, watermark } = scan
  const from = path.findIndex((one) => one.header.segment === watermark.segment)
  if (from < 0) throw damaged(directory, watermark.segment, 'the watermark names it, but no later segment does')
  const records: CarriedRecord[] = []
  const knownBehindCut: SpoolPosition[] = []
  let cut: SpoolPosition = watermark
  let tornBytes = 0
  let link = { offset: watermark.offset, frameNumber: watermark.frameNumber, frameCrc: watermark.frameCrc }
  let open = true
  for (const one of path.slice(from)) {
    const { segment, salt, kind } = one.header
    const file = files.open(segmentPath(directory, segment), 'read')
    try {
      if (kind === 'explicit' && segment !== watermark.segment) link = { ...link, frameCrc: one.crc }
      const reader = new FrameReader(files, { file, salt }, link)
      for (
        let frame = open ? reader.next(one.length) : undefined;
        frame !== undefined;
        frame = reader.next(one.length)
      ) {
        const { record, attachment, flags } = frame
        records.push({ record: Buffer.from(record), attachment: Buffer.from(attachment), flags })
      }
      if (open && (kind === 'explicit' || reader.place.frameNumber > link.frameNumber))
        cut = { segment, offset: reader.place.offset }
      const behind = bytesBehind(files, file, { salt, offset: reader.place.offset, length: one.length })
      // Behind an explicit length nothing counts: it was given up, and what was kept of it stands in the successor.
      if (one.length !== undefined) checkReached(directory, one, reader.place.offset)
      if (one.length === undefined && behind.bytes > 0) open = false
      tornBytes += one.length === undefined ? behind.bytes : 0
      knownBehindCut.push(...behind.known)
      link = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: reader.place.frameCrc }
    } finally {
      files.close(file)
    }
  }
  return { records, cut, tornBytes, knownBehindCut }
}

function checkReached(directory: string, one: PathSegment, offset: number): void {
  if (one.length !== undefined && offset < one.length) {
    throw damaged(directory, one.header.segment, `frames end at ${offset}, but its successor says ${one.length}`)
  }
}

/** What stands behind the last linked frame: how many bytes that are not zero, and what valid headers there know. */
function bytesBehind(files: Files, file: number, range: { salt: number; offset: number; length: number | undefined }) {
  const bytes = Buffer.alloc(Math.max(0, (range.length ?? files.size(file)) - range.offset))
  files.read(file, bytes, range.offset)
  const known: SpoolPosition[] = []
  for (let at = 0; at + frameHeaderBytes <= bytes.length; at += 8) {
    const reading = bytes[at] === 0xff ? decodeFrame(bytes, at, range.salt) : undefined
    if (reading?.kind === 'frame') known.push(reading.frame.known)
    else if (reading !== undefined && reading.kind !== 'none') known.push(reading.header.known)
  }
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return { bytes: end, known }
}
