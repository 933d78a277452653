/**
 * A process on a simulated disk: its descriptors, its death, and the spool's file-system port for each of its threads.
 * It may die within any call: then a write may have happened in part, and every further call throws `Dead`, so that no
 * handler of the code under test can go on as if it lived. In every call other threads and processes may take a turn.
 */

import { basename } from 'node:path'
import type { Files } from '../../src/spool/files.ts'
import type { DirectoryDescriptor, SimDisk } from './disk.ts'
import type { Inode } from './inode.ts'

/** The process of the history has ended. */
export class Dead extends Error {}

/** An error that the disk reports. */
export class DiskError extends Error {
  readonly code: string

  constructor(code: string, what: string) {
    super(`${code}: ${what}`)
    this.code = code
  }
}

/** What a thread is about to do, or doing, when others may take a turn. */
export type CallName = keyof Files | 'mid-write' | 'mid-sync'

/** Lets others take a turn. */
export type Yield = (call: CallName, name: string) => void

export class SimProcess {
  readonly disk: SimDisk
  /** What the code under test did with descriptors that it must not do: a bug, whatever comes of it. */
  misuse: string | undefined
  #files = new Map<number, Inode>()
  #directories = new Map<number, DirectoryDescriptor>()
  #nextDescriptor = 3
  #callsLeft = Number.POSITIVE_INFINITY

  constructor(disk: SimDisk) {
    this.disk = disk
  }

  /** It dies within its n-th call from now. */
  dieAfter(calls: number): void {
    this.#callsLeft = calls
  }

  get isDead(): boolean {
    return this.#callsLeft <= 0
  }

  /** Ends it: its descriptors are closed, what it wrote stays in the cache. */
  end(): void {
    this.#callsLeft = 0
    for (const inode of this.#files.values()) {
      inode.abandonSync()
      this.#release(inode)
    }
    for (const descriptor of this.#directories.values()) this.disk.directories.delete(descriptor)
    this.#files.clear()
    this.#directories.clear()
  }

  /** The port, as one thread of the process sees it; its calls fail and yield as the disk and `yieldTo` want. */
  files(yieldTo: Yield = () => {}): Files {
    const begin = (call: CallName, name: string) => {
      this.#spend()
      yieldTo(call, name)
      this.#checkAlive()
    }
    return {
      open: (path, how) => {
        const name = basename(path)
        begin('open', name)
        return this.#open(name, how)
      },
      openDirectory: (path) => {
        begin('openDirectory', basename(path))
        const descriptor: DirectoryDescriptor = { hasError: false }
        this.disk.directories.add(descriptor)
        this.#directories.set(this.#nextDescriptor, descriptor)
        return this.#nextDescriptor++
      },
      close: (file) => this.#close(file),
      size: (file) => this.#file(file).size,
      read: (file, into, position) => this.#file(file).read(into, position),
      write: (file, from, position) => {
        yieldTo('write', this.#file(file).name)
        this.#write(file, from, { position, yieldTo })
      },
      sync: (file) => {
        begin('sync', this.#file(file).name)
        this.#sync(file, yieldTo)
      },
      syncDirectory: (file) => {
        begin('syncDirectory', '')
        const descriptor = this.#directories.get(file)
        if (descriptor === undefined) throw this.#misused(file)
        const pending = this.disk.beginDirectorySync()
        yieldTo('mid-sync', '')
        this.#spend()
        if (!this.disk.endDirectorySync(descriptor, pending)) throw new DiskError('EIO', 'fsync of the directory')
      },
      rename: (from, to) => {
        begin('rename', basename(to))
        this.#mustExist(basename(from))
        this.#failName('rename')
        this.disk.rename(basename(from), basename(to))
      },
      unlink: (path) => {
        begin('unlink', basename(path))
        this.#mustExist(basename(path))
        this.#failName('unlink')
        this.disk.unlink(basename(path))
      },
      list: () => {
        this.#checkAlive()
        return this.disk.list()
      },
      identity: (path) => {
        this.#checkAlive()
        const identity = this.disk.identity(path === simDirectory ? undefined : basename(path))
        if (identity === undefined) throw new DiskError('ENOENT', path)
        return identity
      },
      freeBytes: () => this.disk.freeBytes,
    }
  }

  #spend(): void {
    this.#callsLeft -= 1
    this.#checkAlive()
  }

  #checkAlive(): void {
    if (this.isDead) throw new Dead('the process has ended')
  }

  #open(name: string, how: 'create' | 'write' | 'read'): number {
    let inode = this.disk.find(name)
    if (how === 'create') {
      if (inode !== undefined) throw new DiskError('EEXIST', name)
      this.#failName('create')
      inode = this.disk.create(name)
    }
    if (inode === undefined) throw new DiskError('ENOENT', name)
    this.disk.openFiles.set(inode, (this.disk.openFiles.get(inode) ?? 0) + 1)
    this.#files.set(this.#nextDescriptor, inode)
    return this.#nextDescriptor++
  }

  #close(file: number): void {
    if (this.isDead) return
    const open = this.#files.get(file)
    const directory = this.#directories.get(file)
    if (open === undefined && directory === undefined) throw this.#misused(file)
    if (open !== undefined) this.#release(open)
    if (directory !== undefined) this.disk.directories.delete(directory)
    this.#files.delete(file)
    this.#directories.delete(file)
  }

  #release(inode: Inode): void {
    const count = (this.disk.openFiles.get(inode) ?? 1) - 1
    if (count > 0) this.disk.openFiles.set(inode, count)
    else this.disk.openFiles.delete(inode)
  }

  #file(file: number): Inode {
    this.#checkAlive()
    const open = this.#files.get(file)
    if (open === undefined) throw this.#misused(file)
    return open
  }

  #misused(file: number): Error {
    this.misuse ??= `descriptor ${file} is not open`
    return new DiskError('EBADF', `descriptor ${file}`)
  }

  #mustExist(name: string): void {
    if (this.disk.find(name) === undefined) throw new DiskError('ENOENT', name)
  }

  #failName(what: string): void {
    if (!this.disk.random.chance(this.disk.faults.name)) return
    this.disk.counts.namesFailed += 1
    throw new DiskError('EIO', what)
  }

  /** Whole, or a part of it and an error, or a part of it and the end. */
  #write(file: number, from: Uint8Array, { position, yieldTo }: { position: number; yieldTo: Yield }): void {
    const inode = this.#file(file)
    const { random, faults, counts, script } = this.disk
    const grows = Math.max(0, position + from.length - inode.size)
    const missing = grows > 0 ? Math.max(0, grows - this.disk.freeBytes) : 0
    if (this.#callsLeft <= 1) inode.write(from.subarray(0, random.below(from.length + 1)), position)
    this.#spend()
    const scripted = script.writesOnly?.(inode.name, from.length)
    if (scripted !== undefined) {
      inode.write(from.subarray(0, scripted), position)
      throw new DiskError('EIO', 'write')
    }
    if (missing > 0 || random.chance(faults.write)) {
      counts.writesFailed += 1
      inode.write(
        from.subarray(0, missing > 0 ? Math.max(0, from.length - missing) : random.below(from.length)),
        position,
      )
      throw new DiskError(missing > 0 ? 'ENOSPC' : 'EIO', 'write')
    }
    const half = from.length >> 1
    inode.write(from.subarray(0, half), position)
    yieldTo('mid-write', inode.name)
    this.#checkAlive()
    inode.write(from.subarray(half), position + half)
  }

  #sync(file: number, yieldTo: Yield): void {
    const inode = this.#file(file)
    const { random, faults, counts, script } = this.disk
    const sync = inode.beginSync()
    yieldTo('mid-sync', inode.name)
    this.#spend()
    if (!random.chance(faults.sync) && script.failsSync?.(inode.name) !== true) {
      inode.endSync(sync)
      return
    }
    counts.syncsFailed += 1
    inode.failSync(sync, random)
    if (random.chance(faults.evict)) this.disk.evict()
    throw new DiskError('EIO', 'fdatasync')
  }
}

/** The one directory of a simulated disk. */
export const simDirectory = '/sim'
