/**
 * One file of the simulated disk: what the page cache shows, and for each sector that the disk may not have, what the
 * disk has instead. Such a sector is dirty (the next sync writes it) or lost (a failed sync has called it clean
 * without writing it: no later sync writes it, unless it is written again).
 */

import { sectorBytes } from '../../src/limits.ts'
import type { Random } from './random.ts'

interface UnsyncedSector {
  /** What the disk has there. */
  onDisk: Buffer
  isLost: boolean
  /** What a running sync is writing there, once the cache has gone on. */
  inFlight: Buffer | undefined
}

/** A sync that has begun. */
export interface SyncUnderWay {
  readonly sectors: readonly (readonly [number, UnsyncedSector])[]
  readonly size: number
}

export class Inode {
  readonly id: number
  /** What it was called last. */
  name: string
  /** The cache; zeros behind `size`. */
  #bytes = Buffer.alloc(8_192)
  #size = 0
  #sizeOnDisk = 0
  #unsynced = new Map<number, UnsyncedSector>()
  #isSyncing = false

  constructor(id: number, name: string) {
    this.id = id
    this.name = name
  }

  get size(): number {
    return this.#size
  }

  /** Bytes as a process sees them now. */
  get cache(): Buffer {
    return this.#bytes.subarray(0, this.#size)
  }

  read(into: Uint8Array, position: number): number {
    return position >= this.#size
      ? 0
      : this.#bytes.copy(into, 0, position, Math.min(this.#size, position + into.length))
  }

  write(from: Uint8Array, position: number): void {
    if (from.length === 0) return
    const end = position + from.length
    this.#reserve(end)
    for (let index = Math.floor(position / sectorBytes); index * sectorBytes < end; index += 1) this.#touch(index)
    this.#bytes.set(from, position)
    this.#size = Math.max(this.#size, end)
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return
    const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, Math.ceil(size / sectorBytes) * sectorBytes))
    this.#bytes.copy(larger)
    this.#bytes = larger
  }

  #touch(index: number): void {
    const sector = this.#unsynced.get(index)
    if (sector === undefined) {
      this.#unsynced.set(index, { onDisk: this.#copyOf(index), isLost: false, inFlight: undefined })
      return
    }
    sector.isLost = false
    if (this.#isSyncing) sector.inFlight ??= this.#copyOf(index)
  }

  #copyOf(index: number): Buffer {
    return Buffer.from(this.#bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes))
  }

  /** What is dirty now is on its way; what is written from now on is not promised. */
  beginSync(): SyncUnderWay {
    if (this.#isSyncing) throw new Error('two syncs of one file at once are not simulated')
    this.#isSyncing = true
    for (const sector of this.#unsynced.values()) sector.inFlight = undefined
    return { sectors: [...this.#unsynced].filter(([, sector]) => !sector.isLost), size: this.#size }
  }

  endSync({ sectors, size }: SyncUnderWay): void {
    this.#isSyncing = false
    this.#sizeOnDisk = size
    for (const [index, sector] of sectors) {
      if (sector.inFlight === undefined) this.#unsynced.delete(index)
      else sector.onDisk = sector.inFlight
    }
  }

  /** Some of it was written, some was not, and all of it is clean. */
  failSync({ sectors, size }: SyncUnderWay, random: Random): void {
    this.#isSyncing = false
    if (random.chance(0.5)) this.#sizeOnDisk = size
    for (const [index, sector] of sectors) {
      const isWritten = random.chance(0.3)
      if (sector.inFlight !== undefined) {
        if (isWritten) sector.onDisk = sector.inFlight
      } else if (isWritten) this.#unsynced.delete(index)
      else sector.isLost = true
    }
  }

  /** The process that ran a sync is gone; the sync never reported. */
  abandonSync(): void {
    this.#isSyncing = false
  }

  /** Drops clean pages from the cache: lost sectors read as what the disk has. Whether any byte changed. */
  evict(): boolean {
    let hasChanged = false
    for (const [index, sector] of this.#unsynced) {
      if (!sector.isLost) continue
      const at = index * sectorBytes
      if (this.#bytes.compare(sector.onDisk, 0, sectorBytes, at, at + sectorBytes) !== 0) hasChanged = true
      sector.onDisk.copy(this.#bytes, at)
      this.#unsynced.delete(index)
    }
    this.#bytes.fill(0, this.#size)
    return hasChanged
  }

  /** What a power cut leaves: a size between the two, and each unsynced sector old, new, zero or garbage. */
  settle(random: Random): void {
    const least = Math.min(this.#sizeOnDisk, this.#size)
    const most = Math.max(this.#sizeOnDisk, this.#size)
    const size = random.chance(0.7)
      ? random.pick([this.#sizeOnDisk, this.#size])
      : least + random.below(most - least + 1)
    for (const [index, sector] of this.#unsynced) {
      const bytes = this.#bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes)
      const fate = random.below(4)
      if (fate === 0) sector.onDisk.copy(bytes)
      else if (fate === 1) bytes.fill(0)
      else if (fate === 2) random.fill(bytes)
    }
    this.#reserve(size)
    this.#bytes.fill(0, size)
    this.#size = size
    this.#sizeOnDisk = size
    this.#unsynced.clear()
    this.#isSyncing = false
  }

  /** A file of its own with the same bytes, all of them on disk. */
  copy(id: number): Inode {
    const copy = new Inode(id, this.name)
    copy.#bytes = Buffer.from(this.#bytes)
    copy.#size = this.#size
    copy.#sizeOnDisk = this.#size
    return copy
  }

  /** Changes bytes on disk and in cache behind everybody's back. */
  rot(change: (bytes: Buffer) => void): void {
    change(this.cache)
  }

  /** Cuts the file behind everybody's back. */
  truncate(size: number): void {
    this.#bytes.fill(0, size)
    this.#size = size
    this.#sizeOnDisk = size
  }
}
