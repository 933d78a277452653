/**
 * Records that a destination refused for ever, in `quarantine/forked/NAME/` of the spool directory: one NDJSON file a
 * run, `STREAM-FIRST-LAST-HASH.ndjson` with the leaf hash of the last record, each line one record verbatim with its
 * number, its hash and the reason. Always holds: a file that has its name is whole and durable. Nothing is removed here.
 */

import { join } from 'node:path'
import { leafHash } from '../chain/hash.ts'
import { formatTimestamp, nowMs } from '../clock.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import { ensureDirectory, exists, type Files } from '../spool/files.ts'
import { type ForkedRun, heldMembers } from './quarantine.ts'

/** The records of one file. */
interface KeptRun {
  readonly stream: string
  readonly from: number
  readonly to: number
  /** Leaf hash of the last. */
  readonly hash: string
}

/** A sealed record by its number and its leaf hash. */
export interface SealedRecord {
  readonly stream: string
  readonly sequence: number
  readonly hash: string
}

const fileName = /^(?<stream>.+)-(?<from>\d+)-(?<to>\d+)-(?<hash>[0-9a-f]{64})\.ndjson$/

export class QuarantineFolder {
  readonly #files: Files
  readonly #name: string
  readonly #path: string
  readonly #kept: KeptRun[]

  /** The folder of the destination with this name; made when something is put into it. */
  constructor(files: Files, spool: string, name: string) {
    this.#files = files
    this.#name = name
    this.#path = join(spool, 'quarantine', 'forked', folderName(name))
    this.#kept = exists(this.#path) ? files.list(this.#path).flatMap(parseFileName) : []
  }

  /** Whether the record names one that lies here as the one before it. */
  follows({ stream, sequence, bytes }: StoredRecord): boolean {
    const before = this.#kept.filter((run) => run.stream === stream && run.to === sequence - 1)
    return before.length > 0 && before.some(({ hash }) => hash === parseRecord(bytes)?.prev)
  }

  /** Whether exactly this record lies here. */
  holds({ stream, sequence, hash }: SealedRecord): boolean {
    return this.#kept.some((run) => {
      if (run.stream !== stream || sequence < run.from || run.to < sequence) return false
      return run.hash === hash || this.#read(run).includes(`"hash":"${hash}"`) // quotes within a record are escaped
    })
  }

  /** Puts the records here, those that lie here already left out; durable on return. Throws what the disk throws. */
  keep({ records, held, reason }: ForkedRun): void {
    const hashes = records.map(({ bytes }) => leafHash(bytes))
    const isNew = ({ stream, sequence }: StoredRecord, index: number) =>
      !this.holds({ stream, sequence, hash: hashes[index] ?? '' })
    const fresh = records.findIndex(isNew)
    const [first, last] = [records[fresh], records.at(-1)]
    if (first === undefined || last === undefined) return
    const quarantined = formatTimestamp(nowMs())
    const lines = records.slice(fresh).map(({ stream, sequence, bytes }, at) => {
      const found = fresh + at === 0 ? heldMembers(held) : {}
      const place = { destination: this.#name, stream, seq: sequence, hash: hashes[fresh + at], ...found }
      return `${JSON.stringify({ ...place, reason, quarantined, record: bytes.toString('utf8') })}\n`
    })
    const run = { stream: first.stream, from: first.sequence, to: last.sequence, hash: hashes.at(-1) ?? '' }
    this.#write(join(this.#path, nameOf(run)), Buffer.from(lines.join('')))
    this.#kept.push(run)
  }

  /** Written and synced before it gets its name: what a crash leaves without one is not read, and written anew. */
  #write(path: string, text: Buffer): void {
    ensureDirectory(this.#path)
    const directory = this.#files.openDirectory(this.#path)
    try {
      const temporary = `${path}.tmp`
      if (exists(temporary)) this.#files.unlink(temporary)
      const file = this.#files.open(temporary, 'create')
      try {
        this.#files.write(file, text, 0)
        this.#files.sync(file)
      } finally {
        this.#files.close(file)
      }
      this.#files.rename(temporary, path)
      this.#files.syncDirectory(directory)
    } finally {
      this.#files.close(directory)
    }
  }

  #read(run: KeptRun): Buffer {
    const file = this.#files.open(join(this.#path, nameOf(run)), 'read')
    try {
      const text = Buffer.alloc(this.#files.size(file))
      this.#files.read(file, text, 0)
      return text
    } finally {
      this.#files.close(file)
    }
  }
}

/** As in the name of a cursor; a name of dots alone would lead out of the folder. */
function folderName(name: string): string {
  const encoded = encodeURIComponent(name).replaceAll('*', '%2A')
  return /^\.+$/.test(encoded) ? encoded.replaceAll('.', '%2E') : encoded
}

function nameOf({ stream, from, to, hash }: KeptRun): string {
  return `${stream}-${from}-${to}-${hash}.ndjson`
}

function parseFileName(name: string): KeptRun[] {
  const { stream, from, to, hash } = fileName.exec(name)?.groups ?? {}
  if (stream === undefined || hash === undefined) return []
  return [{ stream, from: Number(from), to: Number(to), hash }]
}
