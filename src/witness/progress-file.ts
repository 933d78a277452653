/**
 * What witnesses have cosigned of a spool's stream, in the file `witnesses` of its directory: durable when `keep` returns. A
 * file that is lost or damaged costs a reading of the spool, and what was not sealed yet; it is never believed in part.
 */

import { exists } from '../spool/files.ts'
import { readWhole, writeWhole } from '../spool/whole-file.ts'
import type { TreeSpool } from './own-tree.ts'
import { Progress } from './progress.ts'

/** A cosignature, as `audit.anchored` holds it. */
export interface Kept {
  /** Name and key id of the witness. */
  readonly name: string
  readonly stream: string
  readonly size: number
  /** Base64. */
  readonly root: string
  /** The signature line. */
  readonly token: string
}

export interface ProgressFile {
  /** As it was when the file was opened. */
  readonly progress: Progress | undefined
  /** `unsealed`: a cosignature that came too late to be sealed in this opening. */
  keep(progress: Progress, unsealed?: Kept): void
  /** What an earlier opening could not seal; once. */
  takeUnsealed(): readonly Kept[]
}

export function openProgressFile({ files, directory }: Pick<TreeSpool, 'files' | 'directory'>): ProgressFile {
  const path = `${directory}/witnesses`
  const { progress, unsealed: found } = exists(path) ? parse(readWhole(files, path).toString('utf8')) : { unsealed: [] }
  let unsealed = found
  return {
    progress,
    takeUnsealed() {
      const taken = unsealed
      unsealed = []
      return taken
    },
    keep(current, late) {
      if (late !== undefined) unsealed = [...unsealed, late]
      const bytes = Buffer.from(`${JSON.stringify({ progress: current.toJson(), unsealed })}\n`)
      const opened = files.openDirectory(directory)
      try {
        writeWhole(files, opened, { path, bytes })
      } finally {
        files.close(opened)
      }
    },
  }
}

function parse(text: string): { readonly progress?: Progress | undefined; readonly unsealed: readonly Kept[] } {
  try {
    const { progress, unsealed } = JSON.parse(text) as { progress?: unknown; unsealed?: unknown }
    return { progress: Progress.fromJson(progress), unsealed: Array.isArray(unsealed) ? unsealed.filter(isKept) : [] }
  } catch {
    return { unsealed: [] }
  }
}

function isKept(value: unknown): value is Kept {
  const { name, stream, size, root, token } = (value ?? {}) as Readonly<Record<string, unknown>>
  return [name, stream, root, token].every((text) => typeof text === 'string') && typeof size === 'number'
}
