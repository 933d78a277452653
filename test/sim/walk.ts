/** Reading everything that stands on a simulated disk, without faults and without anybody noticing. */

import { readControl } from '../../src/spool/control.ts'
import type { Files } from '../../src/spool/files.ts'
import { decodeFrame, segmentHeaderBytes } from '../../src/spool/format.ts'
import type { SpoolEnd } from '../../src/spool/positions.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { segmentPath } from '../../src/spool/refusals.ts'
import { readPath } from '../../src/spool/segment.ts'
import type { SimDisk } from './disk.ts'
import { noFaults } from './disk.ts'
import { SimProcess, simDirectory } from './process.ts'
import { keyOf, type SimRecord } from './trail.ts'

/** Looks at a disk as a process of its own, on which nothing fails. */
export function observe<Result>(disk: SimDisk, look: (files: Files) => Result): Result {
  const { faults } = disk
  disk.faults = noFaults
  const observer = new SimProcess(disk)
  try {
    return look(observer.files())
  } finally {
    observer.end()
    disk.faults = faults
  }
}

/** Every record before `end` as readers get it, with what travels beside it. */
export function readTrail(files: Files, end: SpoolEnd): SimRecord[] {
  const reader = new SpoolReader(files, simDirectory, () => end)
  const records: SimRecord[] = []
  const attachments = readAttachments(files, end)
  for (;;) {
    const read = reader.next({ records: 64, bytes: 1_000_000 })
    if (read.length === 0) break
    for (const { stream, sequence, bytes } of read) {
      records.push({
        stream,
        sequence,
        text: bytes.toString(),
        attachment: attachments.get(keyOf({ stream, sequence })) ?? '',
      })
    }
  }
  reader.close()
  return records
}

/** What stands beside the records, by their keys; readers for destinations do not hand it out. */
function readAttachments(files: Files, end: SpoolEnd): Map<string, string> {
  const attachments = new Map<string, string>()
  const control = readControl(files, simDirectory)
  if (control.kind !== 'state') return attachments
  for (const one of readPath(files, simDirectory, { first: control.state.firstSegment, last: end.segment })) {
    const { segment, stream, salt } = one.header
    const bytes = readWhole(files, segmentPath(simDirectory, segment))
    const limit = segment === end.segment ? end.offset : (one.length ?? bytes.length)
    for (let at = segmentHeaderBytes; at < limit; ) {
      const reading = decodeFrame(bytes, at, salt)
      if (reading.kind === 'frame') {
        const { sequence, attachment } = reading.frame
        attachments.set(keyOf({ stream, sequence }), attachment.toString())
      }
      at = reading.kind === 'frame' ? reading.frame.end : at + 8
    }
  }
  return attachments
}

function readWhole(files: Files, path: string): Buffer {
  const file = files.open(path, 'read')
  const bytes = Buffer.alloc(files.size(file))
  files.read(file, bytes, 0)
  files.close(file)
  return bytes
}
