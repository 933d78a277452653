/**
 * A disk in memory behind the spool's file-system port. What the process sees is the page cache; what a power cut
 * leaves is decided sector by sector and name by name:
 *
 * - a sector written since the file's last sync holds its old bytes, its new bytes, zeros or garbage, independently;
 * - a file's size is the synced one, the current one, or anything between;
 * - each creation, renaming and removal since the directory's last sync has happened or not, independently.
 *
 * A kill leaves the page cache as it is, but may cut the write it falls into. After either the process is dead: every
 * further call throws `Dead`, so that no handler of the code under test can go on as if it lived.
 */

import { basename } from 'node:path'
import type { Files } from '../../src/spool/files.ts'

const sector = 512

/** Seeded random numbers (mulberry32): a history is its seed. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }
}

/** The process of the history has ended. */
export class Dead extends Error {}

interface Inode {
  cache: Buffer
  disk: Buffer
  readonly dirty: Set<number>
}

type Names = Map<string, Inode>
type NameChange = (names: Names) => void

/** What a broken design leaves out; for the mutants. */
export interface DiskFaults {
  /** `syncDirectory` does nothing. */
  readonly ignoreDirectorySyncs?: boolean
  /** `sync` does nothing for files whose name matches. */
  readonly ignoreSyncsOf?: RegExp
}

export class SimDisk {
  readonly #random: Random
  readonly #faults: DiskFaults
  #names: Names = new Map()
  #durableNames: Names = new Map()
  #nameChanges: NameChange[] = []
  #open = new Map<number, Inode>()
  #nextFile = 3
  /** Calls until the process dies; infinite while it may live. */
  #callsLeft = Number.POSITIVE_INFINITY
  /** What other threads do while a sync runs. */
  duringSync: () => void = () => {}

  constructor(random: Random, faults: DiskFaults = {}) {
    this.#random = random
    this.#faults = faults
  }

  /** The process dies within its n-th call from now. */
  dieAfter(calls: number): void {
    this.#callsLeft = calls
  }

  get isDead(): boolean {
    return this.#callsLeft <= 0
  }

  /** The next process starts on what a kill leaves. */
  restart(): void {
    this.#open.clear()
    this.#callsLeft = Number.POSITIVE_INFINITY
    this.duringSync = () => {}
  }

  /** The next process starts on what a power cut leaves. */
  cutPower(): void {
    this.#names = new Map(this.#durableNames)
    for (const change of this.#nameChanges) if (this.#random.chance(0.5)) change(this.#names)
    for (const inode of new Set(this.#names.values())) this.#settle(inode)
    this.#durableNames = new Map(this.#names)
    this.#nameChanges = []
    this.restart()
  }

  #settle(inode: Inode): void {
    const sizes = [inode.disk.length, inode.cache.length]
    const size = this.#random.chance(0.7)
      ? (sizes[this.#random.below(2)] ?? 0)
      : Math.min(...sizes) + this.#random.below(Math.abs(inode.cache.length - inode.disk.length) + 1)
    const bytes = Buffer.alloc(Math.max(...sizes))
    inode.disk.copy(bytes)
    for (const index of inode.dirty) this.#settleSector(inode, bytes, index * sector)
    inode.cache = Buffer.from(bytes.subarray(0, size))
    inode.disk = Buffer.from(inode.cache)
    inode.dirty.clear()
  }

  #settleSector(inode: Inode, bytes: Buffer, at: number): void {
    const end = Math.min(at + sector, bytes.length)
    const fate = this.#random.below(4)
    if (fate === 1) inode.cache.copy(bytes, at, at, Math.min(end, inode.cache.length))
    else if (fate === 2) bytes.fill(0, at, end)
    else if (fate === 3) for (let byte = at; byte < end; byte += 1) bytes[byte] = this.#random.below(256)
  }

  /** The same disk, to look at without touching this one. */
  copy(): SimDisk {
    const copy = new SimDisk(this.#random, this.#faults)
    const twins = new Map<Inode, Inode>()
    const twin = (inode: Inode): Inode => {
      const known = twins.get(inode) ?? {
        cache: Buffer.from(inode.cache),
        disk: Buffer.from(inode.disk),
        dirty: new Set(inode.dirty),
      }
      twins.set(inode, known)
      return known
    }
    for (const [name, inode] of this.#names) copy.#names.set(name, twin(inode))
    return copy
  }

  /** The port, as one process sees it. */
  readonly files: Files = {
    open: (path, how) => {
      this.#call()
      const name = basename(path)
      let inode = this.#names.get(name)
      if (how === 'create') {
        if (inode !== undefined) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' })
        inode = { cache: Buffer.alloc(0), disk: Buffer.alloc(0), dirty: new Set() }
        this.#change(created(name, inode))
      }
      if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
      this.#open.set(this.#nextFile, inode)
      return this.#nextFile++
    },
    close: (file) => {
      this.#open.delete(file)
    },
    size: (file) => this.#inode(file).cache.length,
    read: (file, into, position) => {
      const { cache } = this.#inode(file)
      return position >= cache.length ? 0 : cache.copy(into, 0, position, position + into.length)
    },
    write: (file, from, position) => {
      const inode = this.#inode(file)
      const isLast = this.#callsLeft === 1
      this.#write(inode, isLast ? from.subarray(0, this.#random.below(from.length + 1)) : from, position)
      this.#call()
    },
    sync: (file) => {
      this.#call()
      const inode = this.#inode(file)
      const synced = new Set(inode.dirty) // what is written while the sync runs is not promised
      const cache = Buffer.from(inode.cache)
      this.duringSync()
      this.#call()
      const name = [...this.#names].find(([, one]) => one === inode)?.[0] ?? ''
      if (this.#faults.ignoreSyncsOf?.test(name)) return
      inode.disk = cache
      for (const index of synced) if (sectorsEqual(inode.cache, cache, index)) inode.dirty.delete(index)
    },
    openDirectory: () => {
      this.#call()
      return this.#nextFile++
    },
    identity: (path) => path,
    freeBytes: () => 2 ** 40,
    syncDirectory: () => {
      this.#call()
      if (this.#faults.ignoreDirectorySyncs) return
      this.#durableNames = new Map(this.#names)
      this.#nameChanges = []
    },
    rename: (from, to) => {
      this.#call()
      const inode = this.#names.get(basename(from))
      if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${from}`), { code: 'ENOENT' })
      this.#change(renamed(basename(from), basename(to), inode))
    },
    unlink: (path) => {
      this.#call()
      this.#change(removed(basename(path)))
    },
    list: () => [...this.#names.keys()],
  }

  #change(change: NameChange): void {
    change(this.#names)
    this.#nameChanges.push(change)
  }

  #call(): void {
    this.#callsLeft -= 1
    if (this.isDead) throw new Dead('the process has ended')
  }

  #inode(file: number): Inode {
    if (this.isDead) throw new Dead('the process has ended')
    const inode = this.#open.get(file)
    if (inode === undefined) throw new Error(`EBADF: ${file}`)
    return inode
  }

  #write(inode: Inode, from: Uint8Array, position: number): void {
    if (from.length === 0) return
    const end = position + from.length
    if (end > inode.cache.length) inode.cache = Buffer.concat([inode.cache, Buffer.alloc(end - inode.cache.length)])
    inode.cache.set(from, position)
    for (let index = Math.floor(position / sector); index * sector < end; index += 1) inode.dirty.add(index)
  }
}

const created =
  (name: string, inode: Inode): NameChange =>
  (names) =>
    void names.set(name, inode)
const removed =
  (name: string): NameChange =>
  (names) =>
    void names.delete(name)
const renamed =
  (from: string, to: string, inode: Inode): NameChange =>
  (names) => {
    names.delete(from)
    names.set(to, inode)
  }

/** Bytes behind the end of a file are zeros: growing it changes no sector that is not written. */
function sectorsEqual(one: Buffer, other: Buffer, index: number): boolean {
  return sectorOf(one, index).equals(sectorOf(other, index))
}

function sectorOf(bytes: Buffer, index: number): Buffer {
  const padded = Buffer.alloc(sector)
  bytes.copy(padded, 0, Math.min(index * sector, bytes.length), Math.min((index + 1) * sector, bytes.length))
  return padded
}
