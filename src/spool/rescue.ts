/**
 * Writing everything that is not durable into a new segment, on the application thread. The segment has its synced
 * header already and still its temporary name: a crash here leaves the old segment as the one that counts.
 */

import type { Files } from './files.ts'
import { encodeFrame, frameBytes, frameHeaderBytes, type SpoolPosition, segmentHeaderBytes } from './format.ts'
import type { Rescue } from './handover.ts'
import type { OpenSegment } from './segment.ts'
import type { UnsyncedRecord } from './unsynced.ts'

/** How many bytes of frames go into one write, about. */
const writeBytes = 256 * 1024

export interface FilledRescue {
  readonly segment: OpenSegment
  /** Where each record's frame ends now. */
  readonly ends: readonly SpoolPosition[]
}

/** Writes the records, in order, behind the header of `rescue`. Throws what the file system throws. */
export function fillRescue(
  files: Files,
  rescue: Rescue,
  { records, known }: { records: readonly UnsyncedRecord[]; known: SpoolPosition },
): FilledRescue {
  const { segment, file, salt } = rescue
  const ends: SpoolPosition[] = []
  let frames: Buffer[] = []
  let frameCrc = rescue.crc
  let [written, offset] = [segmentHeaderBytes, segmentHeaderBytes]
  const write = () => {
    files.write(file, Buffer.concat(frames), written)
    frames = []
    written = offset
  }
  records.forEach((one, index) => {
    const load = { record: one.recordBytes, attachment: one.attachment.length }
    const frame = Buffer.alloc(frameBytes(load))
    frame.write(one.record, frameHeaderBytes)
    frame.set(one.attachment, frameHeaderBytes + one.recordBytes)
    const place = { flags: one.flags, salt, number: index + 1, sequence: rescue.nextSequence + index }
    frameCrc = encodeFrame(frame, { ...place, previousCrc: frameCrc, known }, load)
    frames.push(frame)
    offset += frame.length
    ends.push({ segment, offset })
    if (offset - written >= writeBytes) write()
  })
  if (offset > written) write()
  return { segment: { segment, file, salt, offset, frameNumber: records.length, frameCrc }, ends }
}
