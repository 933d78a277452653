/**
 * Where records lie that a destination refused for ever: `quarantine/KIND/NAME/` of the spool directory, a file a run.
 * `forked`: the destination holds others of their stream. `poison`: it refuses the record by itself. The files' names
 * say enough to know which they are; what is in them is delivery's (`forward/quarantine-folder.ts`).
 */

import { join } from 'node:path'
import { encodeName } from './cursor.ts'
import type { Files } from './files.ts'

export const setAsideKinds = ['forked', 'poison'] as const
export type SetAsideKind = (typeof setAsideKinds)[number]

/** A run of records, and whether that it was set aside is sealed in the trail. */
export interface SetAsideFile {
  readonly stream: string
  readonly from: number
  readonly to: number
  /** Leaf hash of the last record. */
  readonly hash: string
  readonly isSealed: boolean
}

const namePattern = /^(?<stream>.+)-(?<from>\d+)-(?<to>\d+)-(?<hash>[0-9a-f]{64})(?<unsealed>\.unsealed)?\.ndjson$/

export function setAsideFileName({ stream, from, to, hash, isSealed }: SetAsideFile): string {
  return `${stream}-${from}-${to}-${hash}${isSealed ? '' : '.unsealed'}.ndjson`
}

export function setAsidePath(folder: string, run: SetAsideFile): string {
  return join(folder, setAsideFileName(run))
}

/** The runs that a folder holds; what has another name is not ours. */
export function listSetAside(files: Files, folder: string): SetAsideFile[] {
  return files.list(folder).flatMap((name) => {
    const { stream, from, to, hash, unsealed } = namePattern.exec(name)?.groups ?? {}
    if (stream === undefined || hash === undefined) return []
    return [{ stream, from: Number(from), to: Number(to), hash, isSealed: unsealed === undefined }]
  })
}

/** The folder of the destination with this name; never out of the quarantine. */
export function setAsideFolder(directory: string, kind: SetAsideKind, destination: string): string {
  const encoded = encodeName(destination)
  return join(directory, 'quarantine', kind, /^\.+$/.test(encoded) ? encoded.replaceAll('.', '%2E') : encoded)
}

/** A folder that is there, and whose it is. */
export interface SetAsideFolder {
  readonly path: string
  readonly kind: SetAsideKind
  readonly destination: string
}

/** Every folder of a kind that is there. */
export function setAsideFolders(files: Files, directory: string, kind: SetAsideKind): SetAsideFolder[] {
  if (!files.list(directory).includes('quarantine')) return []
  const quarantine = join(directory, 'quarantine')
  if (!files.list(quarantine).includes(kind)) return []
  const folders = join(quarantine, kind)
  return files.list(folders).map((name) => ({ path: join(folders, name), kind, destination: decodeURIComponent(name) }))
}

/** Whether a destination holds other records of this stream: sealed in it, nothing would ever arrive there. */
export function isForked(files: Files, directory: string, stream: string): boolean {
  return setAsideFolders(files, directory, 'forked').some(({ path }) =>
    listSetAside(files, path).some((file) => file.stream === stream),
  )
}
