/** The sequencer on a real server: what is committed is sealed once, in order, in a chain that verifies. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import { parseRecord } from '../../src/event/record.ts'
import { admitForeign } from '../../src/policy/foreign.ts'
import { compilePolicy } from '../../src/policy/policy.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import type { Connection } from '../../src/postgres/client.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { readJournal } from '../../src/postgres/journal.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencer } from '../../src/postgres/sequencer.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { readRecords } from '../../src/postgres/stored-records.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { connectionFor, migratedDatabase, unguard } from '../support/migrated.ts'
import { makeKeys } from '../support/trail.ts'

const keys = makeKeys('prod')
const redaction = compileRedaction({})
const policy = compilePolicy({ level: 'all' })
const all = { above: 0, events: 1_000, signs: false }

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'otel-audit-sequencer-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function partsIn(directory: string) {
  return {
    signer: keys.signer,
    service: 'billing',
    admit: (input: unknown) => admitForeign(input, policy, redaction),
    seen: new SeenHeadFile(directory),
  }
}

async function emit(client: Connection, action: string): Promise<string> {
  const id = randomUUID()
  await insertEvent(client, { id, event: encodeEnlisted(convertEvent({ action, correlation_id: 'c-1' })) })
  return id
}

async function recordsOf(client: Connection) {
  const records = []
  for await (const { bytes } of readRecords(client)) records.push(parseRecord(bytes) ?? {})
  return records
}

async function verify(url: string) {
  return verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })
}

describe('a sequencer', () => {
  it('seals committed events in their order, under their ids, and its journal verifies', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const ids = [await emit(connection, 'a.one'), await emit(connection, 'a.two')]
    await connection.query(`select audit.emit('{"action": "a.three", "details": {"password": "hunter2"}}')`)
    const sequencing = new Sequencing({ ...partsIn(folderFor(t)), url })
    assert.equal(await sequencing.drain(AbortSignal.timeout(30_000)), 3)

    const records = await recordsOf(connection)
    assert.deepEqual(
      records.map(({ action }) => action),
      ['audit.stream.opened', 'a.one', 'a.two', 'a.three', 'audit.checkpoint'],
    )
    assert.deepEqual(
      records.slice(1, 3).map(({ id }) => id),
      ids,
    )
    assert.doesNotMatch(JSON.stringify(records), /hunter2/)
    assert.match(records[3]?.id ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)
    assert.deepEqual((await connection.query('select from audit.outbox')).rows, [])
    const report = await verify(url)
    assert.deepEqual([report.verdict, report.findings], ['INTACT', []])
  })

  it('leaves no trace of what was rolled back, to a savepoint or whole', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await connection.query('begin')
    await emit(connection, 'kept')
    await connection.query('savepoint one')
    await emit(connection, 'undone')
    await connection.query('rollback to savepoint one')
    await connection.query('commit')
    await connection.query('begin')
    await emit(connection, 'undone.too')
    await connection.query('rollback')
    const sequencer = new Sequencer(partsIn(folderFor(t)))
    await sequencer.sealBatch(await connectionFor(t, url), all)
    const actions = (await recordsOf(connection)).map(({ action }) => action)
    assert.deepEqual(actions, ['audit.stream.opened', 'kept'])
  })

  it('seals what is committed late, although its number was taken early', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const late = await connectionFor(t, url)
    await late.query('begin')
    await emit(late, 'late')
    await emit(connection, 'early')
    const sequencing = new Sequencing({ ...partsIn(folderFor(t)), url })
    assert.equal(await sequencing.drain(AbortSignal.timeout(30_000)), 1)
    await late.query('commit')
    assert.equal(await sequencing.drain(AbortSignal.timeout(30_000)), 1)
    const actions = (await recordsOf(connection)).map(({ action }) => action)
    assert.deepEqual(
      actions.filter((action) => !action?.startsWith('audit.')),
      ['early', 'late'],
    )
  })

  it('goes away while another one seals, and neither seals anything twice', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await emit(connection, 'first')
    const sequencer = new Sequencer(partsIn(folderFor(t)))
    await sequencer.sealBatch(await connectionFor(t, url), all)
    const other = await connectionFor(t, url)
    await emit(connection, 'second')
    await other.query('begin')
    await other.query('select from audit.journal for update')
    assert.deepEqual(await sequencer.sealBatch(connection, all), { status: 'held' })
    await other.query('rollback')
    assert.equal((await sequencer.sealBatch(connection, all)).status, 'sealed')
    assert.deepEqual(await sequencer.sealBatch(connection, all), { status: 'idle' })
  })

  it('shares 600 events with four others, and every one is sealed once', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const ids = new Set<string>()
    for (let index = 0; index < 300; index += 1) ids.add(await emit(connection, `a.${index}`))
    const stopping = new AbortController()
    const folders = [1, 2, 3, 4, 5].map(() => folderFor(t))
    const sequencings = folders.map((folder) => new Sequencing({ ...partsIn(folder), url }))
    const running = sequencings.map((sequencing) => sequencing.run(stopping.signal))
    for (let index = 300; index < 600; index += 1) ids.add(await emit(connection, `a.${index}`))
    while ((await connection.query('select from audit.outbox limit 1')).rows.length > 0) {}
    stopping.abort()
    await Promise.all(running)
    const sealed = (await recordsOf(connection)).filter(({ event_type }) => event_type === 'audit')
    assert.equal(sealed.length, 600)
    assert.deepEqual(new Set(sealed.map(({ id }) => id)), ids)
    const report = await verify(url)
    assert.deepEqual([report.verdict, report.findings, report.streams.length], ['INTACT', [], 1])
  })

  it('seals any bytes that stand in the outbox', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const hostile = ['{', '', '"\\u0000\\ud800"', '[[1e400]]', `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`]
    for (const text of hostile) {
      for (const admitted of [true, false]) {
        const row = [randomUUID(), admitted, Buffer.from(text)]
        await connection.query('insert into audit.outbox (record_id, admitted, event) values ($1, $2, $3)', row)
      }
    }
    await connection.query(`select audit.emit(jsonb_build_object('action', 'big', 'details', repeat('x', 2000000)))`)
    await connection.query(`select audit.emit(jsonb_build_object('action', 'wide', 'note', repeat('x', 2000000)))`)
    const sequencing = new Sequencing({ ...partsIn(folderFor(t)), url })
    assert.equal(await sequencing.drain(AbortSignal.timeout(30_000)), 12)
    assert.equal((await verify(url)).verdict, 'INTACT')
    const records = await recordsOf(connection)
    assert.equal(records.find(({ action }) => action === 'big')?.details?.trimmed, true)
    assert.equal(records.find(({ action }) => action === 'wide')?.details?.trimmed, true)
  })

  it('fills what an event of SQL lacks from the setting of its transaction', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await connection.query('begin')
    await connection.query(
      `select set_config('audit.context', '{"actor":{"type":"user","id":"u-1"},"action":"x"}', true)`,
    )
    await connection.query(`select audit.emit('{"action": "row.update"}')`)
    await connection.query('commit')
    await connection.query(`select audit.emit('{"action": "row.delete"}')`)
    await new Sequencer(partsIn(folderFor(t))).sealBatch(await connectionFor(t, url), all)
    const [, update, remove] = await recordsOf(connection)
    assert.deepEqual([update?.action, update?.actor], ['row.update', { id: 'u-1', type: 'user' }])
    assert.deepEqual([remove?.action, remove?.actor], ['row.delete', undefined])
    assert.equal(typeof remove?.correlation_id, 'string')
    await assert.rejects(connection.query(`select audit.emit('[1]')`), /audit.emit takes a JSON object, not array/)
  })

  it('signs no record that does not stand as it was sealed, and goes on in a new stream', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const sequencer = new Sequencer(partsIn(folderFor(t)))
    await emit(connection, 'first')
    await sequencer.sealBatch(connection, all)
    await connection.query(unguard)
    await connection.query(`update audit.record set record = convert_to('{}', 'UTF8') where action = 'first'`)
    await emit(connection, 'second')
    await sequencer.sealBatch(connection, { ...all, signs: true })
    const [opened] = (await recordsOf(connection)).filter(({ details }) => details?.reason === 'damaged')
    assert.equal(opened?.event_type, 'audit.stream.opened')
    assert.equal(
      (await recordsOf(connection)).some(({ action }) => action === 'audit.checkpoint'),
      false,
    )
    assert.equal((await verify(url)).exitCode, 1)
  })

  it('refuses a journal of another deployment', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await emit(connection, 'first')
    await new Sequencer(partsIn(folderFor(t))).sealBatch(connection, all)
    const other = new Sequencer({ ...partsIn(folderFor(t)), signer: makeKeys('test').signer })
    await emit(connection, 'second')
    const refusal = { code: 'INVALID_OPTION', setting: 'deployment', message: /belongs to prod/ }
    await assert.rejects(other.sealBatch(await connectionFor(t, url), all), refusal)
    assert.equal((await connection.query('select from audit.outbox')).rows.length, 1)
  })
})

describe('a journal whose database is another one', () => {
  it('goes on in a new stream on another timeline, which names where the old one ended', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const sequencer = new Sequencer(partsIn(folderFor(t)))
    await emit(connection, 'first')
    await sequencer.sealBatch(connection, all)
    await sequencer.sealBatch(connection, { ...all, signs: true })
    const before = await readJournal(connection)
    await connection.query('update audit.journal set timeline_id = timeline_id + 1')
    await emit(connection, 'second')
    await sequencer.sealBatch(connection, all)
    const after = await readJournal(connection)
    assert.notEqual(after?.stream, before?.stream)
    const opened = (await recordsOf(connection)).find(({ stream, seq }) => stream === after?.stream && seq === 1)
    assert.deepEqual(opened?.details?.predecessor, {
      hash: before?.hash,
      reason: 'failover',
      seq: before?.sequence,
      stream: before?.stream,
    })
    await sequencer.sealBatch(connection, { ...all, signs: true })
    assert.equal((await verify(url)).exitCode, 0)
  })

  it('goes on in a new stream when it lacks what was seen here, also after others have gone on', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const folder = folderFor(t)
    const sequencer = new Sequencer(partsIn(folder))
    await emit(connection, 'first')
    await sequencer.sealBatch(connection, all)
    const before = await readJournal(connection)
    // What a restored copy looks like to whoever has seen more of the stream.
    const seen = { stream: before?.stream ?? '', sequence: 9, hash: 'ab'.repeat(32) }
    writeFileSync(path.join(folder, 'journal-head'), JSON.stringify(seen))
    await emit(connection, 'second')
    await new Sequencer(partsIn(folder)).sealBatch(await connectionFor(t, url), all)
    const after = await readJournal(connection)
    assert.notEqual(after?.stream, before?.stream)
    const added = (await recordsOf(connection)).filter(({ stream }) => stream === after?.stream)
    assert.deepEqual(
      added.map(({ action }) => action),
      ['audit.stream.opened', 'audit.gap', 'second'],
    )
    assert.equal(added[0]?.details?.reason, 'restored')
    assert.deepEqual([added[1]?.details?.from, added[1]?.details?.to], [3, 9])

    const forked = { stream: before?.stream ?? '', sequence: 1, hash: 'cd'.repeat(32) }
    writeFileSync(path.join(folder, 'journal-head'), JSON.stringify(forked))
    await emit(connection, 'third')
    await new Sequencer(partsIn(folder)).sealBatch(await connectionFor(t, url), all)
    assert.notEqual((await readJournal(connection))?.stream, after?.stream)
  })
})
