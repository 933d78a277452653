/**
 * The runs of refused records as the commands of `quarantine` name and find them, in a spool directory or in the journal
 * of a database. What an operator wants is left beside the records; whoever delivers does it.
 */

import { AuditError, errorText } from '../errors.ts'
import { type QuarantinedLine, readRun } from '../forward/quarantine-folder.ts'
import {
  type QuarantinedRun,
  type ResolutionRequest,
  readAnswer,
  readRequest,
  writeRequest,
} from '../forward/resolution-request.ts'
import { type Connection, withConnection } from '../postgres/client.ts'
import { askResolution, listQuarantined, type QuarantinedRecord, readQuarantined } from '../postgres/quarantine.ts'
import { diskFiles, exists } from '../spool/files.ts'
import { listSetAside, type SetAsideKind, setAsideFolders, setAsideKinds, setAsidePath } from '../spool/set-aside.ts'
import { readWhole } from '../spool/whole-file.ts'
import { readDirectories, refuseFurther } from './spool-arguments.ts'

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
  /** The spool in whose quarantine it lies; absent in the journal of a database. */
  readonly spool?: string
}

/** A run, and what can be done with it where it lies. */
export interface FoundRun {
  readonly run: QuarantineRun
  /** Its records. */
  lines(): readonly QuarantinedLine[]
  /** Leaves word for whoever delivers; durable on return. */
  ask(request: ResolutionRequest): Promise<void>
  /** What has become of that: it has `gone`, it `waits`, or it was refused again. */
  look(): Promise<'gone' | 'waits' | { readonly refused: string }>
}

/** Where the runs are: `DIR` of the arguments, or `--postgres`. */
export interface QuarantineAddress {
  readonly positionals: readonly string[]
  readonly postgres: string | undefined
}

/**
 * Hands every run there, oldest first, and the ids of the arguments to `use`. Throws `INVALID_OPTION` where no place is
 * named, `SOURCE_UNREADABLE` for one that cannot be read.
 */
export async function withRuns<Result>(
  { positionals, postgres }: QuarantineAddress,
  use: (found: readonly FoundRun[], ids: readonly string[]) => Promise<Result>,
): Promise<Result> {
  const [directory, ...ids] = positionals
  if (postgres === undefined) return use(runsInSpools(readDirectories(directory)), ids)
  return inDatabase(postgres, async (connection) => {
    const records = await listQuarantined(connection)
    return use(
      records.map((record) => runInJournal(connection, record)),
      positionals,
    )
  })
}

/** As `withRuns`, for a command that takes no ids. */
export async function withAllRuns<Result>(
  address: QuarantineAddress,
  use: (found: readonly FoundRun[]) => Promise<Result>,
): Promise<Result> {
  refuseFurther(address.positionals.slice(address.postgres === undefined ? 1 : 0))
  return withRuns(address, use)
}

/** The runs that these ids name; `INVALID_OPTION` for one that names none, or several. */
export function pickRuns(found: readonly FoundRun[], ids: readonly string[]): FoundRun[] {
  return ids.map((id) => {
    const named = found.filter(({ run }) => id.length >= idLengthMin && run.hash.startsWith(id.toLowerCase()))
    const [first] = named
    if (first !== undefined && named.length === 1) return first
    const message = first === undefined ? `no run is named ${id}` : `${id} names ${named.length} runs`
    const hint = 'otel-audit quarantine list prints the ids; the first digits of one do, six or more.'
    throw new AuditError('INVALID_OPTION', message, { setting: 'ID', hint })
  })
}

async function inDatabase<Result>(url: string, use: (connection: Connection) => Promise<Result>): Promise<Result> {
  try {
    return await withConnection({ url }, use)
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('SOURCE_UNREADABLE', `the quarantine of the database cannot be used: ${errorText(cause)}`, {
      setting: '--postgres',
      hint: 'Check that the server runs, the URL, the rights (audit_relay, or audit_reader to look), and that `otel-audit migrate up` has been run there.',
      cause,
    })
  }
}

/** One record is a run there. */
function runInJournal(connection: Connection, record: QuarantinedRecord): FoundRun {
  const { destination, stream, sequence, hash, reason, quarantined, isSealed: sealed, asked, refused } = record
  const place = { destination, stream, from: sequence, to: sequence, hash }
  const about = { ...(asked && { asked }), ...(refused && { refused }) }
  const line = { destination, stream, seq: sequence, hash, reason, quarantined, record: record.record.toString() }
  return {
    run: { id: hash.slice(0, idLength), kind: 'poison', ...place, reason, quarantined, sealed, ...about },
    lines: () => [line],
    ask: async ({ resolution, operator, why }) => {
      await askResolution(connection, record, { resolution, operator, why })
    },
    look: async () => {
      const now = await readQuarantined(connection, record)
      if (now === undefined) return 'gone'
      return now.refused === undefined ? 'waits' : { refused: now.refused }
    },
  }
}

function runsInSpools(spools: readonly string[]): FoundRun[] {
  const found = spools.flatMap((spool) => setAsideKinds.flatMap((kind) => runsOf(spool, kind)))
  return found.sort((one, other) => (one.run.quarantined < other.run.quarantined ? -1 : 1))
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
      return {
        run: { ...names, reason, quarantined, sealed, ...about, spool },
        lines: () => linesOf(place),
        ask: async (request: ResolutionRequest) => writeRequest(diskFiles, place, request),
        look: async () => lookAt(place),
      }
    }),
  )
}

function lookAt(place: QuarantinedRun): Awaited<ReturnType<FoundRun['look']>> {
  const refused = readAnswer(diskFiles, place)?.reason
  if (refused !== undefined) return { refused }
  const names = [true, false].map((isSealed) => setAsidePath(place.folder, { ...place.run, isSealed }))
  return names.some(exists) ? 'waits' : 'gone'
}

/** The lines of a run; none where the disk has damaged its file. */
function linesOf(place: QuarantinedRun): QuarantinedLine[] {
  try {
    return readRun(readWhole(diskFiles, setAsidePath(place.folder, place.run)))
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
}
