/**
 * Records that a destination refused for ever (`spool/set-aside.ts` says where): one NDJSON file a run, each line one
 * record verbatim with its number, its hash and the reason. Always holds: a file that has its name is whole and
 * durable; it is `.unsealed` until the trail says that it was set aside. Only an operator's decision takes one out.
 */

import { leafHash } from '../chain/hash.ts'
import { formatTimestamp, nowMs } from '../clock.ts'
import type { JsonObject } from '../event/canonical.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { ensureDirectory, exists, type Files } from '../spool/files.ts'
import {
  listSetAside,
  type SetAsideFile,
  type SetAsideKind,
  setAsideFolder,
  setAsideFolders,
  setAsidePath,
} from '../spool/set-aside.ts'
import { readWhole, writeWhole } from '../spool/whole-file.ts'
import { heldMembers, type OwedFact, type QuarantineFact, type SetAsideRun } from './quarantine.ts'
import {
  type QuarantinedRun,
  type ResolutionAnswer,
  type ResolutionRequest,
  readRequest,
  removeRun,
  resolutionFact,
  writeAnswer,
} from './resolution-request.ts'

/** A sealed record by its number and its leaf hash. */
export interface SealedRecord {
  readonly stream: string
  readonly sequence: number
  readonly hash: string
}

/** The destination, by its durable name, and why its records are here. */
export interface FolderOwner {
  readonly kind: SetAsideKind
  readonly name: string
}

export class QuarantineFolder {
  readonly #files: Files
  readonly #owner: FolderOwner
  readonly #path: string
  #kept: SetAsideFile[]

  /** The folder of a destination; made when something is put into it. */
  constructor(files: Files, spool: string, owner: FolderOwner) {
    this.#files = files
    this.#owner = owner
    this.#path = setAsideFolder(spool, owner.kind, owner.name)
    this.#kept = exists(this.#path) ? listSetAside(files, this.#path) : []
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0
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

  /** Whether a record of this number lies here. */
  covers({ stream, sequence }: RecordNumber): boolean {
    return this.#kept.some((run) => run.stream === stream && run.from <= sequence && sequence <= run.to)
  }

  /** Puts the records here, those that lie here already left out; durable on return. Throws what the disk throws. */
  keep({ records, held, reason }: SetAsideRun): void {
    const hashes = records.map(({ bytes }) => leafHash(bytes))
    const isNew = ({ stream, sequence }: StoredRecord, index: number) =>
      !this.holds({ stream, sequence, hash: hashes[index] ?? '' })
    const fresh = records.findIndex(isNew)
    const [first, last] = [records[fresh], records.at(-1)]
    if (first === undefined || last === undefined) return
    const quarantined = formatTimestamp(nowMs())
    const lines = records.slice(fresh).map(({ stream, sequence, bytes }, at) => {
      const found = fresh + at === 0 ? heldMembers(held) : {}
      const place = { destination: this.#owner.name, stream, seq: sequence, hash: hashes[fresh + at], ...found }
      return `${JSON.stringify({ ...place, reason, quarantined, record: bytes.toString('utf8') })}\n`
    })
    const hash = hashes.at(-1) ?? ''
    const run = { stream: first.stream, from: first.sequence, to: last.sequence, hash, isSealed: false }
    this.#write(run, Buffer.from(lines.join('')))
    this.#kept.push(run)
  }

  /** What the trail does not say yet, oldest first. */
  owed(): OwedFact[] {
    const unsealed = this.#kept.filter(({ isSealed }) => !isSealed)
    const inOrder = unsealed.sort((one, other) => one.from - other.from)
    return inOrder.map((run) => ({ fact: this.#factOf(run), settle: () => this.#settle(run) }))
  }

  #factOf(run: SetAsideFile): OwedFact['fact'] {
    const { stream, from: seq, to, hash } = run
    const { hash: first, held_seq, held_hash, reason = 'unknown' } = firstLine(this.#read(run))
    const rest = seq === to ? { hash } : { ...(first !== undefined && { hash: first }), to, to_hash: hash }
    const held = { ...(held_seq !== undefined && { held_seq }), ...(held_hash !== undefined && { held_hash }) }
    const { kind, name } = this.#owner
    const members = { destination: name, stream, seq, ...rest, ...held, reason: `${kind.toUpperCase()}: ${reason}` }
    return { kind, type: 'audit.quarantined', stream, details: members }
  }

  /** Runs about which an operator has decided. A run that the trail does not name yet has to wait for that. */
  asked(): (readonly [SetAsideFile, ResolutionRequest])[] {
    return this.#kept.flatMap((run) => {
      const request = run.isSealed ? readRequest(this.#files, this.#placeOf(run)) : undefined
      return request === undefined ? [] : [[run, request] as const]
    })
  }

  /** The records of a run, as they were sealed. */
  recordsOf(run: SetAsideFile): StoredRecord[] {
    return readRun(this.#read(run)).map(({ seq, record }) => {
      return { stream: run.stream, sequence: seq, bytes: Buffer.from(record) }
    })
  }

  /** The fact that says what became of a run. */
  resolutionOf(run: SetAsideFile, request: ResolutionRequest): QuarantineFact {
    return resolutionFact(this.#factOf(run), request)
  }

  /** Takes a run out, for good. */
  release(run: SetAsideFile): void {
    removeRun(this.#files, this.#placeOf(run))
    this.#kept = this.#kept.filter((one) => one !== run)
  }

  /** The run stays: this is why. */
  answer(run: SetAsideFile, answer: ResolutionAnswer): void {
    writeAnswer(this.#files, this.#placeOf(run), answer)
  }

  #placeOf(run: SetAsideFile): QuarantinedRun {
    return { folder: this.#path, run }
  }

  #settle(run: SetAsideFile): void {
    const sealed = { ...run, isSealed: true }
    this.#inDirectory((directory) => {
      this.#files.rename(this.#pathOf(run), this.#pathOf(sealed))
      this.#files.syncDirectory(directory)
    })
    this.#kept = this.#kept.map((one) => (one === run ? sealed : one))
  }

  #write(run: SetAsideFile, bytes: Buffer): void {
    ensureDirectory(this.#path)
    this.#inDirectory((directory) => writeWhole(this.#files, directory, { path: this.#pathOf(run), bytes }))
  }

  /** The folder is open before `change` makes names in it. */
  #inDirectory(change: (directory: number) => void): void {
    const directory = this.#files.openDirectory(this.#path)
    try {
      change(directory)
    } finally {
      this.#files.close(directory)
    }
  }

  #pathOf(run: SetAsideFile): string {
    return setAsidePath(this.#path, run)
  }

  #read(run: SetAsideFile): Buffer {
    return readWhole(this.#files, this.#pathOf(run))
  }
}

/** A line of a run's file. */
export interface QuarantinedLine {
  readonly destination: string
  readonly stream: string
  readonly seq: number
  readonly hash: string
  /** What the destination said. */
  readonly reason: string
  /** When it was set aside: RFC 3339. */
  readonly quarantined: string
  /** The sealed text. */
  readonly record: string
}

/** The lines of a run's file. Throws for what is no such file any more. */
export function readRun(text: Buffer): QuarantinedLine[] {
  const lines = text.toString('utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as QuarantinedLine)
}

/** What the first destination that refused records of this stream holds in their place, for the stream that follows. */
export function readHeld(files: Files, spool: string, stream: string): JsonObject | undefined {
  const found = setAsideFolders(files, spool, 'forked').flatMap(({ path }) =>
    listSetAside(files, path).map((file) => ({ path, file })),
  )
  const ofStream = found.filter(({ file }) => file.stream === stream)
  const [first] = ofStream.sort((one, other) => one.file.from - other.file.from)
  if (first === undefined) return undefined
  const line = firstLine(readWhole(files, setAsidePath(first.path, first.file)))
  const { destination, held_seq: seq, held_hash: hash } = line
  return destination === undefined || seq === undefined || hash === undefined ? undefined : { destination, seq, hash }
}

/** The members of a file's first line; none where the disk has damaged it: its name says the most of it. */
function firstLine(text: Buffer): JsonObject {
  try {
    return JSON.parse(text.subarray(0, text.indexOf('\n')).toString('utf8')) as JsonObject
  } catch {
    return {}
  }
}
