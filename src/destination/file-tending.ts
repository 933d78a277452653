/**
 * What becomes of closed files while records go on being written: they are compressed, and, where `maxBackups` says so,
 * the oldest are deleted. Always holds: a plain file goes only after its compressed form was synced, read back and found
 * equal; a file is deleted only after the trail says so durably. Whatever fails here is tried again when the next file
 * is closed or the destination is opened: until then there is merely more on the disk.
 */

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'
import type { Compression } from './compression.ts'
import type { DestinationHost } from './destination.ts'
import { describeDeleted } from './file-ranges.ts'
import {
  type ClosedFile,
  compressedName,
  listClosed,
  readClosed,
  removeLeftovers,
  syncDirectory,
} from './file-series.ts'

export interface TendingOptions {
  /** Of the destination, for the trail. */
  readonly name: string
  readonly compression: Compression
  /** How many closed files stay; 0: all of them. */
  readonly maxBackups: number
  /** Without one nothing is deleted. */
  readonly host: DestinationHost | undefined
}

export class FileTending {
  readonly #options: TendingOptions
  readonly #ending = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(options: TendingOptions) {
    this.#options = options
  }

  /** Looks after the closed files of `path`, behind whatever is being done already. */
  begin(path: string): void {
    this.#running = this.#running.then(() => this.#tend(path))
  }

  /** Resolves when nothing is being done. */
  settled(): Promise<void> {
    return this.#running
  }

  /** Leaves a file that is being compressed as it is. */
  async close(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #tend(path: string): Promise<void> {
    const { compression } = this.#options
    try {
      removeLeftovers(path)
      const plain = listClosed(path).filter((closed) => closed.compression === 'none')
      // One after the other: the records being written are to keep most of the machine.
      if (compression !== 'none') for (const closed of plain) await this.#compress(closed, compression)
      await this.#deleteOldest(path)
    } catch {
      // A disk that fails here fails the records too, which is said; nothing is lost by waiting.
    }
  }

  async #compress(closed: ClosedFile, compression: Exclude<Compression, 'none'>): Promise<void> {
    const { signal } = this.#ending
    const target = compressedName(closed, compression)
    const half = `${target}.tmp`
    const digest = createHash('sha256')
    const compress = compression === 'gzip' ? zlib.createGzip() : zlib.createZstdCompress()
    const output = fs.createWriteStream(half, { flags: 'wx', mode: 0o600, flush: true })
    try {
      await pipeline(readClosed(closed), (chunks) => hashed(chunks, digest), compress, output, { signal })
      if ((await digestOf({ ...closed, path: half, compression })) !== digest.digest('hex'))
        throw new Error(`${half} does not hold what was written`)
    } catch (thrown) {
      fs.rmSync(half, { force: true })
      throw thrown
    }
    fs.renameSync(half, target)
    syncDirectory(target)
    fs.unlinkSync(closed.path)
    syncDirectory(target)
  }

  async #deleteOldest(path: string): Promise<void> {
    const { maxBackups, host, name } = this.#options
    if (maxBackups === 0 || host === undefined) return
    for (const closed of listClosed(path).slice(0, -maxBackups)) {
      const details = {
        destination: name,
        file: basename(closed.path),
        ...(await describeDeleted(linesOf(readClosed(closed)), name)),
      }
      const isSealed = await host.seal({ type: 'audit.file.deleted', details }, this.#ending.signal)
      if (!isSealed) return
      fs.unlinkSync(closed.path)
      syncDirectory(closed.path)
    }
  }
}

async function* hashed(chunks: AsyncIterable<Buffer>, digest: ReturnType<typeof createHash>) {
  for await (const chunk of chunks) {
    digest.update(chunk)
    yield chunk
  }
}

async function digestOf(closed: ClosedFile): Promise<string> {
  const digest = createHash('sha256')
  for await (const chunk of readClosed(closed)) digest.update(chunk)
  return digest.digest('hex')
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = text.indexOf(0x0a); end !== -1; end = text.indexOf(0x0a, start)) {
      yield text.subarray(start, end)
      start = end + 1
    }
    rest = Buffer.from(text.subarray(start))
  }
}
