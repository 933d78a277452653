/**
 * The records of a database, read by stream and sequence. The bytes of `record` are what is verified; every other
 * column is derived from them and compared. The stream heads, read first, say how far each stream must reach. A
 * database promises no order of its own, so order is no finding. Nothing is written, and no snapshot is held.
 */

import { AuditError, errorCode, errorText } from '../../errors.ts'
import type { RecordMembers } from '../../event/record.ts'
import { type Connection, type CopyingConnection, createConnection } from '../../postgres/client.ts'
import { readDigestsBetween, readStoredDigests, seesDigests } from '../../postgres/disclosures.ts'
import { compareColumns, isStreamId, type ProjectedRecord } from '../../postgres/projection.ts'
import { placeOfId, readHeads } from '../../postgres/records.ts'
import { readPrunedRanges } from '../../postgres/retention-ranges.ts'
import { type CopiedRow, type RowPage, readRowPages } from '../../postgres/row-pages.ts'
import type { FoundRecord, NearRecords, Place, ProjectionMismatch, Source } from '../source.ts'

/** In the bytes of every record that commits to something, and of few others. */
const commitmentsMark = '"commitments":'

type Connect = (options: { readonly url: string }) => CopyingConnection

/** `connect` prepares the connection that each reading opens and drops. */
export function createPostgresSource(url: string, connect: Connect = createConnection): Source {
  const name = withoutPassword(url)
  const connected = <Result>(use: (connection: CopyingConnection) => Promise<Result>): Promise<Result> =>
    withDropped(connect({ url }), name, use)
  return {
    kind: 'postgres',
    name,
    ordered: false,
    beginsLater: false,
    locate: (position) => `row ${position}`,
    readHeads: () => connected(readHeads),
    readPruned: () => connected(readPrunedRanges),
    readDisclosed: (digests) => connected((connection) => readStoredDigests(connection, digests)),
    find: (id) => connected((connection) => placeOfId(connection, id)),
    readNear: (wanted) => connected((connection) => readNear(connection, wanted)),
    during: (use) => connected((connection) => use(createPostgresSource(url, () => lend(connection)))),
    async *read() {
      const connection = connect({ url })
      try {
        await connection.open()
        yield* readGroups(connection)
      } catch (cause) {
        throw unreadable(name, cause)
      } finally {
        connection.destroy()
      }
    },
  }
}

/** The connection, for somebody who opens and drops one of his own. */
function lend(connection: CopyingConnection): CopyingConnection {
  return { ...connection, open: async () => {}, end: async () => {}, destroy: () => {} }
}

async function readNear(
  connection: CopyingConnection,
  wanted: NearRecords,
): Promise<readonly FoundRecord[] | undefined> {
  const { sequence, records } = wanted
  const [first, ...others] = wanted.stream === undefined ? await readHeads(connection) : []
  const stream = wanted.stream ?? (others.length === 0 ? first?.stream : undefined)
  if (stream === undefined || !isStreamId(stream)) return undefined
  const found: FoundRecord[] = []
  const only = { stream, behind: Math.max(0, sequence - records - 1), to: sequence + records }
  for await (const { rows } of readRowPages(connection, { only }))
    for (const row of rows) found.push(foundIn(row, { stream, sequence: row.sequence }, found.length + 1))
  return found
}

async function* readGroups(connection: CopyingConnection): AsyncGenerator<readonly FoundRecord[]> {
  const isDisclosing = await seesDigests(connection)
  let position = 0
  for await (const page of readRowPages(connection)) {
    const { stream } = page
    const group = page.rows.map((row) => foundIn(row, { stream, sequence: row.sequence }, ++position))
    yield isDisclosing ? await withDigests(connection, page, group) : group
  }
}

/** With each record the digests of what is disclosed of it: what it commits to may not be disclosed, and the other way. */
async function withDigests(
  connection: Connection,
  page: RowPage,
  group: readonly FoundRecord[],
): Promise<readonly FoundRecord[]> {
  const digests = await readDigestsBetween(connection, page)
  if (digests.size === 0 && !group.some(commits)) return group
  return group.map((record) => {
    const disclosed = digests.get(record.place?.sequence ?? 0)
    return disclosed === undefined && !commits(record) ? record : { ...record, disclosed: disclosed ?? [] }
  })
}

function commits({ bytes }: FoundRecord): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(commitmentsMark)
}

/** What agrees in every column needs no comparison any more. */
function foundIn({ bytes, leaf, stored }: CopiedRow, place: Place, position: number): FoundRecord {
  return stored === undefined ? { bytes, leaf, position, place } : toFoundRecord(stored, position)
}

function toFoundRecord(row: ProjectedRecord, position: number): FoundRecord {
  const { bytes, stream, sequence } = row
  return {
    bytes,
    position,
    place: { stream, sequence },
    checkProjection: (members) => keyMismatch(row, members) ?? columnMismatch(row),
  }
}

/** The row's key against the record's own stream and number. */
function keyMismatch(row: ProjectedRecord, { stream, seq }: RecordMembers): ProjectionMismatch | undefined {
  if (row.stream !== stream) return { name: 'stream', expected: stream ?? '', found: row.stream }
  return row.sequence === seq ? undefined : { name: 'seq', expected: String(seq), found: String(row.sequence) }
}

function columnMismatch(row: ProjectedRecord): ProjectionMismatch | undefined {
  const [first] = compareColumns(row)
  return first && { name: first.column, expected: first.expected ?? '', found: first.found ?? '' }
}

async function withDropped<Result>(
  connection: CopyingConnection,
  name: string,
  use: (connection: CopyingConnection) => Promise<Result>,
): Promise<Result> {
  try {
    await connection.open()
    return await use(connection)
  } catch (cause) {
    throw unreadable(name, cause)
  } finally {
    connection.destroy()
  }
}

const undefinedTable = '42P01'
const undefinedSchema = '3F000'

function unreadable(name: string, cause: unknown): AuditError {
  if (cause instanceof AuditError && cause.code === 'SOURCE_UNREADABLE') return cause
  const code = errorCode(cause)
  const hasNoTables = code === undefinedTable || code === undefinedSchema
  const reason = hasNoTables ? 'the database holds no audit.record table' : errorText(cause)
  const hint = hasNoTables
    ? 'name the database that the trail is delivered to'
    : 'check the URL, and that this user may read schema audit'
  return new AuditError('SOURCE_UNREADABLE', `${name}: ${reason}`, { setting: 'SOURCE', hint, cause })
}

/** The URL as it may be printed. */
function withoutPassword(url: string): string {
  try {
    const shown = new URL(url)
    shown.password = ''
    shown.search = ''
    return shown.href
  } catch {
    return 'postgres://…'
  }
}
