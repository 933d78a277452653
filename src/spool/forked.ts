/**
 * Where records lie that a destination refused because it holds others of their stream: `quarantine/forked/NAME/` of
 * the spool directory, a file a run. The files' names say enough to know which they are; what is in them is
 * delivery's (`forward/quarantine-folder.ts`).
 */

import { join } from 'node:path'
import { encodeName } from './cursor.ts'
import type { Files } from './files.ts'

/** A run of records, and whether that it was set aside is sealed in the trail. */
export interface ForkedFile {
  readonly stream: string
  readonly from: number
  readonly to: number
  /** Leaf hash of the last record. */
  readonly hash: string
  readonly isSealed: boolean
}

const namePattern = /^(?<stream>.+)-(?<from>\d+)-(?<to>\d+)-(?<hash>[0-9a-f]{64})(?<unsealed>\.unsealed)?\.ndjson$/

export function forkedFileName({ stream, from, to, hash, isSealed }: ForkedFile): string {
  return `${stream}-${from}-${to}-${hash}${isSealed ? '' : '.unsealed'}.ndjson`
}

/** The runs that a folder holds; what has another name is not ours. */
export function listForkedFiles(files: Files, folder: string): ForkedFile[] {
  return files.list(folder).flatMap((name) => {
    const { stream, from, to, hash, unsealed } = namePattern.exec(name)?.groups ?? {}
    if (stream === undefined || hash === undefined) return []
    return [{ stream, from: Number(from), to: Number(to), hash, isSealed: unsealed === undefined }]
  })
}

/** The folder of the destination with this name; never out of the quarantine. */
export function forkedFolder(directory: string, destination: string): string {
  const encoded = encodeName(destination)
  return join(directory, 'quarantine', 'forked', /^\.+$/.test(encoded) ? encoded.replaceAll('.', '%2E') : encoded)
}

/** Every folder that is there. */
export function forkedFolders(files: Files, directory: string): string[] {
  if (!files.list(directory).includes('quarantine')) return []
  const quarantine = join(directory, 'quarantine')
  if (!files.list(quarantine).includes('forked')) return []
  const forked = join(quarantine, 'forked')
  return files.list(forked).map((name) => join(forked, name))
}

/** Whether a destination has refused records of this stream: sealed in it, nothing would ever arrive there. */
export function isForked(files: Files, directory: string, stream: string): boolean {
  return forkedFolders(files, directory).some((folder) =>
    listForkedFiles(files, folder).some((file) => file.stream === stream),
  )
}
