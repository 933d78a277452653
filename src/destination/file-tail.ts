/**
 * The end of an NDJSON file as a kill left it: half a record is cut back, and whole records that were written but not
 * confirmed are known again when they are sent again, so that they do not come twice. Known means equal byte for byte
 * and in place; another record in that place is a fork. Anything else is written, because a repeat is harmless and a
 * missing record is not.
 */

import fs from 'node:fs'
import { leafHash } from '../chain/hash.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import { recordBytesMax } from '../limits.ts'
import type { StreamHead } from './destination.ts'
import { splitLines } from './lines.ts'

const newline = 0x0a
/** What every record's text begins with: `action` sorts first and is always there. */
const recordStart = Buffer.from('{"action":"')
/** How far back whole records are looked for; what a cursor lags by is far less. */
const tailBytesMax = 64 * 2 ** 20

/** Cuts back a half-written record at the end. Anything else without a newline is not ours: it is only ended. */
export function mendLastLine(file: number, end: (file: number, bytes: Buffer) => void): void {
  const { size } = fs.fstatSync(file)
  const tail = readTail(file, recordBytesMax + 1)
  const torn = tail.subarray(tail.lastIndexOf(newline) + 1)
  if (torn.length === 0) return
  const isOurs = torn.length <= recordBytesMax && startsLikeRecord(torn)
  if (isOurs) fs.ftruncateSync(file, size - torn.length)
  else end(file, Buffer.of(newline))
}

/** The last record of a stream in the file, where the last line is one; a file that ends otherwise is not searched. */
export function headIn(file: number, stream: string): StreamHead | undefined {
  const last = lastLine(readTail(file, recordBytesMax + 2))
  const members = last === undefined ? undefined : parseRecord(last)
  if (last === undefined || members?.seq === undefined || members.stream !== stream) return undefined
  return { sequence: members.seq, hash: leafHash(last) }
}

/** What the line holds under the record's number, when that is another record. */
export function heldInstead(line: Buffer | undefined, record: StoredRecord | undefined): StreamHead | undefined {
  if (line === undefined || record === undefined || line.equals(record.bytes)) return undefined
  const { stream, sequence } = record
  const members = parseRecord(line)
  return members?.stream === stream && members.seq === sequence ? { sequence, hash: leafHash(line) } : undefined
}

/**
 * The lines of the file from this record's on, or from another's with its number, when it stands near the end; else
 * none. Not looked for where the last line says that it comes later: a clean start reads one line.
 */
export function linesFrom(file: number, record: StoredRecord): Buffer[] {
  const last = lastLine(readTail(file, recordBytesMax + 2))
  const members = last === undefined ? undefined : parseRecord(last)
  if (members?.seq === undefined || (members.stream === record.stream && members.seq < record.sequence)) return []
  const fromEnd = members.stream === record.stream ? members.seq - record.sequence + 1 : 0
  const line = Buffer.concat([record.bytes, Buffer.of(newline)])
  for (let bytes = 2 ** 20; bytes <= tailBytesMax; bytes *= 4) {
    const tail = readTail(file, bytes)
    const isWholeFile = tail.length < bytes
    const at = tail.lastIndexOf(line)
    if (at > 0 ? tail[at - 1] === newline : at === 0 && isWholeFile) return splitLines(tail.subarray(at))
    const rest = fromEnd === 0 ? [] : splitLines(tail).slice(-fromEnd)
    if (heldInstead(rest[0], record) !== undefined) return rest
    if (isWholeFile) return []
  }
  return []
}

/** Whether the record, which the file does not hold, may stand in the file before it: this one begins later. */
export function mayLieBefore(file: number, record: StoredRecord): boolean {
  const last = lastLine(readTail(file, recordBytesMax + 2))
  const members = last === undefined ? undefined : parseRecord(last)
  return members?.seq === undefined || members.stream !== record.stream || members.seq >= record.sequence
}

/** Every line of the file, as far back as lines are looked for. */
export function allLines(file: number): Buffer[] {
  return splitLines(readTail(file, tailBytesMax))
}

/** The lines of a text from this record's on; none where it does not hold it. */
export function linesAfter(text: Buffer, record: StoredRecord): Buffer[] {
  const line = Buffer.concat([record.bytes, Buffer.of(newline)])
  const at = text.lastIndexOf(line)
  return at === 0 || (at > 0 && text[at - 1] === newline) ? splitLines(text.subarray(at)) : []
}

/** Keeps the end of a stream of bytes, as much of it as lines are looked for in. */
export class TailKeeper {
  #chunks: Buffer[] = []
  #length = 0

  add(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    for (
      let [first] = this.#chunks;
      first !== undefined && this.#length - first.length >= tailBytesMax;
      [first] = this.#chunks
    ) {
      this.#chunks.shift()
      this.#length -= first.length
    }
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

function lastLine(tail: Buffer): Buffer | undefined {
  if (tail.at(-1) !== newline) return undefined
  return tail.subarray(tail.lastIndexOf(newline, tail.length - 2) + 1, -1)
}

/** The last bytes of the file, at most `bytesMax`. */
function readTail(file: number, bytesMax: number): Buffer {
  const { size } = fs.fstatSync(file)
  const tail = Buffer.alloc(Math.min(size, bytesMax))
  let read = 0
  while (read < tail.length) {
    const count = fs.readSync(file, tail, read, tail.length - read, size - tail.length + read)
    if (count === 0) throw new Error('the file became shorter while it was read')
    read += count
  }
  return tail
}

function startsLikeRecord(line: Buffer): boolean {
  const length = Math.min(line.length, recordStart.length)
  return line.subarray(0, length).equals(recordStart.subarray(0, length))
}
