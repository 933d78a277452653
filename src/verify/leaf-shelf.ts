/**
 * Where verification keeps the leaf hashes that it has left behind: the newest chunks in memory, all others in a temporary
 * file that has no name any more, so that memory does not grow with a copy and nothing is left behind. Where no such file
 * can be made or grown, chunks stay in memory. Always holds: a chunk reads as it was written.
 */

import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskFiles, type Files } from '../spool/files.ts'

/** Bytes of one chunk. */
export const chunkBytes = 32_768
/** Chunks kept in memory: 4 MiB, the hashes of more records than a checkpoint can lie behind. */
const residentMax = 128

/** A place on the shelf. */
export interface Chunk {
  /** Which part of the file holds it; undefined as long as none does. */
  slot: number | undefined
  /** Whether the file lacks what was written last. */
  isChanged: boolean
}

export class LeafShelf {
  readonly #files: Files
  readonly #directory: string
  /** Chunks in memory, the one that was not used for longest first. */
  readonly #resident = new Map<Chunk, Buffer>()
  #file: number | undefined
  #slots = 0
  #canSpill = true

  constructor(files: Files = diskFiles, directory = tmpdir()) {
    this.#files = files
    this.#directory = directory
  }

  /** A chunk of zeros. */
  add(): Chunk {
    const chunk = { slot: undefined, isChanged: false }
    this.#resident.set(chunk, (this.#makeRoom() ?? Buffer.allocUnsafeSlow(chunkBytes)).fill(0))
    return chunk
  }

  /** The bytes of a chunk, to be read, or with `isChanged` written, before the next call. */
  open(chunk: Chunk): Buffer {
    const held = this.#resident.get(chunk)
    const bytes = held ?? this.#makeRoom() ?? Buffer.allocUnsafeSlow(chunkBytes)
    if (held !== undefined) this.#resident.delete(chunk)
    else this.#read(chunk, bytes)
    this.#resident.set(chunk, bytes)
    return bytes
  }

  /** Gives the file back. */
  close(): void {
    if (this.#file !== undefined) this.#files.close(this.#file)
    this.#file = undefined
    this.#canSpill = false
  }

  /** The memory of a chunk that went into the file, when there are too many. */
  #makeRoom(): Buffer | undefined {
    if (this.#resident.size < residentMax || !this.#canSpill) return undefined
    const [oldest] = this.#resident
    if (oldest === undefined) return undefined
    const [chunk, bytes] = oldest
    if (chunk.isChanged && !this.#write(chunk, bytes)) return undefined
    this.#resident.delete(chunk)
    return bytes
  }

  #read({ slot }: Chunk, into: Buffer): void {
    const isThere = this.#file !== undefined && slot !== undefined
    if (!isThere || this.#files.read(this.#file ?? -1, into, slot * chunkBytes) < chunkBytes)
      throw new Error('the temporary file of verification does not hold what was written to it')
  }

  #write(chunk: Chunk, bytes: Buffer): boolean {
    try {
      this.#file ??= this.#create()
      chunk.slot ??= this.#slots++
      this.#files.write(this.#file, bytes, chunk.slot * chunkBytes)
      chunk.isChanged = false
      return true
    } catch {
      this.#canSpill = false // no room there, or no right to: memory is what is left
      return false
    }
  }

  #create(): number {
    const path = join(this.#directory, `otel-audit-verify-${randomUUID()}`)
    const file = this.#files.open(path, 'create')
    this.#files.unlink(path)
    return file
  }
}
