/**
 * NDJSON files as they lie on a disk: compressed or not, alone or closed one after the other. Finds which files belong
 * together and reads their bytes, decompressed as they stream; never writes. What cannot be read is `AuditError`
 * SOURCE_UNREADABLE.
 */

import { createReadStream, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { AuditError, errorText } from '../errors.ts'

const chunkBytes = 256 * 1_024
const magicBytes = 4

/**
 * The files that `path` was closed into, oldest first, and itself: `audit.ndjson.000001.gz`, …, `audit.ndjson`. With six
 * digits and more the numbers rise, as the file destination counts; with fewer they fall, as logrotate counts.
 */
export function seriesOf(path: string): string[] {
  const name = basename(path)
  const closed = new Map<number, string>()
  let isThere = false
  for (const each of readdirSync(dirname(path))) {
    isThere ||= each === name
    const [, digits, suffix] = each.startsWith(`${name}.`)
      ? (/^\.(\d+)(\.gz|\.zst)?$/.exec(each.slice(name.length)) ?? [])
      : []
    if (digits === undefined) continue
    const order = digits.length >= 6 ? Number(digits) : -Number(digits)
    // Compressed beside plain: the same records, and the plain one was about to go.
    if (suffix !== undefined || !closed.has(order)) closed.set(order, join(dirname(path), each))
  }
  const files = [...closed].sort(([a], [b]) => a - b).map(([, file]) => file)
  return isThere ? [...files, path] : files
}

/** The NDJSON files of a directory, each once however many it was closed into. */
export function filesIn(directory: string): string[] {
  const names = readdirSync(directory).flatMap((name) => {
    const [, base, number, suffix = ''] = /^(.+\.(?:ndjson|jsonl))(\.\d+)?(\.gz|\.zst)?$/.exec(name) ?? []
    return base === undefined ? [] : [number === undefined ? `${base}${suffix}` : base]
  })
  return [...new Set(names)].sort().map((name) => join(directory, name))
}

/** The bytes of a file, decompressed. */
export function readFile(path: string): AsyncGenerator<Buffer> {
  return readBytes(path, createReadStream(path, { highWaterMark: chunkBytes }))
}

/** The bytes of standard input, decompressed. */
export function readStandardInput(name: string): AsyncGenerator<Buffer> {
  return readBytes(name, createReadStream('', { highWaterMark: chunkBytes, fd: 0, autoClose: false }))
}

/** What a stream gives, decompressed. */
export async function* readBytes(name: string, stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let compression: string | undefined
  try {
    const { head, chunks } = await readHead(stream)
    compression = compressionOf(head)
    if (compression === undefined) yield* chunks
    else {
      const decompress = compression === 'gzip' ? createGunzip() : createZstdDecompress()
      yield* pipeline(Readable.from(chunks), decompress, () => {}) // whoever iterates hears of a failure
    }
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    const reason =
      compression === undefined ? errorText(cause) : `as ${compression} it is not whole (${errorText(cause)})`
    throw unreadable(name, [reason, 'the reading broke off: copy the source first, or try again'], cause)
  }
}

/** The first bytes, and all of them: what a pipe gives first may be less than a magic number. */
async function readHead(stream: AsyncIterable<Buffer>): Promise<{ head: Buffer; chunks: AsyncIterable<Buffer> }> {
  const iterator = stream[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  while (head.length < magicBytes) {
    const { value, done } = await iterator.next()
    if (done) break
    head = head.length === 0 ? value : Buffer.concat([head, value])
  }
  const chunks = async function* (): AsyncGenerator<Buffer> {
    try {
      // Within: whoever only looks at the head ends the reading here, and the file is closed.
      if (head.length > 0) yield head
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  return { head, chunks: chunks() }
}

function compressionOf(head: Buffer): 'gzip' | 'zstd' | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  return head.subarray(0, magicBytes).equals(Buffer.of(0x28, 0xb5, 0x2f, 0xfd)) ? 'zstd' : undefined
}

/** `[reason, hint]` and the cause. */
export function unreadable(name: string, [reason, hint]: readonly [string, string], cause?: unknown): AuditError {
  return new AuditError('SOURCE_UNREADABLE', `${name}: ${reason}`, { setting: 'SOURCE', hint, cause })
}
