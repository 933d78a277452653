/** How closed files and objects are compressed, and their names' endings. */

import { promisify } from 'node:util'
import zlib from 'node:zlib'

export type Compression = 'gzip' | 'zstd' | 'none'

/** What stands behind the name. */
export const suffixes = { gzip: '.gz', zstd: '.zst', none: '' } as const

const gzip = promisify(zlib.gzip)
const gunzip = promisify(zlib.gunzip)
const zstdCompress = promisify(zlib.zstdCompress)
const zstdDecompress = promisify(zlib.zstdDecompress)

export async function compress(bytes: Buffer, compression: Compression): Promise<Buffer> {
  if (compression === 'none') return bytes
  return compression === 'gzip' ? gzip(bytes) : zstdCompress(bytes)
}

/** `undefined` for what is not compressed so, or is more than `bytesMax`. */
export async function decompress(
  bytes: Buffer,
  compression: Compression,
  bytesMax: number,
): Promise<Buffer | undefined> {
  if (compression === 'none') return bytes.length > bytesMax ? undefined : bytes
  const limits = { maxOutputLength: Math.max(1, bytesMax) }
  const content = compression === 'gzip' ? gunzip(bytes, limits) : zstdDecompress(bytes, limits)
  return content.catch(() => undefined) // whatever is wrong with it, it is not what was looked for
}
