/**
 * Every byte of the records in a database, their keys, every character of what is derived from them, and the hash of the
 * stream's head, changed one at a time by its owner. Always holds: the row is as it was after each try.
 */

import type { Verifier } from '../../src/chain/note.ts'
import { type Connection, createConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { type ColumnType, deriveColumns, derivedColumns } from '../../src/postgres/projection.ts'
import { ensurePartition } from '../../src/postgres/records.ts'
import type { FoundRecord, Source } from '../../src/verify/source.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { type ByteTally, emptyTally, type Stride } from './bytes.ts'
import { fillDatabase } from './database-copy.ts'
import { readGroups, withGroups } from './remembered.ts'

interface RowsToTry {
  readonly url: string
  readonly lines: readonly string[]
  readonly verifier: Verifier
  readonly stride: Stride
}

/** One change, as a statement of the owner. */
interface Change {
  readonly name: string
  readonly sequence: number
  readonly text: string
  readonly values: unknown[]
  /** Whether only what is read of this row is changed: neither its place nor another table. */
  readonly isInRow: boolean
}

export async function tryRows({ url, lines, verifier, stride }: RowsToTry): Promise<ByteTally> {
  const tally = emptyTally('PostgreSQL')
  const connection = createConnection({ url })
  await connection.open()
  // Each change and what verification reads stand in one transaction, which is rolled back.
  const connect = () => ({ ...connection, open: async () => {}, end: async () => {}, destroy: () => {} })
  const source = createPostgresSource(url, connect)
  const exitCodeOf = async (one: Source): Promise<number> =>
    (await verifySource(one, { verifiers: [verifier] })).exitCode
  try {
    await migrateUp(connection)
    await ensurePartition(connection, '2026-01-02T00:00:00Z')
    await fillDatabase(connection, lines)
    if ((await exitCodeOf(source)) !== 0) throw new Error('the database does not verify unchanged')
    const sound = (await readGroups(source)).flat()
    const heads = (await source.readHeads?.()) ?? []
    const verify = async ({ isInRow, sequence }: Change): Promise<number> => {
      if (!isInRow) return exitCodeOf(source)
      const near = (await source.readNear?.({ stream: heads[0]?.stream, sequence, records: 1 })) ?? []
      const first = Math.max(1, sequence - 1)
      const groups = [sound.toSpliced(first - 1, near.length, ...near.map((one, index) => placed(one, first + index)))]
      return exitCodeOf({ ...withGroups(source, groups), readHeads: async () => heads, readPruned: async () => [] })
    }
    let at = 0
    for (const change of changesOf(lines)) {
      at += 1
      if (at % stride.step !== stride.from) continue
      await tryChange({ change, connection, verify, last: lines.length }, tally)
      stride.onTried?.(tally)
    }
  } finally {
    connection.destroy()
  }
  return tally
}

function placed(one: FoundRecord, position: number): FoundRecord {
  return { ...one, position }
}

interface RowTry {
  readonly change: Change
  readonly connection: Connection
  readonly verify: (change: Change) => Promise<number>
  readonly last: number
}

async function tryChange({ change, connection, verify, last }: RowTry, tally: ByteTally): Promise<void> {
  const { name, sequence, text, values } = change
  await connection.query('begin')
  await connection.query(text, values)
  const exitCode = await verify(change)
  await connection.query('rollback')
  tally.tried += 1
  if (exitCode === 1) tally.findings += 1
  else if (exitCode === 2) tally.unreadable += 1
  else if (sequence === last) tally.uncovered += 1
  else tally.missed.push(`PostgreSQL ${name} of record ${sequence}`)
}

function* changesOf(lines: readonly string[]): Generator<Change> {
  for (const [index, line] of lines.entries()) {
    const sequence = index + 1
    yield* recordChanges(sequence, Buffer.from(line))
    yield* keyChanges(sequence)
    yield* columnChanges(sequence, Buffer.from(line))
  }
  const text = 'update audit.stream_head set hash = set_byte(hash, $1, get_byte(hash, $1) # 1)'
  for (let at = 0; at < 32; at += 1) yield { name: `head byte ${at}`, sequence: 0, text, values: [at], isInRow: false }
}

function* recordChanges(sequence: number, bytes: Buffer): Generator<Change> {
  const text = 'update audit.record set record = set_byte(record, $2, get_byte(record, $2) # $3) where seq = $1'
  for (let at = 0; at < bytes.length; at += 1)
    yield { name: `byte ${at}`, sequence, text, values: [sequence, at, 1 << (at % 8)], isInRow: true }
}

function* keyChanges(sequence: number): Generator<Change> {
  const other = '019b7c2f-0000-7000-8000-00000000000b'
  const change = (name: string, set: string): Change => {
    return { name, sequence, text: `update audit.record set ${set} where seq = $1`, values: [sequence], isInRow: false }
  }
  yield change('stream', `stream = '${other}'`)
  yield change('seq', 'seq = seq + 1000')
  yield change('underived', "underived = '{action}'")
}

/** A text in each character, a hash in each byte; of the other types PostgreSQL takes no other text: by one step. */
function* columnChanges(sequence: number, bytes: Buffer): Generator<Change> {
  const { columns } = deriveColumns({ stream: '', sequence, bytes })
  for (const { name, type } of derivedColumns) {
    const held = columns[name]
    const set = (part: string, value: string, ...more: unknown[]): Change => {
      const text = `update audit.record set ${name} = ${value} where seq = $1`
      return { name: `${name}${part}`, sequence, text, values: [sequence, ...more], isInRow: true }
    }
    if (name === 'recorded_at') yield set('', `${name} + interval '1 microsecond'`)
    else if (held === null) yield set(' that was empty', something[type])
    else if (type === 'text')
      for (const [at, character] of [...held].entries())
        yield set(` character ${at}`, '$2', [...held].with(at, character === 'x' ? 'y' : 'x').join(''))
    else if (type === 'bytea')
      for (let at = 0; at < held.length / 2; at += 1)
        yield set(` byte ${at}`, `set_byte(${name}, $2, get_byte(${name}, $2) # 1)`, at)
    else if (type === 'timestamptz') yield set('', `${name} + interval '1 microsecond'`)
    else yield set('', '$2::uuid', `${held.slice(0, -1)}${held.endsWith('0') ? '1' : '0'}`)
  }
}

const something: Readonly<Record<ColumnType, string>> = {
  text: "'x'",
  bytea: "'x'",
  timestamptz: 'now()',
  uuid: "'019b7c2f-0000-7000-8000-00000000000b'",
}
