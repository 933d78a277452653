/**
 * Reads records in spool order, up to a limit that no reader may pass: the durable position. What is not durable can
 * be taken back by a power cut, so nothing outside the process may have seen it. Several readers are independent;
 * each holds one open segment and one buffer, whatever the backlog.
 */

import { AuditError } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { readControl } from './control.ts'
import type { Cursor, RecordNumber } from './cursor.ts'
import type { Files } from './files.ts'
import { type DecodedFrame, disclosuresFlag, isBefore, segmentHeaderBytes } from './format.ts'
import type { SpoolEnd } from './positions.ts'
import { damaged, segmentPath } from './refusals.ts'
import { type FramePlace, FrameReader, type PathSegment, type ReadPlace, readPath } from './segment.ts'
import type { SegmentHeader } from './segment-header.ts'
import { readSegmentStart, type SegmentStart } from './segment-start.ts'

interface Succession {
  readonly successor: PathSegment
  /** Where the segment before it ends, when the successor says so. */
  readonly length: number | undefined
}

interface OpenReader {
  readonly header: SegmentHeader
  readonly file: number
  readonly frames: FrameReader
  succession: Succession | undefined
}

export class SpoolReader {
  readonly #files: Files
  readonly #directory: string
  readonly #limit: () => SpoolEnd
  readonly #withDisclosures: boolean
  #open: OpenReader | undefined
  /** The sequence that must come next, once it is known. */
  #expected: number | undefined
  /** The last record that was returned, or that the cursor names. */
  #last: RecordNumber | undefined
  #known: { readonly last: number; readonly path: readonly PathSegment[] } | undefined

  constructor(
    files: Files,
    directory: string,
    limit: (() => SpoolEnd) | { readonly limit: () => SpoolEnd; readonly withDisclosures: boolean },
  ) {
    const given = typeof limit === 'function' ? { limit, withDisclosures: false } : limit
    this.#files = files
    this.#directory = directory
    this.#limit = given.limit
    this.#withDisclosures = given.withDisclosures
  }

  /** Where the next record is looked for. */
  get place(): ReadPlace | undefined {
    return this.#open === undefined ? undefined : { ...this.#open.frames.place, segment: this.#open.header.segment }
  }

  /** Goes to the first record behind the cursor; without a confirmed record, to the oldest retained one. */
  seek(cursor: Cursor): void {
    const path = this.#path()
    const { confirmed, hint } = cursor
    this.#last = confirmed
    if (confirmed === undefined) {
      this.#enterAtStart(path[0])
      return
    }
    const hinted = path.find((one) => one.header.segment === hint?.segment)
    if (hint !== undefined && hinted !== undefined && hint.offset <= (hinted.length ?? hint.offset)) {
      this.#enter(hinted, hint, hinted.header.stream === confirmed.stream ? confirmed.sequence + 1 : 1)
    } else {
      this.#search(path, confirmed)
    }
  }

  /** The next records, at most `records` and, but for the first, at most `bytes`; none when the limit is reached. */
  next(most: { records: number; bytes: number }): StoredRecord[] {
    const records: StoredRecord[] = []
    let bytes = 0
    while (records.length < most.records && bytes < most.bytes) {
      const record = this.#nextRecord()
      if (record === undefined) break
      records.push(record)
      this.#last = record
      bytes += record.bytes.length
    }
    return records
  }

  close(): void {
    if (this.#open !== undefined) this.#files.close(this.#open.file)
    this.#open = undefined
  }

  /**
   * A place is only a hint: recovery moves what lies above the watermark while a reader in another process goes on,
   * and a cursor's hint may be older still. The number counts, and is looked for before anything is called damaged.
   */
  #nextRecord(): StoredRecord | undefined {
    try {
      return this.#read()
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      const path = this.#path()
      if (this.#last === undefined) this.#enterAtStart(path[0])
      else this.#search(path, this.#last)
      return this.#read()
    }
  }

  #read(): StoredRecord | undefined {
    if (this.#open === undefined) this.seek({})
    for (;;) {
      const open = this.#open
      if (open === undefined) return undefined
      const limit = this.#limit()
      const { segment } = open.header
      // A limit may fall back; and where another stream is about to begin it stays, but counts from 1.
      if (!isBefore({ segment, offset: open.frames.place.offset }, limit)) return undefined
      const atLimit = segment === limit.segment
      const frame = open.frames.next(atLimit ? limit.offset : this.#succession(open, limit).length)
      if (frame !== undefined) {
        this.#checkSequence(open, frame.sequence)
        return this.#recordOf(open.header.stream, frame)
      }
      if (!atLimit) this.#enterSuccessor(open, this.#succession(open, limit))
      else if (this.#expected === undefined || this.#expected === limit.nextSequence) return undefined
      else throw this.#missing(open)
    }
  }

  /** What travels beside a record is for nobody who has not asked for it. */
  #recordOf(stream: string, { sequence, record: bytes, attachment, flags }: DecodedFrame): StoredRecord {
    const hasDisclosures = this.#withDisclosures && (flags & disclosuresFlag) !== 0
    return hasDisclosures ? { stream, sequence, bytes, disclosures: attachment } : { stream, sequence, bytes }
  }

  #checkSequence(open: OpenReader, sequence: number): void {
    if (this.#expected !== undefined && this.#expected !== sequence) throw this.#missing(open)
    this.#expected = sequence + 1
  }

  #missing(open: OpenReader) {
    const { offset } = open.frames.place
    return damaged(
      this.#directory,
      open.header.segment,
      `sequence ${this.#expected} is damaged or missing at offset ${offset}`,
    )
  }

  /** What follows the open segment, and so where it ends; looked up once, when the limit has left it. */
  #succession(open: OpenReader, limit: SpoolEnd): Succession {
    if (open.succession !== undefined) return open.succession
    const { segment } = open.header
    const path = this.#pathTo(limit.segment)
    const index = path.findIndex((one) => one.header.segment === segment)
    const [own, successor] = [path[index], path[index + 1]]
    if (own === undefined || successor === undefined) throw damaged(this.#directory, segment, 'no segment follows')
    open.succession = { successor, length: own.length }
    return open.succession
  }

  #enterSuccessor(open: OpenReader, { successor, length }: Succession): void {
    const { offset, frameCrc } = open.frames.place
    if (length !== undefined && offset < length) throw this.#missing(open)
    // A planned segment states no length, but once something in it is durable it says what it links to.
    const isPlanned = successor.header.kind === 'planned'
    if (isPlanned && (this.#start(successor)?.frameCrc ?? frameCrc) !== frameCrc) throw this.#missing(open)
    const expected = successor.header.stream === open.header.stream ? this.#expected : 1
    const link = isPlanned ? frameCrc : successor.crc
    this.#enter(successor, { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: link }, expected)
  }

  #enter(one: PathSegment | undefined, at: FramePlace | undefined, expected: number | undefined): void {
    this.close()
    if (one === undefined) return
    const { header } = one
    const place = at ?? { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: this.#firstLink(one) }
    const file = this.#files.open(segmentPath(this.#directory, header.segment), 'read')
    this.#open = {
      header,
      file,
      frames: new FrameReader(this.#files, { file, salt: header.salt }, place),
      succession: undefined,
    }
    this.#expected = expected
  }

  #enterAtStart(one: PathSegment | undefined): void {
    this.#enter(one, undefined, one === undefined ? undefined : this.#start(one).base)
  }

  /** Number of a segment's first record and the CRC it links to. */
  #start(one: PathSegment): SegmentStart {
    return readSegmentStart(this.#files, this.#directory, one)
  }

  #firstLink(one: PathSegment): number {
    const { frameCrc } = this.#start(one)
    if (frameCrc !== undefined) return frameCrc
    throw damaged(this.#directory, one.header.segment, 'neither its second header block nor its first frame is whole')
  }

  /** Without a usable hint: the segment that holds the record, or begins behind it, read up to it. */
  #search(path: readonly PathSegment[], { stream, sequence }: RecordNumber): void {
    const mayHold = (one: PathSegment) =>
      one.header.stream === stream && (this.#start(one).base ?? Number.POSITIVE_INFINITY) <= sequence + 1
    const at = path.findLastIndex(mayHold)
    this.#enterAtStart(path[Math.max(0, at)]) // reclaimed, or another spool: from the oldest on
    while (at >= 0 && this.#expected !== undefined && this.#expected <= sequence) {
      const record = this.#read()
      if (record?.stream === stream) continue
      // The stream ends before it here (an accepted loss): what was read is the first record behind, still to be given.
      const entered = path.find((one) => one.header.segment === this.#open?.header.segment)
      if (record !== undefined) this.#enterAtStart(entered)
      return
    }
  }

  #path(): readonly PathSegment[] {
    this.#known = undefined
    return this.#pathTo(this.#limit().segment)
  }

  /**
   * All segments up to `last`. Kept until the limit lies in another segment: a drain would else read every header once
   * for each segment. Recovery and a rescue end in a segment with a new number, so that what is kept stays true.
   */
  #pathTo(last: number): readonly PathSegment[] {
    if (this.#known?.last === last) return this.#known.path
    const control = readControl(this.#files, this.#directory)
    if (control.kind !== 'state') return []
    const path = readPath(this.#files, this.#directory, { first: control.state.firstSegment, last })
    this.#known = { last, path }
    return path
  }
}
