/**
 * Row 19: a database that is killed, refuses, hangs or comes back as an older copy of itself, under a writer that goes on.
 * Each record that was written is stored exactly once; an older copy is noticed, and never overwritten.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { type EmbeddedPostgres, queryOnce, startEmbeddedPostgres } from '../support/postgres.ts'
import type { FaultTest } from './fault.ts'
import type { Lab } from './lab.ts'
import { Subject } from './subject.ts'

interface Database {
  readonly server: EmbeddedPostgres
  /** Of the trail's database; it can be closed, which the one that is always there cannot. */
  readonly url: string
}

async function startDatabase(lab: Lab): Promise<Database> {
  const server = await startEmbeddedPostgres()
  lab.onDispose(() => server.stop())
  await queryOnce(server.url, 'create database trail')
  await queryOnce(server.url, 'alter database trail set synchronous_commit = off')
  const url = new URL('/trail', server.url).href
  await withConnection({ url }, (connection) => migrateUp(connection))
  return { server, url }
}

interface Order {
  readonly run: string
  readonly count?: number
  readonly finish?: 'close'
  readonly paceMs?: number
  readonly spool?: { readonly directory: string; readonly [setting: string]: unknown }
}

function writerInto(lab: Lab, url: string, { spool, ...order }: Order): Subject {
  return new Subject(lab, {
    burst: 20,
    paceMs: 5,
    padBytes: 200,
    ...order,
    audit: {
      spool: spool ?? { directory: lab.path('spool'), keepMinutes: 60 },
      destinations: [{ type: 'postgres', url, flushIntervalMs: 5, batchRecordsMax: 200 }],
      closeTimeoutMs: 60_000,
    },
  })
}

/** What is done to the database and how it is undone; between the two the writer goes on. */
const harms: readonly {
  readonly name: string
  harm(database: Database): Promise<unknown>
  undo(database: Database): Promise<unknown>
}[] = [
  { name: 'kills', harm: ({ server }) => server.crash(), undo: ({ server }) => server.start() },
  {
    name: 'sessions ended',
    harm: endSessions,
    undo: async () => {},
  },
  {
    name: 'times read-only',
    harm: async (database) => {
      await queryOnce(database.server.url, 'alter database trail set default_transaction_read_only = on')
      await endSessions(database)
    },
    undo: ({ server }) => queryOnce(server.url, 'alter database trail reset default_transaction_read_only'),
  },
  {
    name: 'times without a connection left',
    harm: async (database) => {
      await queryOnce(database.server.url, 'alter database trail allow_connections false')
      await endSessions(database)
    },
    undo: ({ server }) => queryOnce(server.url, 'alter database trail allow_connections true'),
  },
  {
    name: 'statement timeouts',
    harm: async (database) => {
      await queryOnce(database.server.url, "alter database trail set statement_timeout = '1ms'")
      await endSessions(database)
    },
    undo: ({ server }) => queryOnce(server.url, 'alter database trail reset statement_timeout'),
  },
]

function endSessions({ server }: Database): Promise<unknown> {
  return queryOnce(server.url, `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'trail'`)
}

interface Stored {
  readonly count: number
  readonly distinct: number
  readonly last: number
}

async function storedIn({ url }: Database): Promise<Stored> {
  const [row] = await queryOnce(
    url,
    `select count(*)::int as count, count(distinct (stream, seq))::int as distinct, coalesce(max(seq), 0)::int as last
     from audit.record`,
  )
  return row as unknown as Stored
}

/** Looks again and again; the time that the whole test has is the limit. */
async function untilStored(database: Database, sequence: number): Promise<void> {
  for (;;) {
    const stored = await storedIn(database).catch(() => undefined) // it may be away for a moment
    if (stored !== undefined && stored.last >= sequence) return
    await pause(50)
  }
}

async function untilWritten(subject: Subject, more: number): Promise<void> {
  const wanted = subject.written.length + more
  await subject.until(({ written }) => written.length >= wanted)
}

/** Every number once, from the first to the last that was written, in one chain. */
async function checkWhole(database: Database, last: number): Promise<Stored> {
  const stored = await storedIn(database)
  assert.deepEqual({ ...stored, last: undefined }, { count: stored.last, distinct: stored.last, last: undefined })
  assert.ok(stored.last >= last, `record ${last} was written, ${stored.last} is stored last`)
  const source = createPostgresSource(database.url)
  const report = await verifySource(source, { verifiers: [], allowUnanchored: true })
  assert.deepEqual([report.exitCode, report.findings], [0, []])
  return stored
}

function lastOf(subject: Subject): number {
  return subject.written.at(-1)?.sequence ?? 0
}

const postgresDies: FaultTest = {
  name: 'postgres-dies',
  row: '19',
  promise:
    'A database killed in a transaction, read-only, without a connection left, too slow, its sessions ended, asynchronous by default: each record is stored once.',
  needs: [],
  limitSeconds: { short: 180, long: 1_200 },
  async run(lab, size) {
    const database = await startDatabase(lab)
    const subject = writerInto(lab, database.url, { run: 'first' })
    const injected: Record<string, number> = {}
    await untilWritten(subject, 200)
    for (let round = 0; round < (size === 'short' ? 1 : 5); round += 1) {
      for (const { name, harm, undo } of harms) {
        // One after the other: each is harmed while the writer delivers, and healed before the next.
        await harm(database)
        await untilWritten(subject, 100)
        await undo(database)
        await untilStored(database, lastOf(subject))
        injected[name] = (injected[name] ?? 0) + 1
      }
    }
    await subject.kill()
    const end = writerInto(lab, database.url, { run: 'end', count: 20, finish: 'close' })
    assert.equal((await end.ended).code, 0, end.complaints)
    assert.deepEqual([subject.emergencies, end.emergencies], [[], []])
    const stored = await checkWhole(database, lastOf(end))
    return { injected, survived: { 'records stored once': stored.count } }
  },
}

function copyFolder(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}

/** Delivers, keeps a copy of the server's files, delivers more, puts the copy in their place; to the last record before. */
async function restoreOlder(database: Database, subject: Subject, between: number): Promise<number> {
  const { server } = database
  const [data, copy] = [join(server.folder, 'data'), join(server.folder, 'copy')]
  await untilWritten(subject, 300)
  await untilStored(database, lastOf(subject))
  await server.crash()
  copyFolder(data, copy)
  await server.start()
  await untilWritten(subject, between)
  await untilStored(database, lastOf(subject))
  const { last } = await storedIn(database)
  await server.crash()
  spawnSync('rm', ['-rf', data])
  spawnSync('mv', [copy, data])
  await server.start()
  return last
}

const noticed = /is an older copy of itself and holds stream/

const postgresRestored: FaultTest = {
  name: 'postgres-restored',
  row: '19',
  promise:
    'A database that comes back as an older copy of itself under a writer that goes on: that is noticed, said and sealed, nothing is overwritten, and what it lacks is sent again.',
  needs: [],
  limitSeconds: { short: 120, long: 600 },
  async run(lab, size) {
    const database = await startDatabase(lab)
    const subject = writerInto(lab, database.url, { run: 'first', paceMs: 100 })
    const lasts: number[] = []
    const rounds = size === 'short' ? 1 : 3
    for (let round = 0; round < rounds; round += 1) {
      // One after the other: each older copy is made good before the next.
      lasts.push(await restoreOlder(database, subject, 200))
      await untilStored(database, lastOf(subject) + 1)
    }
    assert.match(subject.complaints, noticed)
    await subject.kill()
    const end = writerInto(lab, database.url, { run: 'end', count: 20, finish: 'close' })
    assert.equal((await end.ended).code, 0, end.complaints)
    assert.deepEqual([subject.emergencies, end.emergencies], [[], []])
    const stored = await checkWhole(database, lastOf(end))
    const rewound = await factsIn(database, 'audit.destination.rewound')
    assert.equal(rewound.length, rounds)
    const again = rewound.reduce((sum, { seq }, at) => sum + (lasts[at] ?? 0) - Number(seq), 0)
    assert.deepEqual(await factsIn(database, 'audit.gap'), [])
    return {
      injected: { 'older copies': rounds },
      survived: { 'records stored once': stored.count, 'records sent again': again },
    }
  },
}

/** The details of sealed facts, as the database has them. */
async function factsIn({ url }: Database, type: string): Promise<Record<string, unknown>[]> {
  const query = `select convert_from(record, 'UTF8')::json -> 'details' as details from audit.record
     where event_type = $1 order by stream, seq`
  return (await queryOnce(url, query, [type])).map(({ details }) => details as Record<string, unknown>)
}

const postgresReclaimed: FaultTest = {
  name: 'postgres-reclaimed',
  row: '19',
  promise:
    'The same where the spool has given back a part of what the older copy lacks: a sealed `audit.gap` names exactly the missing numbers, and what follows is stored.',
  needs: [],
  limitSeconds: { short: 120, long: 120 },
  async run(lab) {
    const database = await startDatabase(lab)
    const spool = { directory: lab.path('spool'), keepMinutes: 0, bytesMax: 4 * 2 ** 20, reserveBytes: 2 ** 16 }
    const subject = writerInto(lab, database.url, { run: 'first', paceMs: 50, spool })
    await restoreOlder(database, subject, 1_500)
    await untilStored(database, lastOf(subject) + 1)
    await subject.kill()
    const end = writerInto(lab, database.url, { run: 'end', count: 20, finish: 'close', spool })
    assert.equal((await end.ended).code, 0, end.complaints)
    const gaps = await factsIn(database, 'audit.gap')
    const [gap, ...others] = gaps.filter((one) => one.reason !== 'emergency')
    assert.deepEqual(others, [])
    const { stream, from, to, count, reason, destination } = gap ?? {}
    const missing = await missingIn(database)
    assert.deepEqual([{ stream, from, to, count }], missing)
    const [{ seq } = {}] = await factsIn(database, 'audit.destination.rewound')
    assert.deepEqual([reason, destination, from], ['older_copy', 'postgres', Number(seq) + 1])
    const source = createPostgresSource(database.url)
    const { findings } = await verifySource(source, { verifiers: [], allowUnanchored: true })
    assert.deepEqual([...new Set(findings.map(({ verdict }) => verdict))], ['MISSING'])
    const stored = await storedIn(database)
    assert.equal(stored.count, stored.distinct)
    return {
      injected: { 'older copies': 1 },
      survived: { 'records stored once': stored.count, 'records named in the sealed gap': Number(count) },
    }
  },
}

/** The holes of each stream. */
async function missingIn({ url }: Database): Promise<Record<string, unknown>[]> {
  const query = `select stream, seq::int + 1 as from, next::int - 1 as to, (next - seq - 1)::int as count
     from (select stream, seq, lead(seq) over (partition by stream order by seq) as next from audit.record) held
     where next > seq + 1 order by stream, seq`
  return queryOnce(url, query)
}

export const postgresTests: readonly FaultTest[] = [postgresDies, postgresRestored, postgresReclaimed]
