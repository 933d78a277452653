/**
 * A spool read to its last byte, damaged or not: every frame's checksum, link and sequence, from the oldest segment
 * on. Writes nothing and takes no lock. Damage is a finding, never an error; behind it the reading goes on at the
 * next whole frame, because what is whole there matters to whoever has to decide.
 */

import { leafHash } from '../chain/hash.ts'
import { parseRecord } from '../event/record.ts'
import type { Files } from './files.ts'
import { type DecodedFrame, isBefore, type SpoolPosition, segmentHeaderBytes } from './format.ts'
import { bytesUntilZeros, type FoundFrame, findFrames, hasBytes } from './frame-search.ts'
import type { FoundSegment } from './lenient-path.ts'
import { type Damage, segmentPath } from './refusals.ts'
import { type FramePlace, FrameReader, readSegmentHeader } from './segment.ts'
import { decodeSegmentFrontier } from './segment-header.ts'
import type { Proof } from './tail.ts'

/** Records of one stream, by number. */
export interface RecordRange {
  readonly stream: string
  readonly from: number
  readonly to: number
}

/** Where whole records end, in front of the first damage. */
export interface SoundEnd extends SpoolPosition {
  readonly stream: string
  /** Of the last whole record; 0 where none is retained and nothing is told of those before. */
  readonly sequence: number
  readonly hash: string | undefined
  readonly recorded: string | undefined
}

export interface Examined {
  readonly damage: readonly Damage[]
  /** Whole records in front of the first damage. */
  readonly records: number
  /** `undefined` where not even the first segment can be read. */
  readonly end: SoundEnd | undefined
  /** Whole records behind the first damage. */
  readonly behind: { readonly records: number; readonly ranges: readonly RecordRange[] }
  /** Where an append was cut off, and how many bytes it left: no damage, it was never acknowledged. */
  readonly torn: (SpoolPosition & { readonly bytes: number }) | undefined
}

export interface Examination {
  readonly directory: string
  readonly path: readonly FoundSegment[]
  /** Everything before each was durable once. */
  readonly proofs: readonly Proof[]
  /** Where to stop, beside a live writer. */
  readonly limit?: SpoolPosition | undefined
  readonly onSegment?: ((index: number) => void) | undefined
}

/** Reads everything on the path. Throws only what the file system throws. */
export function examine(files: Files, examination: Examination): Examined {
  return new Examiner(files, examination).run()
}

interface OpenSegment {
  readonly one: FoundSegment
  readonly file: number
  /** Where frames must reach; `undefined` where nothing says it. */
  readonly wanted: number | undefined
  /** Where they cannot go on. */
  readonly to: number
}

/** A whole frame in its place, or a place where none stands, with the next whole frame behind it, if there is one. */
type Step =
  | { readonly kind: 'frame'; readonly frame: DecodedFrame; readonly end: number }
  | { readonly kind: 'bad'; readonly offset: number; readonly next: FoundFrame | undefined }

class Examiner {
  readonly #files: Files
  readonly #examination: Examination
  readonly #damage: Damage[] = []
  readonly #ranges: { stream: string; from: number; to: number }[] = []
  #records = 0
  #recordsBehind = 0
  #torn: Examined['torn']
  /** Where the last whole frame ended. */
  #cut: SpoolPosition | undefined
  /** The last whole record, or what a header tells of the one before the first. */
  #last: { stream: string; sequence: number; hash: string | undefined; record: Buffer | undefined } | undefined
  /** Where whole records end, once there is damage. */
  #end: SoundEnd | undefined
  #isBehind = false
  #stream = ''
  /** The sequence that must come next; `undefined` where nothing tells it. */
  #expected: number | undefined
  /** What the first frame of a planned segment links to; `undefined` behind damage. */
  #link: number | undefined

  constructor(files: Files, examination: Examination) {
    this.#files = files
    this.#examination = examination
  }

  run(): Examined {
    const { path, onSegment } = this.#examination
    for (const [index, one] of path.entries()) {
      if (this.#torn !== undefined) break
      const open = this.#open(one)
      try {
        this.#readSegment(open, index)
      } finally {
        this.#files.close(open.file)
      }
      onSegment?.(index)
    }
    const behind = { records: this.#recordsBehind, ranges: this.#ranges }
    const end = this.#isBehind ? this.#end : this.#soundEnd()
    return { damage: this.#damage, records: this.#records, end, behind, torn: this.#torn }
  }

  #open(one: FoundSegment): OpenSegment {
    const { directory, limit } = this.#examination
    const { segment } = one.header
    const file = this.#files.open(segmentPath(directory, segment), 'read')
    const wanted = limit?.segment === segment ? limit.offset : one.length
    const size = this.#files.size(file)
    return { one, file, wanted, to: Math.min(size, wanted ?? size) }
  }

  #readSegment(open: OpenSegment, index: number): void {
    this.#enter(open.one)
    const { segment } = open.one.header
    for (const step of readSteps(this.#files, open, this.#link)) {
      if (step.kind === 'frame') this.#take(step.frame, { segment, offset: step.end })
      else if (!this.#noteBad(step, open, index)) return
    }
  }

  /** What must come first in the segment. */
  #enter({ header, crc, isBehindHole }: FoundSegment): void {
    const { segment, stream, kind } = header
    const { bytes } = readSegmentHeader(this.#files, this.#examination.directory, segment)
    const frontier = decodeSegmentFrontier(bytes)
    const base = kind === 'explicit' ? header.base : frontier?.base
    const isFirst = this.#cut === undefined
    if (isBehindHole) this.#fallBehind()
    if (isFirst || isBehindHole || this.#expected === undefined) this.#expected = base
    else if (stream !== this.#stream) this.#expected = 1
    this.#stream = stream
    if (kind === 'explicit' && header.base !== this.#expected) {
      const what = `its header begins at sequence ${header.base}, where ${this.#expected} must follow`
      this.#addDamage({ kind: 'corrupt', segment, what })
      this.#expected = header.base
    }
    if (kind === 'explicit') this.#link = crc
    else if (isFirst || isBehindHole || this.#link === undefined) this.#link = frontier?.frameCrc
    if (isFirst || kind === 'explicit') this.#cut = { segment, offset: segmentHeaderBytes }
    const hash = frontier?.previousHash ?? header.previousHash
    if (isFirst) this.#last = { stream, sequence: (base ?? 1) - 1, hash, record: undefined }
  }

  #take(frame: DecodedFrame, end: SpoolPosition): void {
    const { sequence, record, crc } = frame
    if (this.#expected !== undefined && sequence !== this.#expected) {
      const what = `a whole frame holds sequence ${sequence} where ${this.#expected} must follow`
      this.#addDamage({ kind: 'corrupt', ...end, what })
    }
    this.#expected = sequence + 1
    this.#link = crc
    this.#cut = end
    if (this.#isBehind) {
      this.#countBehind(sequence)
    } else {
      this.#records += 1
      this.#last = { stream: this.#stream, sequence, hash: undefined, record }
    }
  }

  #countBehind(sequence: number): void {
    this.#recordsBehind += 1
    const range = this.#ranges.at(-1)
    if (range?.stream === this.#stream && range.to === sequence - 1) range.to = sequence
    else this.#ranges.push({ stream: this.#stream, from: sequence, to: sequence })
  }

  /** Damage, or the end of what was acknowledged; whether to read on. */
  #noteBad({ next }: Extract<Step, { kind: 'bad' }>, open: OpenSegment, index: number): boolean {
    const at = this.#cut ?? { segment: open.one.header.segment, offset: segmentHeaderBytes }
    const proof = this.#proofBeyond(at, index)
    if (proof === undefined) {
      this.#torn = { ...at, bytes: this.#bytesFrom(at, index) }
      return false
    }
    const what = `${missingWords(this.#expected, next)}; ${proof.by} says that all was durable up to offset ${proof.offset} of segment ${proof.segment}`
    this.#addDamage({ kind: 'corrupt', ...at, what })
    this.#expected = next?.header.sequence
    this.#link = undefined
    return true
  }

  #addDamage(damage: Damage): void {
    this.#fallBehind()
    this.#damage.push(damage)
  }

  #fallBehind(): void {
    if (this.#isBehind) return
    this.#end = this.#soundEnd()
    this.#isBehind = true
  }

  #soundEnd(): SoundEnd | undefined {
    if (this.#cut === undefined || this.#last === undefined) return undefined
    const { stream, sequence, record } = this.#last
    const hash = record === undefined ? this.#last.hash : leafHash(record)
    const recorded = record === undefined ? undefined : parseRecord(record)?.recorded
    return { ...this.#cut, stream, sequence, hash, recorded }
  }

  /** What says that more than this was durable: a position that is told, or one that a frame further on knew. */
  #proofBeyond(at: SpoolPosition, index: number): Proof | undefined {
    const told = this.#examination.proofs.filter((proof) => isBefore(at, proof))
    if (told.length > 0) return told.reduce((best, one) => (isBefore(best, one) ? one : best))
    for (const one of this.#examination.path.slice(index)) {
      const { segment, salt } = one.header
      const open = this.#open(one)
      try {
        const from = segment === at.segment ? at.offset : segmentHeaderBytes
        for (const { header, offset } of findFrames(this.#files, { file: open.file, salt, from, to: open.to })) {
          const by = `the frame of sequence ${header.sequence} at offset ${offset} of segment ${segment}`
          if (isBefore(at, header.known)) return { ...header.known, by }
        }
      } finally {
        this.#files.close(open.file)
      }
    }
    return undefined
  }

  #bytesFrom(at: SpoolPosition, index: number): number {
    let bytes = 0
    for (const one of this.#examination.path.slice(index)) {
      const { file, to } = this.#open(one)
      const from = one.header.segment === at.segment ? at.offset : segmentHeaderBytes
      bytes += bytesUntilZeros(this.#files, { file, from, to })
      this.#files.close(file)
    }
    return bytes
  }
}

/** Reads frame by frame; where none stands, says so and goes on at the next whole one. */
function* readSteps(files: Files, open: OpenSegment, link: number | undefined): Generator<Step> {
  const { one, file, wanted, to } = open
  const { salt } = one.header
  let place: FramePlace = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: link ?? 0 }
  if (link === undefined) {
    const first = firstWhole(files, open, segmentHeaderBytes)
    if (first?.header.number === 1) place = { ...place, frameCrc: first.header.previousCrc }
  }
  for (;;) {
    const reader = new FrameReader(files, { file, salt }, place)
    for (let frame = reader.next(to); frame !== undefined; frame = reader.next(to)) {
      yield { kind: 'frame', frame, end: reader.place.offset }
    }
    const { offset } = reader.place
    if (wanted === undefined ? !hasBytes(files, { file, from: offset, to }) : offset >= wanted) return
    const next = firstWhole(files, open, offset)
    yield { kind: 'bad', offset, next }
    if (next === undefined) return
    place = { offset: next.offset, frameNumber: next.header.number - 1, frameCrc: next.header.previousCrc }
  }
}

function firstWhole(files: Files, { one, file, to }: OpenSegment, from: number): FoundFrame | undefined {
  for (const found of findFrames(files, { file, salt: one.header.salt, from, to })) {
    if (found.frame !== undefined) return found
  }
  return undefined
}

function missingWords(expected: number | undefined, next: FoundFrame | undefined): string {
  const from = expected === undefined ? 'frames' : `sequence ${expected}`
  if (next === undefined) return `${from} and what follows in this segment is damaged or missing`
  const { sequence } = next.header
  if (expected === undefined) return `frames before sequence ${sequence} are damaged or missing`
  if (sequence === expected) return `sequence ${sequence} is whole, but does not link to the frame before it`
  const to = sequence - 1
  return to > expected ? `sequences ${expected} to ${to} are damaged or missing` : `${from} is damaged or missing`
}
