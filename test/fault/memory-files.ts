/**
 * The file-system port over memory: a directory that can be copied in no time, damaged at will and thrown away.
 * Nothing fails here and nothing is lost; `test/sim/disk.ts` is for that.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Files } from '../../src/spool/files.ts'

interface MemoryFile {
  bytes: Buffer
  /** Not to be written in place: other copies of the directory hold it too. */
  isShared: boolean
}

export class MemoryFiles implements Files {
  readonly #names = new Map<string, MemoryFile>()
  readonly #open = new Map<number, MemoryFile>()
  #nextFile = 3

  /** The files of a directory on disk, without its folders. */
  static load(directory: string): MemoryFiles {
    const loaded = new MemoryFiles()
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isFile()) loaded.put(entry.name, readFileSync(join(directory, entry.name)))
    }
    return loaded
  }

  /** The same directory again; neither sees what is done to the other. */
  copy(): MemoryFiles {
    const copy = new MemoryFiles()
    for (const [name, file] of this.#names) copy.put(name, file.bytes)
    return copy
  }

  put(name: string, bytes: Buffer): void {
    this.#names.set(name, { bytes, isShared: true })
  }

  /** The bytes of a file, not to be changed. */
  get(name: string): Buffer {
    return this.#named(name).bytes
  }

  remove(name: string): void {
    this.#names.delete(name)
  }

  open(path: string, how: 'create' | 'write' | 'read'): number {
    const name = basename(path)
    if (how === 'create' && this.#names.has(name)) throw failure('EEXIST', path)
    if (how === 'create') this.#names.set(name, { bytes: Buffer.alloc(0), isShared: false })
    this.#open.set(this.#nextFile, this.#named(name))
    return this.#nextFile++
  }

  openDirectory(): number {
    return this.#nextFile++
  }

  close(file: number): void {
    this.#open.delete(file)
  }

  read(file: number, into: Uint8Array, position: number): number {
    const { bytes } = this.#opened(file)
    return position >= bytes.length ? 0 : bytes.copy(into, 0, position, position + into.length)
  }

  write(file: number, from: Uint8Array, position: number): void {
    const opened = this.#opened(file)
    const end = position + from.length
    if (opened.isShared) opened.bytes = Buffer.from(opened.bytes)
    opened.isShared = false
    if (end > opened.bytes.length) opened.bytes = Buffer.concat([opened.bytes, Buffer.alloc(end - opened.bytes.length)])
    opened.bytes.set(from, position)
  }

  size(file: number): number {
    return this.#opened(file).bytes.length
  }

  sync(): void {}

  syncDirectory(): void {}

  rename(from: string, to: string): void {
    const file = this.#named(basename(from))
    this.#names.delete(basename(from))
    this.#names.set(basename(to), file)
  }

  unlink(path: string): void {
    this.#named(basename(path))
    this.#names.delete(basename(path))
  }

  list(): string[] {
    return [...this.#names.keys()]
  }

  identity(path: string): string {
    return path
  }

  freeBytes(): number {
    return 2 ** 40
  }

  #named(name: string): MemoryFile {
    const file = this.#names.get(name)
    if (file === undefined) throw failure('ENOENT', name)
    return file
  }

  #opened(file: number): MemoryFile {
    const opened = this.#open.get(file)
    if (opened === undefined) throw failure('EBADF', String(file))
    return opened
  }
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
