/**
 * A spool that was restored from an older copy, or runs a second time, beside a real database that has seen more. The
 * restored one keeps its inodes, so that nothing but the database can tell.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { leafHash } from '../../src/chain/hash.ts'
import { parseVerifierKey } from '../../src/chain/note.ts'
import type { Audit, WrittenReceipt } from '../../src/index.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import type { SourceReport } from '../../src/verify/report.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { freshFolder, openAudit, type RecordJson, recordsIn } from '../audit/opened.ts'
import { unguard } from '../support/migrated.ts'
import { databaseFor, queryOnce } from '../support/postgres.ts'
import { cloneSpool, copySpool, restoreInPlace, type SpoolCopy } from '../support/spool-copy.ts'

type Stored = RecordJson & { readonly stream: string; readonly id: string; readonly hash: string }

interface Setup {
  readonly url: string
  readonly folder: string
  readonly spool: string
  readonly options: NonNullable<Parameters<typeof openAudit>[1]>
}

async function setUp(t: TestContext, batchRecordsMax?: number): Promise<Setup> {
  const url = await databaseFor(t)
  await withConnection({ url }, (connection) => migrateUp(connection))
  const folder = freshFolder(t)
  const options = { destinations: [{ type: 'postgres', url, batchRecordsMax } as const], closeTimeoutMs: 10_000 }
  return { url, folder, spool: join(folder, 'spool'), options }
}

/** Delivers 50 records, takes a copy while the spool is open, delivers 50 more and closes. */
async function deliverHundred({
  folder,
  spool,
  options,
}: Omit<Setup, 'url'>): Promise<{ stream: string; copy: SpoolCopy }> {
  const audit = openAudit(folder, options)
  emit(audit, 50, 'before.copy')
  await audit.flush()
  const copy = copySpool(spool)
  emit(audit, 50, 'after.copy')
  await audit.close()
  return { stream: audit.state.stream, copy }
}

function emit(audit: Audit, count: number, action: string): WrittenReceipt[] {
  const receipts = Array.from({ length: count }, () => audit.emit({ action }))
  return receipts.filter((receipt) => receipt.status === 'written')
}

/** Every record of the database, in the order of its streams. */
async function storedIn({ url }: Setup): Promise<Stored[]> {
  const query = `select convert_from(record, 'UTF8') as text from audit.record order by stream, seq`
  return (await queryOnce(url, query)).map(({ text }) => ({
    ...JSON.parse(String(text)),
    hash: leafHash(String(text)),
  }))
}

interface Kept {
  readonly stream: string
  readonly seq: number
  readonly hash: string
  readonly record: string
}

/** What lies in quarantine, by number, and the files. */
function quarantineOf({ spool }: Setup): { kept: Kept[]; files: string[] } {
  const folder = join(spool, 'quarantine', 'forked', 'postgres')
  const files = readdirSync(folder).map((name) => join(folder, name))
  const lines = files.flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'))
  const kept = lines.map((line) => JSON.parse(line) as Kept).sort((a, b) => a.seq - b.seq)
  return { kept, files }
}

/** The sequences that `audit.quarantined` records name. */
function sealedAsQuarantined(records: readonly Stored[]): number[] {
  const facts = records.filter(({ action }) => action === 'audit.quarantined').map(({ details }) => details ?? {})
  const sequences = facts.flatMap(({ seq, to = seq }) =>
    Array.from({ length: Number(to) - Number(seq) + 1 }, (_, at) => Number(seq) + at),
  )
  return sequences.sort((a, b) => a - b)
}

function numbersOf(records: readonly { stream?: unknown; seq: number }[]): string[] {
  return records.map(({ stream, seq }) => `${stream} ${seq}`)
}

async function verified({ url }: Setup, { verifierKey }: Audit): Promise<SourceReport> {
  const verifier = parseVerifierKey(verifierKey)
  assert.ok('publicKey' in verifier)
  return verifySource(createPostgresSource(url), { verifiers: [verifier] })
}

async function untilAnotherStream(audit: Audit, stream: string): Promise<void> {
  while (audit.state.stream === stream) await sleep(5)
}

test('a spool restored in place begins a new stream, and what contradicts the database is set aside', async (t) => {
  const setup = await setUp(t)
  const { stream, copy } = await deliverHundred(setup)
  const held = await storedIn(setup)
  assert.equal(held.filter(({ action }) => action === 'after.copy').length, 50)

  restoreInPlace(copy, setup.spool)
  const registry = new Registry()
  const audit = openAudit(setup.folder, { ...setup.options, metrics: { registry } })
  assert.equal(audit.state.stream, stream, 'nothing here can tell')
  const early = emit(audit, 3, 'restored.early')
  await untilAnotherStream(audit, stream)
  emit(audit, 20, 'restored.late')
  await audit.flush()
  const [state] = audit.state.destinations
  const metric = registry.getSingleMetric('audit_quarantined_records_total')
  const { values } = (await metric?.get()) ?? { values: [] }
  const own = recordsIn(setup.folder) as Stored[]
  await audit.close()

  const now = await storedIn(setup)
  assert.deepEqual(
    now.filter((one) => one.stream === stream),
    held,
    'nothing was overwritten, nothing added',
  )
  assert.equal(new Set(numbersOf(now)).size, now.length)
  assert.equal(now.filter(({ action }) => action === 'restored.late').length, 20)

  const opening = now.find((one) => one.stream !== stream && one.seq === 1)
  const ends = own.filter((one) => one.stream === stream).at(-1)
  const predecessor = opening?.details?.predecessor as Record<string, unknown>
  assert.deepEqual([predecessor.stream, predecessor.seq, predecessor.reason], [stream, ends?.seq, 'ahead'])
  const head = held.at(-1)
  assert.deepEqual(opening?.details?.ahead, { destination: 'postgres', seq: head?.seq, hash: head?.hash })

  const { kept, files } = quarantineOf(setup)
  const contradicting = own.filter((one) => one.stream === stream && !held.some(({ id }) => id === one.id))
  assert.ok(contradicting.some(({ action }) => action === 'audit.stream.opened'))
  for (const receipt of early) assert.ok(kept.some(({ hash }) => hash === receipt.hash))
  assert.deepEqual(
    kept.map(({ record }) => JSON.parse(record)),
    contradicting,
  )
  for (const { record, hash } of kept) assert.equal(leafHash(record), hash)
  for (const file of files) assert.deepEqual([statSync(file).mode, statSync(dirname(file)).mode & 0o77], [0o100600, 0])
  assert.deepEqual(
    sealedAsQuarantined(now),
    numbersOf(kept).map((_, at) => kept[at]?.seq),
  )

  assert.equal(state?.quarantined, kept.length)
  assert.deepEqual([state?.condition, state?.backlog], ['ok', 0])
  assert.deepEqual(values, [{ value: kept.length, labels: { destination: 'postgres' } }])
  const report = await verified(setup, audit)
  assert.deepEqual([report.findings, report.exitCode], [[], 0])
})

test('a database that lacks what it had when the new stream began is TRUNCATED', async (t) => {
  const setup = await setUp(t)
  const { stream, copy } = await deliverHundred(setup)
  restoreInPlace(copy, setup.spool)
  const audit = openAudit(setup.folder, setup.options)
  await untilAnotherStream(audit, stream)
  await audit.flush()
  await audit.close()
  const { length } = (await storedIn(setup)).filter((one) => one.stream === stream)
  await queryOnce(setup.url, unguard)
  await queryOnce(setup.url, `delete from audit.stream_head where stream = $1`, [stream])
  await queryOnce(setup.url, `delete from audit.record where stream = $1 and seq > 70`, [stream])
  const { findings } = await verified(setup, audit)
  const { verdict, from, to } = findings[0] ?? {}
  assert.deepEqual([verdict, from, to], ['TRUNCATED', 71, length])
})

test('forked records that outgrow the database are set aside too, also after a restart in between', async (t) => {
  const setup = await setUp(t, 7)
  const { stream, copy } = await deliverHundred(setup)
  const held = await storedIn(setup)
  restoreInPlace(copy, setup.spool)
  const without = openAudit(setup.folder, { ...setup.options, destinations: [] })
  emit(without, 150, 'restored.alone')
  await without.close()
  for (let start = 0; start < 2; start += 1) {
    const audit = openAudit(setup.folder, setup.options)
    emit(audit, 10, 'restored.again')
    if (start === 1) await untilAnotherStream(audit, stream)
    if (start === 1) await audit.flush()
    await audit.close()
  }
  const now = await storedIn(setup)
  const { kept } = quarantineOf(setup)
  assert.deepEqual(
    now.filter((one) => one.stream === stream),
    held,
  )
  assert.ok((kept.at(-1)?.seq ?? 0) > (held.at(-1)?.seq ?? 0) + 50)
  assert.deepEqual(
    kept.map(({ seq }) => seq),
    Array.from(kept, (_, at) => (kept[0]?.seq ?? 0) + at),
    'each once, without a gap',
  )
  const own = recordsIn(setup.folder) as Stored[]
  const delivered = new Set(numbersOf([...now, ...kept]))
  assert.deepEqual(
    numbersOf(own).filter((number) => !delivered.has(number)),
    [],
  )
  const last = openAudit(setup.folder, setup.options)
  await last.close()
  assert.deepEqual((await verified(setup, last)).findings, [])
})

test('emitRequired until a destination rejects when that destination holds another record in its place', async (t) => {
  const setup = await setUp(t)
  const { copy } = await deliverHundred(setup)
  restoreInPlace(copy, setup.spool)
  const audit = openAudit(setup.folder, setup.options)
  await assert.rejects(audit.emitRequired({ action: 'restored.early' }, { until: 'postgres' }), { code: 'QUARANTINED' })
  const receipt = await audit.emitRequired({ action: 'restored.late' }, { until: 'postgres' })
  assert.equal(receipt.status, 'written')
  assert.ok((await storedIn(setup)).some(({ action }) => action === 'restored.late'))
  await audit.close()
})

test('a clone that runs beside the original is another stream from its first record on: nothing is in conflict', async (t) => {
  const setup = await setUp(t)
  const original = openAudit(setup.folder, setup.options)
  emit(original, 50, 'original')
  await original.flush()
  const elsewhere = freshFolder(t)
  cloneSpool(copySpool(setup.spool), join(elsewhere, 'spool'))
  const clone = openAudit(elsewhere, setup.options)
  assert.notEqual(clone.state.stream, original.state.stream)
  for (let turn = 0; turn < 5; turn += 1) {
    emit(original, 10, 'original')
    emit(clone, 10, 'clone')
    await Promise.all([original.flush(), clone.flush()])
  }
  await Promise.all([original.close(), clone.close()])
  const now = await storedIn(setup)
  assert.equal(new Set(numbersOf(now)).size, now.length)
  assert.equal(now.filter(({ action }) => action === 'clone').length, 50)
  assert.equal(now.filter(({ action }) => action === 'original').length, 100)
  const opening = now.find((one) => one.stream === clone.state.stream && one.seq === 1)
  assert.equal(opening?.details?.reason, 'copied')
  assert.deepEqual(
    [original, clone].map(({ state }) => state.destinations[0]?.quarantined),
    [0, 0],
  )
  const report = await verified(setup, original)
  assert.deepEqual([report.findings, report.exitCode], [[], 0])
})

test('a program that closes at once gets through too: what it could not seal is owed, and its next start leaves the stream', async (t) => {
  const setup = await setUp(t)
  const { stream, copy } = await deliverHundred(setup)
  const held = await storedIn(setup)
  restoreInPlace(copy, setup.spool)
  const streams: string[] = []
  for (let start = 0; start < 3; start += 1) {
    const audit = openAudit(setup.folder, setup.options)
    emit(audit, 2, 'short')
    await audit.close()
    streams.push(audit.state.stream)
  }
  const last = openAudit(setup.folder, setup.options)
  await last.flush()
  await last.close()
  const now = await storedIn(setup)
  const { kept, files } = quarantineOf(setup)
  assert.notEqual(streams[1], stream, 'the second start at the latest is in another stream')
  assert.deepEqual(
    now.filter((one) => one.stream === stream),
    held,
  )
  const short = [...now, ...kept.map(({ record }) => JSON.parse(record) as RecordJson)]
  assert.equal(short.filter(({ action }) => action === 'short').length, 6)
  assert.deepEqual(
    sealedAsQuarantined(now),
    kept.map(({ seq }) => seq),
  )
  assert.deepEqual(
    files.filter((file) => file.includes('unsealed')),
    [],
  )
  assert.deepEqual((await verified(setup, last)).findings, [])
})

test('a file that is ahead of a restored spool keeps one record a number too', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.ndjson')
  const options = { destinations: [{ type: 'file', path } as const], closeTimeoutMs: 10_000 }
  const spool = join(folder, 'spool')
  const { stream, copy } = await deliverHundred({ folder, spool, options })
  const held = readFileSync(path, 'utf8')
  restoreInPlace(copy, spool)
  const audit = openAudit(folder, options)
  emit(audit, 3, 'restored.early')
  await untilAnotherStream(audit, stream)
  emit(audit, 5, 'restored.late')
  await audit.flush()
  await audit.close()
  const now = readFileSync(path, 'utf8')
  assert.ok(now.startsWith(held))
  const added = now
    .slice(held.length)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Stored)
  assert.deepEqual([...new Set(added.map((one) => one.stream))], [audit.state.stream])
  assert.equal(added.filter(({ action }) => action === 'restored.late').length, 5)
  const verifier = parseVerifierKey(audit.verifierKey)
  assert.ok('publicKey' in verifier)
  const { findings } = await verifySource(await openSource(path), { verifiers: [verifier] })
  assert.deepEqual(findings, [])
})

test('segments of an older copy beside a newer cursor begin a new stream at the start: nothing is in conflict', async (t) => {
  const setup = await setUp(t)
  const { stream, copy } = await deliverHundred(setup)
  const held = await storedIn(setup)
  const cursor = copySpool(setup.spool).get('cursor-postgres') ?? Buffer.alloc(0)
  restoreInPlace(new Map([...copy, ['cursor-postgres', cursor]]), setup.spool)
  const audit = openAudit(setup.folder, setup.options)
  assert.notEqual(audit.state.stream, stream)
  emit(audit, 5, 'restored')
  await audit.flush()
  await audit.close()
  const now = await storedIn(setup)
  assert.deepEqual(
    now.filter((one) => one.stream === stream),
    held,
  )
  const own = recordsIn(setup.folder) as Stored[]
  assert.deepEqual(
    now.filter((one) => one.stream !== stream).map(({ seq }) => seq),
    own.filter((one) => one.stream !== stream).map(({ seq }) => seq),
    'the new stream is there from its first record on',
  )
  assert.equal(audit.state.destinations[0]?.quarantined, 0)
  assert.deepEqual((await verified(setup, audit)).findings, [])
})
