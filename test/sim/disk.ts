/**
 * A disk in memory with one directory. What a process sees is the page cache; what a power cut leaves is decided
 * sector by sector (`inode.ts`) and name by name: each creation, renaming and removal since the directory's last sync
 * has happened or not, independently. A directory sync that fails tells each descriptor that is open then, once; the
 * changes it was to make durable stay undecided for ever, whatever succeeds later.
 *
 * Not simulated: memory order between threads (what one writes the other sees at once), and a page as a larger unit
 * than a sector (here a rewritten sector does not save a lost neighbour, which is the harder case).
 */

import { Inode } from './inode.ts'
import type { Random } from './random.ts'

/** How often calls fail; each in [0, 1]. */
export interface FaultRates {
  readonly sync: number
  readonly directorySync: number
  readonly write: number
  /** Creating, renaming and removing names. */
  readonly name: number
  /** A failed sync is followed by the loss of the clean pages from the cache. */
  readonly evict: number
}

export const noFaults: FaultRates = { sync: 0, directorySync: 0, write: 0, name: 0, evict: 0 }

/** For scripted histories: which calls fail; of a write that fails, how many bytes are written before it does. */
export interface DiskScript {
  readonly failsSync?: (name: string) => boolean
  readonly failsDirectorySync?: () => boolean
  readonly writesOnly?: (name: string, length: number) => number | undefined
}

export interface DiskCounts {
  cuts: number
  syncsFailed: number
  directorySyncsFailed: number
  writesFailed: number
  namesFailed: number
  evictions: number
}

/** An open directory; `hasError` until it was told of a failed sync. */
export interface DirectoryDescriptor {
  hasError: boolean
}

type Names = Map<string, Inode>
/** A creation, renaming or removal that is not yet folded into the durable names. */
export interface NameChange {
  readonly apply: (names: Names) => void
  state: 'pending' | 'undecided' | 'durable'
}

let nextDevice = 1

export class SimDisk {
  readonly random: Random
  faults: FaultRates = noFaults
  script: DiskScript = {}
  capacityBytes = Number.POSITIVE_INFINITY
  readonly counts: DiskCounts
  readonly directories = new Set<DirectoryDescriptor>()
  /** Files open in any process; they take space even without a name. */
  readonly openFiles = new Map<Inode, number>()
  /** Bytes that were written and not durable have vanished from the cache: no process can be promised them. */
  hasEvicted = false
  #names: Names = new Map()
  /** Names as they stand on disk, but for `#changes`. */
  #durableNames: Names = new Map()
  #changes: NameChange[] = []
  #device = nextDevice++
  #directoryId = 1
  #nextInode = 2

  constructor(random: Random, counts: DiskCounts = noCounts()) {
    this.random = random
    this.counts = counts
  }

  // Names

  list(): string[] {
    return [...this.#names.keys()]
  }

  find(name: string): Inode | undefined {
    return this.#names.get(name)
  }

  create(name: string): Inode {
    const inode = new Inode(this.#nextInode++, name)
    this.#change((names) => void names.set(name, inode))
    return inode
  }

  rename(from: string, to: string): void {
    const inode = this.#names.get(from)
    if (inode === undefined) throw new Error(`no ${from}`)
    inode.name = to
    this.#change((names) => {
      names.delete(from)
      names.set(to, inode)
    })
  }

  unlink(name: string): void {
    this.#change((names) => void names.delete(name))
  }

  #change(apply: (names: Names) => void): void {
    apply(this.#names)
    this.#changes.push({ apply, state: 'pending' })
  }

  /** What is pending now is on its way; names that change from now on are not promised. */
  beginDirectorySync(): readonly NameChange[] {
    return this.#changes.filter((change) => change.state === 'pending')
  }

  /** Whether it succeeded, as far as this descriptor is told. */
  endDirectorySync(descriptor: DirectoryDescriptor, pending: readonly NameChange[]): boolean {
    const fails = this.random.chance(this.faults.directorySync) || this.script.failsDirectorySync?.() === true
    for (const change of pending) if (change.state === 'pending') change.state = fails ? 'undecided' : 'durable'
    if (fails) {
      this.counts.directorySyncsFailed += 1
      for (const one of this.directories) one.hasError = true
    }
    while (this.#changes[0]?.state === 'durable') this.#changes.shift()?.apply(this.#durableNames)
    const isTold = descriptor.hasError
    descriptor.hasError = false
    return !isTold
  }

  /** Device and inode of a name, or of the directory. */
  identity(name: string | undefined): string | undefined {
    const inode = name === undefined ? this.#directoryId : this.#names.get(name)?.id
    return inode === undefined ? undefined : `${this.#device}:${inode}`
  }

  /** Names that a sync of the directory would make durable. */
  get hasPendingNames(): boolean {
    return this.#changes.some((change) => change.state === 'pending')
  }

  // Space

  get usedBytes(): number {
    let used = 0
    for (const inode of new Set([...this.#names.values(), ...this.openFiles.keys()])) used += inode.size
    return used
  }

  get freeBytes(): number {
    return this.capacityBytes === Number.POSITIVE_INFINITY ? 2 ** 40 : Math.max(0, this.capacityBytes - this.usedBytes)
  }

  // What happens to disks

  /** Clean pages leave the cache. */
  evict(): void {
    this.counts.evictions += 1
    for (const inode of new Set([...this.#names.values(), ...this.openFiles.keys()])) {
      if (inode.evict()) this.hasEvicted = true
    }
  }

  /** All processes are dead; the next ones find what is left. */
  cutPower(): void {
    this.counts.cuts += 1
    const names = new Map(this.#durableNames)
    for (const change of this.#changes) {
      if (change.state === 'durable' || this.random.chance(0.5)) change.apply(names)
    }
    for (const inode of new Set(names.values())) inode.settle(this.random)
    this.#names = names
    this.#durableNames = new Map(names)
    this.#changes = []
    this.directories.clear()
    this.openFiles.clear()
  }

  /**
   * A copy of what can be read now, whole and durable. On another device every identity changes; a copy that keeps
   * them is what one sees when files are overwritten in place.
   */
  copy({ keepsIdentities }: { keepsIdentities: boolean }): SimDisk {
    const copy = new SimDisk(this.random, noCounts())
    if (keepsIdentities) copy.#device = this.#device
    copy.#directoryId = this.#directoryId
    copy.#nextInode = this.#nextInode
    const twins = new Map<Inode, Inode>()
    for (const [name, inode] of this.#names) {
      const twin = twins.get(inode) ?? inode.copy(inode.id)
      twins.set(inode, twin)
      copy.#names.set(name, twin)
    }
    copy.#durableNames = new Map(copy.#names)
    return copy
  }
}

function noCounts(): DiskCounts {
  return { cuts: 0, syncsFailed: 0, directorySyncsFailed: 0, writesFailed: 0, namesFailed: 0, evictions: 0 }
}
