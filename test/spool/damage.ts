/** What crashes, failing disks and people leave behind in a spool directory, made by hand. */

import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type ControlState, readPresentControl } from '../../src/spool/control.ts'
import { diskFiles } from '../../src/spool/files.ts'
import {
  encodeFrame,
  frameBytes,
  frameHeaderBytes,
  type SpoolPosition,
  segmentHeaderBytes,
  segmentName,
} from '../../src/spool/format.ts'
import { FrameReader, readSegmentHeader } from '../../src/spool/segment.ts'
import { encodeSegmentHeader, headerCrc, type SegmentHeader } from '../../src/spool/segment-header.ts'
import { recordText } from './harness.ts'

export function segmentFile(directory: string, segment: number): string {
  return join(directory, segmentName(segment))
}

export function overwrite(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, at)
  closeSync(file)
}

/** Changes one bit; from the end where `at` is negative. */
export function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  const place = at < 0 ? bytes.length + at : at
  overwrite(path, place, Buffer.from([(bytes[place] ?? 0) ^ 0x01]))
}

export function cutOff(path: string, bytes: number): void {
  truncateSync(path, statSync(path).size - bytes)
}

export function stateOf(directory: string): ControlState {
  return readPresentControl(diskFiles, directory).state
}

/** The bytes of every file in the directory itself. */
export function contentsOf(directory: string): Map<string, string> {
  const names = readdirSync(directory, { withFileTypes: true }).filter((one) => one.isFile() && one.name !== 'lock')
  return new Map(names.map(({ name }) => [name, readFileSync(join(directory, name)).toString('base64')]))
}

export interface MadeSegment {
  readonly header: Partial<SegmentHeader> & Pick<SegmentHeader, 'segment' | 'previous'>
  readonly names?: readonly string[]
  readonly firstSequence?: number
  /** What the first frame of a planned segment links to. */
  readonly frameCrc?: number
  readonly known?: SpoolPosition
}

/** Writes a segment file: a header, planned unless it says otherwise, and frames behind it. */
export function makeSegment(directory: string, made: MadeSegment): void {
  const { spoolId, stream, epoch } = stateOf(directory)
  const stated = { base: 0, previousLength: 0, publishedLength: 0, previousHash: undefined, createdMs: 1 }
  const header: SegmentHeader = {
    ...{ kind: 'planned', spoolId, stream, epoch, salt: made.header.segment, ...stated },
    ...made.header,
  }
  const bytes = encodeSegmentHeader(header)
  const frames: Buffer[] = []
  let previousCrc = header.kind === 'explicit' ? headerCrc(bytes) : (made.frameCrc ?? 0)
  for (const name of made.names ?? []) {
    const record = Buffer.from(recordText(name))
    const load = { record: record.length, attachment: 0 }
    const frame = Buffer.alloc(frameBytes(load))
    record.copy(frame, frameHeaderBytes)
    const [number, known] = [frames.length + 1, made.known ?? { segment: 0, offset: 0 }]
    const sequence = (made.firstSequence ?? 1) + frames.length
    previousCrc = encodeFrame(frame, { flags: 0, salt: header.salt, number, sequence, previousCrc, known }, load)
    frames.push(frame)
  }
  writeFileSync(segmentFile(directory, header.segment), Buffer.concat([bytes, ...frames]))
}

/** An explicit header as a failover writes it: it states where its predecessor durably ends, and nothing of itself. */
export function rescueHeader(segment: number, durable: SpoolPosition & { nextSequence: number }) {
  const stated = { previous: durable.segment, previousLength: durable.offset, publishedLength: segmentHeaderBytes }
  const previousHash = durable.nextSequence === 1 ? undefined : 'ab'.repeat(32)
  return { kind: 'explicit', segment, base: durable.nextSequence, previousHash, ...stated } as const
}

/** CRC of the last whole frame of an explicit segment: what a planned successor's first frame links to. */
export function lastFrameCrc(directory: string, segment: number): number {
  const decoded = readSegmentHeader(diskFiles, directory, segment)
  if (!decoded.ok) throw new Error(decoded.reason)
  const file = diskFiles.open(segmentFile(directory, segment), 'read')
  const start = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: decoded.crc }
  const reader = new FrameReader(diskFiles, { file, salt: decoded.header.salt }, start)
  while (reader.next() !== undefined) {}
  diskFiles.close(file)
  return reader.place.frameCrc
}

/** Random whole numbers in [0, below), the same for the same seed (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Spoils a file of the spool in a way of its own: removes, cuts, empties, overwrites, or changes a bit. */
export function spoil(directory: string, random: (below: number) => number): void {
  const files = readdirSync(directory).filter((name) => /^(control|seg-)/.test(name))
  const name = files[random(files.length)]
  if (name === undefined) return
  const path = join(directory, name)
  const { size } = statSync(path)
  const how = random(5)
  if (how === 0) unlinkSync(path)
  else if (how === 1) truncateSync(path, random(size))
  else if (how === 2) writeFileSync(path, Buffer.alloc(random(size)))
  else if (how === 3) writeFileSync(path, Buffer.from(Array.from({ length: 5_000 }, () => random(256))))
  else if (size > 0) flip(path, random(size))
}
