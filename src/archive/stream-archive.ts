/**
 * The archive of one stream: takes its records in any order and keeps those that a checkpoint covers as tiles, those after
 * it in `tail.ndjson`. Always holds: a record becomes part of a tile only when the tree up to the size of a checkpoint
 * folds to its root; tiles are durable before the `checkpoint` that names them, so that a crash leaves the archive as it
 * was. What is there already is compared, never replaced. Without verifier keys nothing says whose the records are.
 */

import { type Checkpoint, openCheckpoint, parseCheckpoint } from '../chain/checkpoint.ts'
import { leafHash } from '../chain/hash.ts'
import type { Verifier } from '../chain/note.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import { checkpointLagMax } from '../limits.ts'
import { notePath, type OpenEnd, openEnd, readTile, splitTail, tailPath } from './archive-end.ts'
import type { ArchiveStore } from './store.ts'
import { encodeEntries, entriesPath, type Tile, TileTree, tileHashes, tilePath, unfilledTiles } from './tiles.ts'

/** Most records, and bytes of them, that wait for a checkpoint or for one that is missing before them. */
const waitingMax = { records: 2 * checkpointLagMax, bytes: 512 * 2 ** 20 }
/** After so many records the archive is made durable in between. */
const publishRecords = 65_536
const newline = Buffer.from('\n')

/** What became of a stream. */
export interface StreamOutcome {
  readonly stream: string
  /** Records in tiles before and now. */
  readonly from: number
  readonly size: number
  /** Records after the checkpoint, kept beside the tiles. */
  readonly tail: number
  /** Why the stream, or what follows, was not taken. */
  readonly refused?: string
}

interface Waiting {
  readonly bytes: Buffer
  readonly leaf: string
}

interface Anchor extends Checkpoint {
  readonly note: string
}

const emptyEnd: OpenEnd = {
  note: undefined,
  size: 0,
  root: undefined,
  tree: new TileTree(),
  entries: [],
  lastLeaf: undefined,
}

export class StreamArchive {
  readonly stream: string
  readonly #store: ArchiveStore
  readonly #verifiers: readonly Verifier[]
  readonly #from: number
  /** The size that the checkpoint in the store has. */
  #publishedSize: number
  #note: string | undefined
  /** What the store had when it was read, or was given since: only that is replaced. */
  #held: { note: Buffer | undefined; tail: Buffer | undefined }
  readonly #tree: TileTree
  /** The records of the entries tile that is not full. */
  #entries: Buffer[]
  readonly #waiting = new Map<number, Waiting>()
  #waitingBytes = 0
  /** Up to here every record is waiting or taken. */
  #contiguousTo: number
  #lastLeaf: string | undefined
  /** Checkpoints whose record is in place, smallest size first. */
  readonly #anchors: Anchor[] = []
  #refused: string | undefined
  /** The tile that was compared last. */
  #compared: { readonly index: number; readonly leaves: readonly Buffer[] } | undefined

  private constructor(stream: string, end: OpenEnd, { store, verifiers }: Into) {
    this.stream = stream
    this.#store = store
    this.#verifiers = verifiers
    this.#from = end.size
    this.#publishedSize = end.size
    this.#note = end.note
    this.#held = { note: end.note === undefined ? undefined : Buffer.from(end.note), tail: undefined }
    this.#tree = end.tree.clone()
    this.#entries = [...end.entries]
    this.#contiguousTo = end.size
    this.#lastLeaf = end.lastLeaf
  }

  /** Goes on where the store ends. A damaged end refuses every record. */
  static async open(stream: string, into: Into): Promise<StreamArchive> {
    const end = await openEnd(into.store, stream)
    const archive = new StreamArchive(stream, end ?? emptyEnd, into)
    if (end === undefined) archive.#refuse(`what ${into.store.name} ends with does not fit its checkpoint`)
    else await archive.#addTail()
    return archive
  }

  /** Every record up to here is in the archive once `finish` has resolved. */
  get heldTo(): number {
    return this.#contiguousTo
  }

  /** Records in tiles. */
  get size(): number {
    return this.#tree.size
  }

  get isRefused(): boolean {
    return this.#refused !== undefined
  }

  async add({ sequence, bytes }: Pick<StoredRecord, 'sequence' | 'bytes'>): Promise<void> {
    if (this.#refused !== undefined) return
    const leaf = leafHash(bytes)
    const held = sequence <= this.size ? await this.#leafInTiles(sequence) : this.#waiting.get(sequence)?.leaf
    if (held !== undefined && held !== leaf) this.#refuse(`record ${sequence} is there already, with other content`)
    if (held !== undefined || sequence <= this.size) return
    this.#waiting.set(sequence, { bytes: Buffer.from(bytes), leaf })
    this.#waitingBytes += bytes.length
    while (this.#stepOn()) {}
    await this.#takeCovered()
    const isTooMuch = this.#waiting.size > waitingMax.records || this.#waitingBytes > waitingMax.bytes
    if (isTooMuch) this.#refuse(this.#whyWaiting())
  }

  /** Makes everything durable. Nothing may be added afterwards. */
  async finish(): Promise<StreamOutcome> {
    const tail = this.#contiguousTo - this.size
    if (this.#refused === undefined && this.#waiting.size > tail) this.#refuse(this.#whyWaiting())
    await this.#publish()
    const outcome = { stream: this.stream, from: this.#from, size: this.#publishedSize, tail }
    return this.#refused === undefined ? outcome : { ...outcome, refused: this.#refused }
  }

  /** What an earlier run has left; a line that is no record of the stream counts for nothing. */
  async #addTail(): Promise<void> {
    this.#held.tail = await this.#store.read(tailPath(this.stream))
    for (const bytes of splitTail(this.#held.tail)) {
      const { seq: sequence, stream } = parseRecord(bytes) ?? {}
      const isNext = stream === this.stream && sequence !== undefined && sequence > this.size
      if (isNext) await this.add({ sequence, bytes })
    }
  }

  #refuse(why: string): void {
    this.#refused ??= why
  }

  #whyWaiting(): string {
    const missing = this.#contiguousTo + 1
    const hasMore = this.#waiting.size > this.#contiguousTo - this.size
    if (hasMore && missing > 1)
      return `record ${missing} is missing: the archive has everything before it, the source does not go on there`
    if (hasMore) return 'the source begins later than the stream: archive it from a copy that has its beginning'
    return `no checkpoint that a key vouches for covers the ${this.#waiting.size} records after ${this.size}`
  }

  /** One record further, when it is there. */
  #stepOn(): boolean {
    const sequence = this.#contiguousTo + 1
    const next = this.#waiting.get(sequence)
    if (next === undefined) return false
    const members = parseRecord(next.bytes)
    if (members?.prev !== this.#lastLeaf) {
      this.#refuse(`record ${sequence} does not follow the one before it`)
      return false
    }
    this.#contiguousTo = sequence
    this.#lastLeaf = next.leaf
    const anchor = members?.event_type === 'audit.checkpoint' ? this.#readAnchor(members.details) : undefined
    if (anchor !== undefined && anchor.size > (this.#anchors.at(-1)?.size ?? this.size)) this.#anchors.push(anchor)
    return true
  }

  /** A note of another stream, or one that no key vouches for, covers nothing. */
  #readAnchor(details: unknown): Anchor | undefined {
    const { note } = (details ?? {}) as { note?: unknown }
    if (typeof note !== 'string') return undefined
    if (this.#verifiers.length > 0) {
      const opened = openCheckpoint(details, undefined, this.#verifiers)
      if (opened.problem !== undefined) return undefined
    }
    const checkpoint = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
    if ('problem' in checkpoint || !checkpoint.origin.endsWith(`/${this.stream}`)) return undefined
    return { ...checkpoint, note }
  }

  async #takeCovered(): Promise<void> {
    for (let anchor = this.#anchors[0]; anchor !== undefined; anchor = this.#anchors[0]) {
      if (this.#refused !== undefined || anchor.size > this.#contiguousTo) return
      this.#anchors.shift()
      if (this.#foldsTo(anchor)) await this.#take(anchor)
    }
  }

  #foldsTo({ size, root }: Checkpoint): boolean {
    const tree = this.#tree.clone()
    for (let sequence = tree.size + 1; sequence <= size; sequence += 1) tree.append(this.#waitingLeaf(sequence))
    if (tree.root().equals(root)) return true
    this.#refuse(`the records ${this.size + 1} to ${size} do not fold to the root that was signed for them`)
    return false
  }

  #waitingLeaf(sequence: number): Buffer {
    return Buffer.from(this.#waiting.get(sequence)?.leaf ?? '', 'hex')
  }

  async #take({ size, note }: Anchor): Promise<void> {
    for (let sequence = this.size + 1; sequence <= size; sequence += 1) {
      const filled = this.#tree.append(this.#waitingLeaf(sequence))
      const { bytes } = this.#waiting.get(sequence) ?? { bytes: Buffer.alloc(0) }
      this.#waiting.delete(sequence)
      this.#waitingBytes -= bytes.length
      this.#entries.push(bytes)
      for (const tile of filled) await this.#writeTile(tile)
    }
    this.#note = note
    if (size - this.#publishedSize >= publishRecords) await this.#publish()
  }

  /** With a tile of leaves go its records. */
  async #writeTile({ level, index, hashes }: Tile): Promise<void> {
    await this.#store.write(this.#path(tilePath(level, index, hashes.length)), Buffer.concat(hashes))
    if (level > 0) return
    await this.#store.write(this.#path(entriesPath(index, hashes.length)), encodeEntries(this.#entries))
    if (hashes.length === tileHashes) this.#entries = []
  }

  /**
   * Tiles, checkpoint, tail, each durable before the next: the old tail still has what no checkpoint covers yet. Of a
   * stream that was refused it stays, for what would follow is in doubt.
   */
  async #publish(): Promise<void> {
    const before = this.#publishedSize
    if (this.#note !== undefined && this.size > before) {
      for (const tile of this.#tree.unfilled()) await this.#writeTile(tile)
      await this.#store.sync()
      if (!(await this.#replace('note', Buffer.from(this.#note)))) return
      this.#publishedSize = this.size
    }
    if (this.#contiguousTo > 0 && this.#refused === undefined) await this.#writeTail()
    if (this.size > before) await this.#removeUnfilled(before)
    await this.#store.sync()
  }

  async #writeTail(): Promise<void> {
    const lines: Buffer[] = []
    for (let sequence = this.size + 1; sequence <= this.#contiguousTo; sequence += 1) {
      lines.push(this.#waiting.get(sequence)?.bytes ?? Buffer.alloc(0), newline)
    }
    const tail = Buffer.concat(lines)
    if (this.#held.tail?.equals(tail) !== true) await this.#replace('tail', tail)
  }

  /** False, and the stream is refused, when another process has gone on with the archive meanwhile: what it did stays. */
  async #replace(what: 'note' | 'tail', bytes: Buffer): Promise<boolean> {
    const path = what === 'note' ? notePath(this.stream) : tailPath(this.stream)
    const isReplaced = await this.#store.replace(path, bytes, this.#held[what])
    if (isReplaced) this.#held[what] = bytes
    else this.#refuse('another process archives this stream at the same time: run it again')
    await this.#store.sync()
    return isReplaced
  }

  /** Of the checkpoint before: nothing names them any more. */
  async #removeUnfilled(size: number): Promise<void> {
    const named = new Set(unfilledTiles(this.size).map(({ level, index, width }) => tilePath(level, index, width)))
    for (const { level, index, width } of unfilledTiles(size)) {
      if (width === 0 || named.has(tilePath(level, index, width))) continue
      await this.#store.remove(this.#path(tilePath(level, index, width)))
      if (level === 0) await this.#store.remove(this.#path(entriesPath(index, width)))
    }
  }

  async #leafInTiles(sequence: number): Promise<string | undefined> {
    const index = Math.floor((sequence - 1) / tileHashes)
    const at = (sequence - 1) % tileHashes
    if (index === Math.floor(this.size / tileHashes)) return leafHash(this.#entries[at] ?? Buffer.alloc(0))
    if (this.#compared?.index !== index) {
      const leaves = (await readTile(this.#store, this.#path(tilePath(0, index)), tileHashes)) ?? []
      this.#compared = { index, leaves }
    }
    return this.#compared.leaves[at]?.toString('hex')
  }

  #path(path: string): string {
    return `${this.stream}/${path}`
  }
}

/** Where a stream is archived to, and whose checkpoints count: without keys all of them do. */
export interface Into {
  readonly store: ArchiveStore
  readonly verifiers: readonly Verifier[]
}
