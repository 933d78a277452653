/**
 * The records of a database, read by stream and sequence. The bytes of `record` are what is verified; every other
 * column is derived from them and compared. The stream heads, read first, say how far each stream must reach. A
 * database promises no order of its own, so order is no finding. Nothing is written, and no snapshot is held.
 */

import { AuditError, errorCode, errorText } from '../../errors.ts'
import type { RecordMembers } from '../../event/record.ts'
import { type Connection, createConnection } from '../../postgres/client.ts'
import { readDigests, readStoredDigests, seesDigests } from '../../postgres/disclosures.ts'
import { compareColumns, type ProjectedRecord } from '../../postgres/projection.ts'
import { placeOfId, readHeads, readRecords } from '../../postgres/records.ts'
import { readPrunedRanges } from '../../postgres/retention-ranges.ts'
import type { FoundRecord, NearRecords, ProjectionMismatch, Source } from '../source.ts'

const groupRecords = 500
/** In the bytes of every record that commits to something, and of few others. */
const commitmentsMark = '"commitments":'

type Connect = (options: { readonly url: string }) => Connection

/** `connect` prepares the connection that each reading opens and drops. */
export function createPostgresSource(url: string, connect: Connect = createConnection): Source {
  const name = withoutPassword(url)
  const connected = <Result>(use: (connection: Connection) => Promise<Result>): Promise<Result> =>
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

async function readNear(connection: Connection, wanted: NearRecords): Promise<FoundRecord[] | undefined> {
  const { sequence, records } = wanted
  const [only, ...others] = wanted.stream === undefined ? await readHeads(connection) : []
  const stream = wanted.stream ?? (others.length === 0 ? only?.stream : undefined)
  if (stream === undefined) return undefined
  const found: FoundRecord[] = []
  const behind = Math.max(0, sequence - records - 1)
  for await (const row of readRecords(connection, { stream, behind, pageRecords: 2 * records + 1 })) {
    if (row.sequence > sequence + records) break
    found.push(toFoundRecord(row, found.length + 1))
  }
  return found
}

async function* readGroups(connection: Connection): AsyncGenerator<FoundRecord[]> {
  const isDisclosing = await seesDigests(connection)
  let group: FoundRecord[] = []
  let position = 0
  for await (const row of readRecords(connection)) {
    position += 1
    group.push(toFoundRecord(row, position))
    if (group.length < groupRecords) continue
    yield isDisclosing ? await withDigests(connection, group) : group
    group = []
  }
  yield isDisclosing ? await withDigests(connection, group) : group
}

/** With each record the digests of what is disclosed of it: what it commits to may not be disclosed, and the other way. */
async function withDigests(connection: Connection, group: readonly FoundRecord[]): Promise<FoundRecord[]> {
  const digests = await readDigests(
    connection,
    group.flatMap(({ place }) => place ?? []),
  )
  return group.map((record) => {
    const { stream = '', sequence = 0 } = record.place ?? {}
    const disclosed = digests.get(`${stream}/${sequence}`)
    return disclosed === undefined && !commits(record) ? record : { ...record, disclosed: disclosed ?? [] }
  })
}

function commits({ bytes }: FoundRecord): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(commitmentsMark)
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
  connection: Connection,
  name: string,
  use: (connection: Connection) => Promise<Result>,
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
