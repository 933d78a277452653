/**
 * A directory as a power cut may leave it, made from the calls of a real run (`strace-log.ts`). Sectors that were
 * written and not synced since are old, new, in between, zero or garbage, each on its own; sizes and names that were
 * not synced are old or new. A sync covers the writes that ended before it began, once it has ended without an error.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Random } from './random.ts'
import type { DiskCall } from './strace-log.ts'

const sectorBytes = 512

interface Inode {
  durable: Buffer
  size: number
  pending: { readonly offset: number; readonly bytes: Buffer; readonly ended: number }[]
}

type Names = Map<string, Inode>
interface NameChange {
  readonly ended: number
  readonly apply: (names: Names) => void
}

export class ReplayDisk {
  readonly #directory: string
  readonly #random: Random
  readonly #ignoresSyncs: boolean
  #names: Names = new Map()
  #durableNames: Names = new Map()
  #changes: NameChange[] = []

  constructor(directory: string, random: Random, ignoresSyncs = false) {
    this.#directory = directory
    this.#random = random
    this.#ignoresSyncs = ignoresSyncs
  }

  /** Takes a call in. Syncs must come in the order in which they ended, all else in that in which it began. */
  play(call: DiskCall): void {
    if (call.kind === 'sync-directory' && call.path === this.#directory) this.#syncNames(call)
    if (dirname(call.path) !== this.#directory || basename(call.path) === 'lock' || call.error !== undefined) return
    if (call.kind === 'write' && call.bytes !== undefined) this.#write(call)
    else if (call.kind === 'sync') this.#sync(call)
    else if (call.kind === 'rename') this.#rename(call)
    else if (call.kind === 'unlink') this.#change(call, (names) => names.delete(basename(call.path)))
  }

  /** Writes what is left after a cut now into a fresh directory; the disk itself goes on. */
  cut(into: string): void {
    rmSync(into, { recursive: true, force: true })
    mkdirSync(into, { recursive: true })
    const names: Names = new Map(this.#durableNames)
    for (const change of this.#changes) if (this.#random.chance(0.5)) change.apply(names)
    for (const [name, inode] of names) writeFileSync(join(into, name), this.#settled(inode))
  }

  #write({ path, bytes = Buffer.alloc(0), offset, ended }: DiskCall): void {
    const name = basename(path)
    let inode = this.#names.get(name)
    if (inode === undefined) {
      inode = { durable: Buffer.alloc(0), size: 0, pending: [] }
      const made = inode
      this.#change({ ended }, (names) => names.set(name, made))
    }
    const at = offset ?? inode.size
    inode.pending.push({ offset: at, bytes, ended })
    inode.size = Math.max(inode.size, at + bytes.length)
  }

  #sync({ path, began, ended }: DiskCall): void {
    const inode = this.#names.get(basename(path))
    if (inode === undefined || this.#ignoresSyncs || ended === Number.POSITIVE_INFINITY) return
    for (const write of inode.pending.filter((one) => one.ended < began)) inode.durable = written(inode.durable, write)
    inode.pending = inode.pending.filter((one) => one.ended >= began)
  }

  #rename(call: DiskCall): void {
    const [from, to] = [basename(call.path), basename(call.to ?? '')]
    const inode = this.#names.get(from)
    if (inode === undefined) return
    this.#change(call, (names) => {
      names.delete(from)
      names.set(to, inode)
    })
  }

  #change({ ended }: { ended: number }, apply: NameChange['apply']): void {
    apply(this.#names)
    this.#changes.push({ ended, apply })
  }

  #syncNames({ began, ended, error }: DiskCall): void {
    if (this.#ignoresSyncs || error !== undefined || ended === Number.POSITIVE_INFINITY) return
    for (const change of this.#changes) if (change.ended < began) change.apply(this.#durableNames)
    this.#changes = this.#changes.filter((change) => change.ended >= began)
  }

  #settled(inode: Inode): Buffer {
    const { durable, pending } = inode
    const cached = pending.reduce(written, durable)
    const bytes = Buffer.alloc(cached.length)
    durable.copy(bytes)
    const sectors = new Set(pending.flatMap(({ offset, bytes }) => sectorsOf(offset, bytes.length)))
    for (const sector of sectors) this.#settleSector(bytes, sector, pending)
    const sizes = [durable.length, cached.length]
    return bytes.subarray(0, sizes[this.#random.below(2)])
  }

  #settleSector(bytes: Buffer, sector: number, pending: Inode['pending']): void {
    const [from, to] = [sector * sectorBytes, Math.min((sector + 1) * sectorBytes, bytes.length)]
    const fate = this.#random.below(8)
    if (fate < 2) return // as it was
    if (fate === 2) bytes.fill(0, from, to)
    else if (fate === 3) for (let at = from; at < to; at += 1) bytes[at] = this.#random.below(256)
    else {
      const writes = pending.filter(({ offset, bytes }) => offset < to && offset + bytes.length > from)
      const count = fate === 4 ? 1 + this.#random.below(writes.length) : writes.length
      const after = writes.slice(0, count).reduce(written, Buffer.from(bytes.subarray(0, to)))
      after.copy(bytes, from, from, to)
    }
  }
}

/** The bytes with a write in them. */
function written(into: Buffer, write: { readonly offset: number; readonly bytes: Buffer }): Buffer {
  const grown = Buffer.alloc(Math.max(into.length, write.offset + write.bytes.length))
  into.copy(grown)
  write.bytes.copy(grown, write.offset)
  return grown
}

function sectorsOf(offset: number, length: number): number[] {
  const sectors: number[] = []
  for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < offset + length; sector += 1)
    sectors.push(sector)
  return sectors
}
