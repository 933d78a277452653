/** The contenders of `spool`, by name. */

import { appendFileSync, closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { open as openLmdb } from 'lmdb'
import { leafHash } from '../../src/chain/hash.ts'
import { recordBytesMax } from '../../src/limits.ts'
import { encodeFrame, frameBytes, frameHeaderBytes } from '../../src/spool/format.ts'
import { createEventOfAnyLength } from './event.ts'
import { createRecord } from './floor.ts'
import type { Keeper, KeeperSetup } from './spool-keeper.ts'
import { createAuditKeeper, createSpoolKeeper } from './spool-own.ts'

export const keepers: Readonly<Record<string, (setup: KeeperSetup) => Keeper>> = {
  spool: (setup) => createSpoolKeeper(setup, benchRecords()),
  audit: createAuditKeeper,
  raw: createRawKeeper,
  framed: createFramedKeeper,
  sqlite: createSqliteKeeper,
  lmdb: createLmdbKeeper,
  unsynced: createUnsyncedKeeper,
  idle: createIdleKeeper,
}

/** What every contender but `audit` takes: so many different records, over and over. */
export type BenchRecords = Pick<Keeper<string>, 'create' | 'recordBytes'>

function benchRecords(): BenchRecords {
  const first = 100_000 // no number gains a digit
  const records = Array.from({ length: 1_024 }, (_, index) => {
    return JSON.stringify(createRecord(createEventOfAnyLength(first + index), first + index, '0'.repeat(64)))
  })
  const bytes = records.reduce((sum, record) => sum + Buffer.byteLength(record), 0)
  return {
    create: (index) => records[index % records.length] ?? '',
    recordBytes: () => bytes / records.length,
  }
}

/** The floor: one write a record, one fdatasync a group, on one thread, which does nothing else meanwhile. */
function createRawKeeper({ directory }: KeeperSetup): Keeper<string> {
  const file = openSync(join(directory, 'raw'), 'w')
  return {
    ...benchRecords(),
    append: (record) => void writeSync(file, record),
    commit: () => fdatasyncSync(file),
    settle: () => Promise.resolve(),
    close: async () => closeSync(file),
  }
}

/** The floor of a file whose records are chained and whose torn end can be told: each is hashed and framed first. */
function createFramedKeeper({ directory }: KeeperSetup): Keeper<string> {
  const file = openSync(join(directory, 'framed'), 'w')
  const buffer = Buffer.allocUnsafeSlow(frameBytes({ record: recordBytesMax, attachment: 0 }))
  const known = { segment: 1, offset: 0 }
  let [number, previousCrc] = [0, 0]
  return {
    ...benchRecords(),
    append(record) {
      const load = { record: buffer.write(record, frameHeaderBytes, recordBytesMax, 'utf8'), attachment: 0 }
      leafHash(buffer.subarray(frameHeaderBytes, frameHeaderBytes + load.record))
      number += 1
      const header = { flags: 0, salt: 1, number, sequence: number, previousCrc, known }
      previousCrc = encodeFrame(buffer, header, load)
      writeSync(file, buffer, 0, frameBytes(load))
    },
    commit: () => fdatasyncSync(file),
    settle: () => Promise.resolve(),
    close: async () => closeSync(file),
  }
}

/** One transaction a group; a commit syncs the write-ahead log. */
function createSqliteKeeper({ directory }: KeeperSetup): Keeper<string> {
  const database = new DatabaseSync(join(directory, 'records.db'))
  database.exec('pragma journal_mode = wal; pragma synchronous = full')
  database.exec('create table record (sequence integer primary key, record text not null)')
  const [begin, insert, commit] = ['begin', 'insert into record (record) values (?)', 'commit'].map((sql) =>
    database.prepare(sql),
  )
  return {
    ...benchRecords(),
    append(record) {
      if (!database.isTransaction) begin?.run()
      insert?.run(record)
    },
    commit: () => void commit?.run(),
    settle: () => Promise.resolve(),
    close: async () => database.close(),
  }
}

/** Commits in threads of libuv's pool; what is put within one turn of the event loop is one transaction. */
function createLmdbKeeper({ directory }: KeeperSetup): Keeper<string> {
  // Without overlapping, the promise of a put is its durability; with it the figures are about the same.
  const database = openLmdb<string, number>({
    path: directory,
    encoding: 'string',
    keyEncoding: 'uint32',
    overlappingSync: false,
  })
  let sequence = 0
  let last: Promise<boolean> | undefined
  return {
    ...benchRecords(),
    append(record) {
      sequence += 1
      last = database.put(sequence, record)
    },
    async durable() {
      if ((await last) !== true) throw new Error('LMDB did not put the record')
    },
    settle: () => Promise.resolve(),
    close: () => database.close(),
  }
}

/** What one would write who gives no thought to it: opens, appends, closes; promises nothing. */
function createUnsyncedKeeper({ directory }: KeeperSetup): Keeper<string> {
  const path = join(directory, 'unsynced')
  return {
    ...benchRecords(),
    append: (record) => appendFileSync(path, record),
    async settle() {
      const file = openSync(path, 'a')
      fsyncSync(file)
      closeSync(file)
    },
    close: () => Promise.resolve(),
  }
}

/** The loop alone: its delay is subtracted from everybody's. */
function createIdleKeeper(): Keeper<string> {
  const kept: { last?: string } = {} // so that the compiler cannot leave the record out
  return {
    ...benchRecords(),
    append(record) {
      kept.last = record
    },
    settle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
