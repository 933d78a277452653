/**
 * Reads sealed segments again in the background, so that rot is found before the bytes are needed: a piece at a time,
 * from the newest sealed segment to the oldest, once a day, on the sync thread while it has nothing better to do.
 * Writes nothing, and holds one segment open at most. A segment that is reclaimed meanwhile is no finding.
 */

import { monotonicMs } from '../clock.ts'
import { errorCode, errorText } from '../errors.ts'
import type { Files } from './files.ts'
import { segmentHeaderBytes } from './format.ts'
import { segmentPath } from './refusals.ts'
import { FrameReader, listSegments, type PathSegment, readSegmentHeader } from './segment.ts'
import { readSegmentStart, type SegmentStart } from './segment-start.ts'

const dayMs = 86_400_000
/** Read in one step, about; half a millisecond of CRC and parsing. */
const pieceBytes = 256 * 1024
/** A step takes at most this part of the time until the next. */
const shareMax = 0.01

/** What a segment holds that it should not, or lacks. */
export interface ScrubFinding {
  readonly segment: number
  readonly offset: number
  /** The record that should stand there, where that is known. */
  readonly sequence?: number | undefined
  readonly what: string
}

/** What to tell a person. */
export function describeRot(directory: string, { segment, offset, sequence, what }: ScrubFinding): string {
  const place = sequence === undefined ? `offset ${offset}` : `offset ${offset}, sequence ${sequence}`
  const path = segmentPath(directory, segment)
  return `${path} has changed on disk: ${what} (${place}); look with otel-audit spool check, and keep a copy of the directory`
}

export interface ScrubOptions {
  /** The oldest retained segment, and the one in which the durable position lies, which is not sealed. */
  readonly range: () => { readonly first: number; readonly last: number }
  readonly segmentBytesMax: number
  /** Default a day. */
  readonly roundMs?: number | undefined
  /** For tests. */
  readonly monotonicMs?: () => number
}

/** A segment and how it begins: what the one before it is measured by. */
interface Known {
  readonly segment: PathSegment
  readonly start: SegmentStart
}

/** A segment that is being read. */
interface Reading extends Known {
  readonly file: number
  readonly frames: FrameReader
  /** The one behind it, which says where this one ends. */
  readonly successor: Known
  expected: number | undefined
}

export class Scrubber {
  readonly #files: Files
  readonly #directory: string
  readonly #options: ScrubOptions
  readonly #monotonicMs: () => number
  readonly #roundMs: number
  readonly #reported = new Set<string>()
  #roundEndsAtMs = Number.NEGATIVE_INFINITY
  #dueAtMs: number
  #pauseMs = 0
  /** The segment behind the next one to be read; `undefined` between rounds. */
  #successor: Known | undefined
  #reading: Reading | undefined

  constructor(files: Files, directory: string, options: ScrubOptions) {
    this.#files = files
    this.#directory = directory
    this.#options = options
    this.#monotonicMs = options.monotonicMs ?? monotonicMs
    this.#roundMs = options.roundMs ?? dayMs
    this.#dueAtMs = this.#monotonicMs() + this.#roundMs / 1_000 // not in the first minute of a process
  }

  /** When the next step is due, on the monotonic clock. */
  get dueAtMs(): number {
    return this.#dueAtMs
  }

  /** Reads the next piece when it is due. Each finding is returned once in the life of this object. */
  step(): ScrubFinding | undefined {
    const now = this.#monotonicMs()
    if (now < this.#dueAtMs) return undefined
    const found = this.#look(now)
    const end = this.#monotonicMs()
    const isResting = this.#successor === undefined && this.#reading === undefined
    const restsUntil = isResting ? this.#roundEndsAtMs : end + this.#pauseMs
    this.#dueAtMs = Math.max(restsUntil, end + (end - now) / shareMax)
    if (found === undefined || this.#reported.has(`${found.segment}:${found.offset}`)) return undefined
    this.#reported.add(`${found.segment}:${found.offset}`)
    return found
  }

  /** Ends the round and releases the file. */
  close(): void {
    this.#leave()
    this.#successor = undefined
  }

  /** One piece: the beginning of a round, of a segment, or some frames of it. */
  #look(now: number): ScrubFinding | undefined {
    if (this.#reading !== undefined) return this.#readPiece(this.#reading)
    if (this.#successor !== undefined) return this.#enter(this.#successor)
    return this.#beginRound(now)
  }

  /** What the disk refuses to read is as bad as what it reads wrongly. */
  #attempt<Result>(at: Omit<ScrubFinding, 'what'>, read: () => Result): Result | ScrubFinding {
    try {
      return read()
    } catch (error) {
      const code = errorCode(error)
      if (code === undefined) throw error
      return { ...at, what: code === 'ENOENT' ? 'the file is missing' : `it cannot be read: ${errorText(error)}` }
    }
  }

  #beginRound(now: number): ScrubFinding | undefined {
    const { last } = this.#options.range()
    const segments = listSegments(this.#files, this.#directory).length
    const steps = segments * (Math.ceil(this.#options.segmentBytesMax / pieceBytes) + 2)
    this.#roundEndsAtMs = now + this.#roundMs
    this.#pauseMs = this.#roundMs / steps
    const known = this.#attempt({ segment: last, offset: 0 }, () => this.#know(last))
    if ('what' in known) return known
    this.#successor = known
    return undefined
  }

  /** Goes on to the segment before `successor`; there is none when the round is done. */
  #enter(successor: Known): ScrubFinding | undefined {
    this.#successor = undefined
    const { previous } = successor.segment.header
    if (previous < this.#options.range().first || previous === 0) return undefined
    const reading = this.#attempt({ segment: previous, offset: 0 }, () => this.#open(previous, successor))
    if ('what' in reading) return previous < this.#options.range().first ? undefined : reading // reclaimed just now
    this.#reading = reading
    const { segment, start } = reading
    // Before anything in a planned segment is durable, its second block is; an explicit one may lack it.
    if (start.stated !== undefined || segment.header.kind === 'explicit') return undefined
    return { segment: previous, offset: 512, what: 'the second header block is damaged' }
  }

  #open(previous: number, successor: Known): Reading | ScrubFinding {
    const known = this.#know(previous)
    if ('what' in known) return known
    const file = this.#files.open(segmentPath(this.#directory, previous), 'read')
    const place = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: known.start.frameCrc ?? 0 }
    const frames = new FrameReader(this.#files, { file, salt: known.segment.header.salt }, place)
    return { ...known, file, frames, successor, expected: known.start.base }
  }

  #readPiece(reading: Reading): ScrubFinding | undefined {
    const { frames, successor } = reading
    const { header } = successor.segment
    const limit = header.kind === 'explicit' ? header.previousLength : undefined
    const until = frames.place.offset + pieceBytes
    while (frames.place.offset < until) {
      const at = { segment: reading.segment.header.segment, offset: frames.place.offset, sequence: reading.expected }
      const frame = this.#attempt(at, () => frames.next(limit))
      if (frame === undefined) return this.#endSegment(reading)
      if ('what' in frame) return this.#endSegment(reading, frame)
      if (reading.expected !== undefined && frame.sequence !== reading.expected)
        return this.#endSegment(reading, { ...at, what: `sequence ${frame.sequence} stands there` })
      reading.expected = frame.sequence + 1
    }
    return undefined
  }

  /** Done with this segment: for what was found, or because no frame follows, which the successor must bear out. */
  #endSegment(reading: Reading, found?: ScrubFinding): ScrubFinding | undefined {
    const { frames, successor, segment, start, expected } = reading
    const { offset, frameCrc } = frames.place
    this.#leave()
    this.#successor = { segment, start } // not the reading: it holds a buffer
    const { header } = successor.segment
    const link = successor.start.frameCrc
    const isWhole =
      header.kind === 'explicit' ? offset >= header.previousLength : link === undefined || link === frameCrc
    if (found !== undefined || isWhole) return found
    return { segment: segment.header.segment, offset, sequence: expected, what: 'a frame is damaged or missing' }
  }

  #know(segment: number): Known | ScrubFinding {
    const decoded = readSegmentHeader(this.#files, this.#directory, segment)
    if (!decoded.ok) return { segment, offset: 0, what: decoded.reason }
    const found = { header: decoded.header, crc: decoded.crc, length: undefined }
    return { segment: found, start: readSegmentStart(this.#files, this.#directory, found) }
  }

  #leave(): void {
    if (this.#reading !== undefined) this.#files.close(this.#reading.file)
    this.#reading = undefined
  }
}
