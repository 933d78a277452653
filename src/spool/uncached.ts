/**
 * Files read past the page cache (O_DIRECT), for the scrub: rot is on the disk, not in memory, and a walk through the
 * whole spool must not push out what the application has cached. Where platform or file system cannot do it, files are
 * read as usual. Nothing else may be opened through here: reading makes the kernel write out what is dirty.
 */

import * as fs from 'node:fs'
import { errorCode } from '../errors.ts'
import { diskFiles, type Files } from './files.ts'

/** What O_DIRECT asks of offset, length and memory; enough for every block size in use. */
const blockBytes = 4_096
const bouncePages = 5 // of 64 KiB: a piece of the scrub, and what its ends add

/** Its memory begins at a page, where O_DIRECT wants it; a Buffer begins anywhere. */
declare const WebAssembly: { readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } }

const direct = new Set<number>()
let aligned: Uint8Array | undefined

export const uncachedFiles: Files = {
  ...diskFiles,

  open(path, how) {
    return (how === 'read' ? openDirect(path) : undefined) ?? diskFiles.open(path, how)
  },

  read(file, into, position) {
    if (!direct.has(file)) return diskFiles.read(file, into, position)
    let done = 0
    while (done < into.length) {
      const count = readBlocks(file, into.subarray(done), position + done)
      if (count === 0) break
      done += count
    }
    return done
  },

  close(file) {
    direct.delete(file)
    diskFiles.close(file)
  },
}

/** Whether reads of this open file pass the page cache. */
export function isUncached(file: number): boolean {
  return direct.has(file)
}

/** `undefined` where this file cannot be read so. What the disk refuses for other reasons is thrown. */
function openDirect(path: string): number | undefined {
  const flag: number | undefined = fs.constants.O_DIRECT
  if (flag === undefined) return undefined // not on macOS
  let file: number | undefined
  try {
    file = fs.openSync(path, fs.constants.O_RDONLY | flag)
    readBlocks(file, new Uint8Array(1), 0)
    direct.add(file)
    return file
  } catch (error) {
    if (file !== undefined) fs.closeSync(file)
    const isImpossible = errorCode(error) === 'EINVAL' || error instanceof RangeError // no such memory
    if (isImpossible) return undefined
    throw error
  }
}

/** At most what fits into the aligned memory; 0 at the end of the file. */
function readBlocks(file: number, into: Uint8Array, position: number): number {
  aligned ??= new Uint8Array(new WebAssembly.Memory({ initial: bouncePages }).buffer)
  const skipped = position % blockBytes
  const wanted = Math.min(aligned.length, Math.ceil((skipped + into.length) / blockBytes) * blockBytes)
  const count = fs.readSync(file, aligned, 0, wanted, position - skipped)
  const found = aligned.subarray(skipped, Math.max(skipped, Math.min(count, skipped + into.length)))
  into.set(found)
  return found.length
}
