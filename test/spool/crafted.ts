/**
 * Spools written straight to disk, segment by segment, without writer and sync thread: any shape, and as fast as the
 * disk. What is in them is what the writer would have written; `format.test.ts` and the vectors hold the two together.
 */

import { randomUUID } from 'node:crypto'
import { type CheckpointDetails, checkpointDetails, originOf } from '../../src/chain/checkpoint.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { type ControlState, replaceControl, type Watermark } from '../../src/spool/control.ts'
import { diskFiles, machineId } from '../../src/spool/files.ts'
import {
  checkpointFlag,
  encodeFrame,
  frameBytes,
  frameHeaderBytes,
  nextSector,
  segmentHeaderBytes,
} from '../../src/spool/format.ts'
import { segmentPath } from '../../src/spool/refusals.ts'
import { openDirectory } from '../../src/spool/segment.ts'
import { encodeSegmentFrontier, encodeSegmentHeader } from '../../src/spool/segment-header.ts'
import { signer } from './harness.ts'

const deployment = 'test'
const bufferBytes = 4 * 2 ** 20

/** What one segment is to hold. */
export interface CraftedSegment {
  readonly records: number
  /** Default planned, the first one explicit. */
  readonly kind?: 'planned' | 'explicit'
  /** The last record of each this many is a checkpoint of everything before it; none without. */
  readonly checkpointEvery?: number
  /** A new stream begins with this segment. */
  readonly newStream?: boolean
  /** Bytes of each record, about. */
  readonly recordBytes?: number
}

export class CraftedSpool {
  readonly directory: string
  readonly spoolId = randomUUID()
  stream = randomUUID()
  frontier = new Frontier()
  #segment = 0
  #offset = 0
  #frameNumber = 0
  #frameCrc = 0
  #hash: string | undefined
  #firstSegment = 1
  readonly #checkpoints: 'usual' | 'unfolding' | 'lagging'
  #early = new Frontier()

  /** Checkpoint records may be made useless: their frontiers are not those of their roots, or they cover segment 1 only. */
  constructor(directory: string, checkpoints: 'usual' | 'unfolding' | 'lagging' = 'usual') {
    this.directory = directory
    this.#checkpoints = checkpoints
  }

  get nextSequence(): number {
    return this.frontier.size + 1
  }

  get segment(): number {
    return this.#segment
  }

  add(wanted: CraftedSegment): this {
    if (wanted.newStream) {
      this.stream = randomUUID()
      this.frontier = new Frontier()
      this.#hash = undefined
    }
    const previousLength = this.#offset
    this.#segment += 1
    const kind = wanted.kind ?? (this.#segment === 1 ? 'explicit' : 'planned')
    const isExplicit = kind === 'explicit'
    const salt = 0x5a170000 + this.#segment
    const header = encodeSegmentHeader({
      kind,
      spoolId: this.spoolId,
      stream: this.stream,
      segment: this.#segment,
      salt,
      epoch: 1,
      previous: this.#segment - 1,
      base: isExplicit ? this.nextSequence : 0,
      previousLength: isExplicit ? previousLength : 0,
      publishedLength: isExplicit ? segmentHeaderBytes : 0,
      previousHash: isExplicit ? this.#hash : undefined,
      createdMs: 1,
    })
    if (isExplicit) this.#frameCrc = header.readUInt32LE(508)
    const block = encodeSegmentFrontier({
      base: this.nextSequence,
      previousHash: this.#hash,
      hashes: this.frontier.hashes(),
      frameCrc: this.#frameCrc,
      writtenMs: 2,
    })
    block.bytes.copy(header, block.offset)
    this.#frameNumber = 0
    this.#offset = segmentHeaderBytes
    const file = diskFiles.open(segmentPath(this.directory, this.#segment), 'create')
    diskFiles.write(file, header, 0)
    this.#fill(file, { ...wanted, salt })
    diskFiles.close(file)
    if (this.#segment === 1) this.#early = this.frontier.clone()
    return this
  }

  /** Without its oldest segments, as reclaim leaves a spool. */
  reclaim(firstSegment: number): this {
    for (let segment = this.#firstSegment; segment < firstSegment; segment += 1)
      diskFiles.unlink(segmentPath(this.directory, segment))
    this.#firstSegment = firstSegment
    return this
  }

  /** Writes control, with everything durable. */
  settle(): ControlState {
    const watermark: Watermark = {
      segment: this.#segment,
      offset: this.#offset,
      frameNumber: this.#frameNumber,
      frameCrc: this.#frameCrc,
      nextSequence: this.nextSequence,
      hash: this.#hash,
      recorded: undefined,
    }
    const { spoolId, stream } = this
    const own = openDirectory(diskFiles, this.directory)
    const writer = { epoch: 1, bootId: 'boot-1', clean: true }
    const state = { ...writer, spoolId, deployment, stream, firstSegment: this.#firstSegment, watermark }
    const written = replaceControl(diskFiles, own, { state, machine: machineId() })
    diskFiles.close(own.file)
    return written
  }

  #fill(file: number, wanted: CraftedSegment & { salt: number }): void {
    const buffer = Buffer.alloc(bufferBytes)
    const start = { at: this.#offset, used: 0 }
    const flush = (): void => {
      if (start.used > 0) diskFiles.write(file, buffer.subarray(0, start.used), start.at)
      start.at += start.used
      start.used = 0
    }
    for (let index = 0; index < wanted.records; index += 1) {
      const every = wanted.checkpointEvery ?? Number.POSITIVE_INFINITY
      const isCheckpoint = this.frontier.size > 0 && index % every === every - 1
      const record = Buffer.from(this.#record(isCheckpoint, wanted.recordBytes ?? 0))
      const load = { record: record.length, attachment: 0 }
      const length = frameBytes(load)
      if (start.used + length + 512 > bufferBytes) flush()
      const frame = buffer.subarray(start.used, start.used + length)
      record.copy(frame, frameHeaderBytes)
      this.#frameNumber += 1
      const { salt } = wanted
      const place = { salt, number: this.#frameNumber, sequence: this.nextSequence, previousCrc: this.#frameCrc }
      const known = { segment: this.#segment, offset: segmentHeaderBytes }
      const flags = isCheckpoint ? checkpointFlag : 0
      this.#frameCrc = encodeFrame(frame, { ...place, flags, known }, load)
      this.#hash = leafHash(record)
      this.frontier.append(this.#hash)
      start.used += length
      this.#offset = start.at + start.used
      if (index % 5 === 4) {
        const aligned = nextSector(this.#offset) // as after a sync
        buffer.fill(0, start.used, start.used + aligned - this.#offset)
        start.used += aligned - this.#offset
      }
    }
    flush()
  }

  #record(isCheckpoint: boolean, bytes: number): string {
    const { stream, nextSequence } = this
    const details = isCheckpoint ? this.#checkpoint() : { pad: 'x'.repeat(bytes) }
    return JSON.stringify({ details, recorded: '2026-11-22T00:00:00.000000000Z', seq: nextSequence, stream, v: '1' })
  }

  #checkpoint(): CheckpointDetails {
    const frontier = this.#checkpoints === 'lagging' ? this.#early : this.frontier
    const details = checkpointDetails(frontier, originOf(deployment, this.stream), signer)
    if (this.#checkpoints !== 'unfolding') return details
    return { ...details, frontier: details.frontier.map((_, index) => Buffer.alloc(32, index + 1).toString('base64')) }
  }
}

/** Changes one byte of a segment, if only a bit of it. */
export function rot(directory: string, segment: number, offset: number): void {
  const file = diskFiles.open(segmentPath(directory, segment), 'write')
  const byte = Buffer.alloc(1)
  diskFiles.read(file, byte, offset)
  diskFiles.write(file, Buffer.from([(byte[0] ?? 0) ^ 0x10]), offset)
  diskFiles.close(file)
}
