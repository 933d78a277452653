/**
 * Delivery to a local NDJSON file: one record a line, verbatim. Always holds: `delivered` means synced to disk, the
 * directory entry included; a reader never meets half a record between two whole ones; what was written and not
 * confirmed when the process was killed is cut back or known again (`file-tail.ts`), so that it does not come twice.
 * A file that is full or old is closed and the next one begun between two batches; one that somebody else moved away is
 * left to them. One process writes a file, which its lock (`audit.ndjson.lock`) makes sure of.
 */

import fs from 'node:fs'
import { dirname, resolve } from 'node:path'
import { nowMs } from '../clock.ts'
import { errorText } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { lockFile, type SpoolLock } from '../spool/lock.ts'
import type { Compression } from './compression.ts'
import type { Batch, Delivery, Destination, DestinationHost, HeadReading, StreamHead } from './destination.ts'
import { appendDurably, openForAppend } from './file-append.ts'
import { closeCurrent, listClosed, readClosed } from './file-series.ts'
import { allLines, headIn, heldInstead, linesAfter, linesFrom, mayLieBefore, TailKeeper } from './file-tail.ts'
import { FileTending } from './file-tending.ts'
import { LineEncoder } from './lines.ts'
import type { FileDestinationOptions } from './options.ts'

const maxMbDefault = 100
const hourMs = 3_600_000

/** A destination that appends to `path` and syncs before it confirms. The file is opened by the first batch. */
export function createFileDestination(options: FileDestinationOptions, host?: DestinationHost): FileDestination {
  return new FileDestination(options, host)
}

export class FileDestination implements Destination {
  readonly name: string
  /** As it was given. */
  readonly #given: string
  /** Where that leads: closed files lie beside the file itself, not beside a link to it. */
  #path: string
  readonly #bytesMax: number
  readonly #ageMsMax: number
  readonly #tending: FileTending
  readonly #lines = new LineEncoder()
  #lock: SpoolLock | undefined
  #file: number | undefined
  /** When the open file was begun. */
  #begunMs = 0
  /** Where it ended when we last wrote. */
  #end = 0
  /** Lines that the files have already of what is about to be sent; not known until the first record comes. */
  #known: Buffer[] | undefined

  constructor(options: FileDestinationOptions, host: DestinationHost | undefined) {
    const { name = 'file', path, maxMb = maxMbDefault, maxAgeHours = Number.POSITIVE_INFINITY } = options
    this.name = name
    this.#given = path
    this.#path = path
    this.#bytesMax = maxMb * 2 ** 20
    this.#ageMsMax = maxAgeHours * hourMs
    const compression = compressionOf(options.compress)
    this.#tending = new FileTending({ name, compression, maxBackups: options.maxBackups ?? 0, host })
  }

  async send({ records, bytes }: Batch, signal: AbortSignal): Promise<Delivery> {
    if (signal.aborted) return { status: 'retry', reason: 'stopped' }
    try {
      let file = this.#open()
      this.#known ??= await this.#findKnown(file, records)
      const count = countKnown(records, this.#known)
      const held = heldInstead(this.#known[count], records[count])
      if (held !== undefined) return this.#refuse(held, count)
      if (count < records.length && this.#isFull(file, bytes)) file = this.#rotate()
      appendDurably(file, this.#lines.encode(count === 0 ? records : records.slice(count)))
      this.#end = fs.fstatSync(file).size
      // Whoever moved it away may have read it to its end before we wrote: once more, into the file that follows.
      if (this.#isReplaced(file)) throw new Error('it was moved away while it was written')
      this.#known = count === records.length ? this.#known.slice(count) : []
      return { status: 'delivered' }
    } catch (thrown) {
      if (this.#file !== undefined) this.#known = [] // a later sync must not give credit for bytes this one may have lost
      return { status: 'retry', reason: `${this.#path}: ${errorText(thrown)}${this.#abandon()}` }
    }
  }

  async head(stream: string): Promise<HeadReading> {
    try {
      return { status: 'known', head: headIn(this.#open(), stream) }
    } catch (thrown) {
      return { status: 'retry', reason: `${this.#path}: ${errorText(thrown)}${this.#abandon()}` }
    }
  }

  /** Resolves when every closed file is looked after. */
  settled(): Promise<void> {
    return this.#tending.settled()
  }

  async close(): Promise<void> {
    await this.#tending.close()
    this.#release()
    this.#known = undefined
    this.#lock?.release()
    this.#lock = undefined
  }

  /** The file at `path`: the open one, unless somebody moved it away or shortened it. */
  #open(): number {
    this.#lock ??= takeLock(this.#given)
    if (this.#file !== undefined && this.#isReplaced(this.#file)) this.#release()
    if (this.#file !== undefined) {
      if (fs.fstatSync(this.#file).size >= this.#end) return this.#file
      throw new Error('it became shorter: something cut it (copytruncate?), and what was cut may be lost here')
    }
    const isFirst = this.#known === undefined
    this.#path = followLink(this.#given)
    const file = openForAppend(this.#path)
    this.#file = file
    const { birthtimeMs, size } = fs.fstatSync(file)
    this.#begunMs = Math.min(birthtimeMs > 0 ? birthtimeMs : Number.POSITIVE_INFINITY, nowMs())
    this.#end = size
    if (isFirst) this.#tending.begin(this.#path) // what a crash left undone
    return file
  }

  #isReplaced(file: number): boolean {
    const there = fs.statSync(this.#given, { throwIfNoEntry: false })
    const own = fs.fstatSync(file)
    return there === undefined || there.ino !== own.ino || there.dev !== own.dev
  }

  #isFull(file: number, bytes: number): boolean {
    const { size } = fs.fstatSync(file)
    return size > 0 && (size + bytes > this.#bytesMax || nowMs() - this.#begunMs >= this.#ageMsMax)
  }

  /** Closes the file, which is synced to its end, and begins the next. */
  #rotate(): number {
    closeCurrent(this.#path)
    this.#release()
    const file = this.#open()
    this.#tending.begin(this.#path)
    return file
  }

  /** What was written before the last close, and is sent again, may stand in the file closed last. */
  async #findKnown(file: number, [first]: readonly StoredRecord[]): Promise<Buffer[]> {
    if (first === undefined) return []
    const lines = linesFrom(file, first)
    if (lines.length > 0 || !mayLieBefore(file, first)) return lines
    await this.#tending.settled() // the closed file changes its name while it is compressed
    const closed = listClosed(this.#path).at(-1)
    if (closed === undefined) return []
    const tail = new TailKeeper()
    for await (const chunk of readClosed(closed)) tail.add(chunk)
    const before = linesAfter(tail.bytes(), first)
    return before.length === 0 ? [] : [...before, ...allLines(file)]
  }

  #refuse(held: StreamHead, index: number): Delivery {
    this.#known = undefined
    const { sequence, hash } = held
    const reason = `${this.#path}: fork, sequence ${sequence} is held with another hash: ${hash}`
    return { status: 'rejected', reason, forked: { index, held } }
  }

  #release(): void {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) fs.closeSync(file)
  }

  /** Closes after a failure, so that the next try looks at the file afresh; returns what there is to add to the reason. */
  #abandon(): string {
    try {
      this.#release()
      return ''
    } catch (thrown) {
      return `; closing: ${errorText(thrown)}`
    }
  }
}

function compressionOf(compress: FileDestinationOptions['compress'] = true): Compression {
  return compress === true ? 'gzip' : compress === false ? 'none' : compress
}

/** The file that a symbolic link names, be it there or not; any other path as it is. */
function followLink(path: string): string {
  const isLink = fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
  return isLink ? followLink(resolve(dirname(path), fs.readlinkSync(path))) : path
}

function takeLock(path: string): SpoolLock {
  const taken = lockFile(`${path}.lock`, 0)
  if ('holder' in taken) throw new Error(`process ${taken.holder} writes it; each needs a path of its own`)
  return taken
}

/** How many of the records, from the first on, the file has in the same place and with the same bytes. */
function countKnown(records: readonly StoredRecord[], known: readonly Buffer[]): number {
  const differs = records.findIndex((record, index) => known[index]?.equals(record.bytes) !== true)
  return differs < 0 ? records.length : differs
}
