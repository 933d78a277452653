/**
 * A spool as somebody writes it who knows its format: any records in any order, in frames whose every checksum holds,
 * under a control file that fits them. What verification then finds, it finds by the records alone.
 */

import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { leafHash } from '../../src/chain/hash.ts'
import { parseRecord } from '../../src/event/record.ts'
import { encodeFrame, frameBytes, frameHeaderBytes, segmentHeaderBytes, segmentName } from '../../src/spool/format.ts'
import { encodeSegmentHeader, headerCrc } from '../../src/spool/segment-header.ts'
import { encodeSlot, slotBytes } from '../../src/spool/slots.ts'

const spoolId = '019b7c2f-0000-7000-8000-00000000000a'

interface Written {
  readonly bytes: Buffer
  /** Where each frame begins. */
  readonly offsets: readonly number[]
  readonly frameCrc: number
  readonly nextSequence: number
  readonly hash: string | undefined
}

/** `keeps`: how many records of the last segment are left under a control file that knows all of them. */
export function craftSpool(directory: string, lines: readonly string[], keeps?: number): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const groups = groupByStream(lines)
  let previousLength = 0
  let last: Written | undefined
  let path = ''
  groups.forEach(({ stream, records }, index) => {
    last = writeSegment({ stream, records, segment: index + 1, previousLength })
    path = join(directory, segmentName(index + 1))
    writeFileSync(path, last.bytes, { mode: 0o600 })
    previousLength = last.bytes.length
  })
  writeFileSync(join(directory, 'control'), controlOf(groups, last), { mode: 0o600 })
  const cut = keeps === undefined ? undefined : last?.offsets[keeps]
  if (cut !== undefined) truncateSync(path, cut)
}

interface Group {
  readonly stream: string
  readonly records: string[]
}

/** A segment holds records of one stream; what names none stands with those before it. */
function groupByStream(lines: readonly string[]): Group[] {
  const groups: Group[] = []
  for (const line of lines) {
    const stream = parseRecord(Buffer.from(line))?.stream ?? groups.at(-1)?.stream ?? spoolId
    const last = groups.at(-1)
    if (last?.stream === stream) last.records.push(line)
    else groups.push({ stream, records: [line] })
  }
  return groups.length > 0 ? groups : [{ stream: spoolId, records: [] }]
}

function writeSegment(one: Group & { segment: number; previousLength: number }): Written {
  const { stream, records, segment, previousLength } = one
  const salt = 0x5a170000 + segment
  const header = encodeSegmentHeader({
    kind: 'explicit',
    spoolId,
    stream,
    segment,
    salt,
    epoch: 1,
    previous: segment - 1,
    base: 1,
    previousLength,
    publishedLength: segmentHeaderBytes,
    previousHash: undefined,
    createdMs: 1,
  })
  let [frameCrc, nextSequence, offset] = [headerCrc(header), 1, segmentHeaderBytes]
  let hash: string | undefined
  const offsets: number[] = []
  const frames = records.map((line, index) => {
    const record = Buffer.from(line)
    const sequence = parseRecord(record)?.seq ?? nextSequence
    const load = { record: record.length, attachment: 0 }
    const frame = Buffer.alloc(frameBytes(load))
    record.copy(frame, frameHeaderBytes)
    const known = { segment, offset: segmentHeaderBytes }
    frameCrc = encodeFrame(frame, { flags: 0, salt, number: index + 1, sequence, previousCrc: frameCrc, known }, load)
    if (sequence >= nextSequence) [nextSequence, hash] = [sequence + 1, leafHash(record)]
    offsets.push(offset)
    offset += frame.length
    return frame
  })
  return { bytes: Buffer.concat([header, ...frames]), offsets, frameCrc, nextSequence, hash }
}

function controlOf(groups: readonly Group[], last: Written | undefined): Buffer {
  const group = groups.at(-1)
  const watermark = {
    segment: groups.length,
    offset: last?.bytes.length ?? 0,
    frameNumber: group?.records.length ?? 0,
    frameCrc: last?.frameCrc ?? 0,
    nextSequence: last?.nextSequence ?? 1,
    hash: last?.hash,
  }
  const state = {
    spoolId,
    deployment: 'prod',
    stream: group?.stream,
    epoch: 1,
    bootId: 'x',
    firstSegment: 1,
    clean: true,
  }
  const empty = Buffer.alloc(slotBytes)
  return Buffer.concat([encodeSlot({ generation: 1, members: { ...state, watermark } }), empty, empty, empty])
}
