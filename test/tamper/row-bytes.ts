/**
 * Every byte of the records in a database, every character of what is derived from them, and the hash of the stream's
 * head, changed one at a time by its owner. Always holds: the row is as it was after each try.
 */

import type { Verifier } from '../../src/chain/note.ts'
import { type Connection, createConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { deriveColumns, derivedColumns } from '../../src/postgres/projection.ts'
import { ensurePartition } from '../../src/postgres/records.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { type ByteTally, emptyTally, type Stride } from './bytes.ts'
import { fillDatabase } from './database-copy.ts'

interface RowsToTry {
  readonly url: string
  readonly lines: readonly string[]
  readonly verifier: Verifier
  readonly stride: Stride
}

/** One change and its undoing, as statements of the owner. */
interface Change {
  readonly name: string
  readonly sequence: number
  readonly make: [string, unknown[]]
  readonly undo: [string, unknown[]]
}

export async function tryRows({ url, lines, verifier, stride }: RowsToTry): Promise<ByteTally> {
  const tally = emptyTally('PostgreSQL')
  const connection = createConnection({ url })
  await connection.open()
  try {
    await migrateUp(connection)
    await ensurePartition(connection, '2026-01-02T00:00:00Z')
    await fillDatabase(connection, lines)
    const verify = async (): Promise<number> =>
      (await verifySource(createPostgresSource(url), { verifiers: [verifier] })).exitCode
    if ((await verify()) !== 0) throw new Error('the database does not verify unchanged')
    let at = 0
    for (const change of changesOf(lines)) {
      at += 1
      if (at % stride.step === stride.from) await tryChange({ change, connection, verify, last: lines.length }, tally)
    }
  } finally {
    connection.destroy()
  }
  return tally
}

interface RowTry {
  readonly change: Change
  readonly connection: Connection
  readonly verify: () => Promise<number>
  readonly last: number
}

async function tryChange({ change, connection, verify, last }: RowTry, tally: ByteTally): Promise<void> {
  await connection.query(...change.make)
  const exitCode = await verify()
  await connection.query(...change.undo)
  tally.tried += 1
  if (exitCode === 1) tally.findings += 1
  else if (exitCode === 2) tally.unreadable += 1
  else if (change.sequence === last) tally.uncovered += 1
  else tally.missed.push(`PostgreSQL ${change.name} of record ${change.sequence}`)
}

function* changesOf(lines: readonly string[]): Generator<Change> {
  for (const [index, line] of lines.entries()) {
    const sequence = index + 1
    yield* recordChanges(sequence, Buffer.from(line))
    yield* columnChanges(sequence, Buffer.from(line))
  }
  const hash = 'update audit.stream_head set hash = set_byte(hash, $1, get_byte(hash, $1) # 1)'
  for (let at = 0; at < 32; at += 1)
    yield { name: `head byte ${at}`, sequence: 0, make: [hash, [at]], undo: [hash, [at]] }
}

function* recordChanges(sequence: number, bytes: Buffer): Generator<Change> {
  const statement = 'update audit.record set record = set_byte(record, $2, get_byte(record, $2) # $3) where seq = $1'
  for (let at = 0; at < bytes.length; at += 1) {
    const change: Change['make'] = [statement, [sequence, at, 1 << (at % 8)]]
    yield { name: `byte ${at}`, sequence, make: change, undo: change }
  }
}

/** A text in each character, a hash in each byte; of the other types PostgreSQL takes no other text: by one step. */
function* columnChanges(sequence: number, bytes: Buffer): Generator<Change> {
  const { columns } = deriveColumns({ stream: '', sequence, bytes })
  for (const { name, type } of derivedColumns) {
    const held = columns[name]
    const set = (value: string, ...more: unknown[]): Change['make'] => [
      `update audit.record set ${name} = ${value} where seq = $1`,
      [sequence, ...more],
    ]
    if (held === null || name === 'recorded_at') continue // its row would move to another partition
    if (type === 'text')
      for (const [at, character] of [...held].entries()) {
        const changed = [...held].with(at, character === 'x' ? 'y' : 'x').join('')
        yield { name: `${name} character ${at}`, sequence, make: set('$2', changed), undo: set('$2', held) }
      }
    if (type === 'bytea')
      for (let at = 0; at < held.length / 2; at += 1) {
        const change = set(`set_byte(${name}, $2, get_byte(${name}, $2) # 1)`, at)
        yield { name: `${name} byte ${at}`, sequence, make: change, undo: change }
      }
    if (type === 'timestamptz') {
      const later = `${name} + interval '1 microsecond'`
      yield { name, sequence, make: set(later), undo: set(later.replace('+', '-')) }
    }
    if (type === 'uuid') {
      const other = `${held.slice(0, -1)}${held.endsWith('0') ? '1' : '0'}`
      yield { name, sequence, make: set('$2::uuid', other), undo: set('$2::uuid', held) }
    }
  }
}
