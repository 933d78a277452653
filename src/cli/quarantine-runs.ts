/** The runs of records in a spool's quarantine, as the commands of `quarantine` name and find them. */

import { AuditError } from '../errors.ts'
import { type QuarantinedLine, readRun } from '../forward/quarantine-folder.ts'
import { type QuarantinedRun, readAnswer, readRequest } from '../forward/resolution-request.ts'
import { diskFiles } from '../spool/files.ts'
import { listSetAside, type SetAsideKind, setAsideFolders, setAsideKinds, setAsidePath } from '../spool/set-aside.ts'
import { readWhole } from '../spool/whole-file.ts'

/** Shortest part of a hash that names a run. */
const idLengthMin = 6
const idLength = 12

/** A run of records of one stream that a destination refused. */
export interface QuarantineRun {
  /** First digits of the last record's hash; every command takes it, or more of the hash. */
  readonly id: string
  /** `poison`: refused by itself. `forked`: the destination holds other records in their place. */
  readonly kind: SetAsideKind
  readonly destination: string
  readonly stream: string
  /** Sequences of the first and the last record. */
  readonly from: number
  readonly to: number
  /** Leaf hash of the last record, 64 hex digits. */
  readonly hash: string
  /** What the destination said. */
  readonly reason: string
  /** When it was set aside: RFC 3339. */
  readonly quarantined: string
  /** Whether the trail says that it was set aside. */
  readonly sealed: boolean
  /** What an operator has asked for and delivery has not done yet. */
  readonly asked?: 'retry' | 'discard'
  /** Why the last retry was refused. */
  readonly refused?: string
  /** The spool in whose quarantine it lies. */
  readonly spool: string
}

export interface FoundRun {
  readonly run: QuarantineRun
  readonly place: QuarantinedRun
}

/** Every run of these spools, oldest first. */
export function findRuns(spools: readonly string[]): FoundRun[] {
  const found = spools.flatMap((spool) => setAsideKinds.flatMap((kind) => runsOf(spool, kind)))
  return found.sort((one, other) => (one.run.quarantined < other.run.quarantined ? -1 : 1))
}

/** The runs that these ids name; `INVALID_OPTION` for one that names none, or several. */
export function pickRuns(found: readonly FoundRun[], ids: readonly string[]): FoundRun[] {
  return ids.map((id) => {
    const named = found.filter(({ run }) => id.length >= idLengthMin && run.hash.startsWith(id.toLowerCase()))
    const [first] = named
    if (first !== undefined && named.length === 1) return first
    const message = first === undefined ? `no run is named ${id}` : `${id} names ${named.length} runs`
    const hint = 'otel-audit quarantine list DIR prints the ids; the first digits of one do, six or more.'
    throw new AuditError('INVALID_OPTION', message, { setting: 'ID', hint })
  })
}

/** The lines of a run; none where the disk has damaged its file. */
export function linesOf(place: QuarantinedRun): QuarantinedLine[] {
  try {
    return readRun(readWhole(diskFiles, setAsidePath(place.folder, place.run)))
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
}

function runsOf(spool: string, kind: SetAsideKind): FoundRun[] {
  return setAsideFolders(diskFiles, spool, kind).flatMap(({ path, destination }) =>
    listSetAside(diskFiles, path).map((run) => {
      const place = { folder: path, run }
      const { stream, from, to, hash, isSealed: sealed } = run
      const { reason = 'unreadable', quarantined = '' } = linesOf(place)[0] ?? {}
      const asked = readRequest(diskFiles, place)?.resolution
      const refused = readAnswer(diskFiles, place)?.reason
      const about = { ...(asked && { asked }), ...(refused && { refused }) }
      const names = { id: hash.slice(0, idLength), kind, destination, stream, from, to, hash }
      return { place, run: { ...names, reason, quarantined, sealed, ...about, spool } }
    }),
  )
}
