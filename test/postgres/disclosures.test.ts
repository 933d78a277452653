/** Disclosures on a real server: stored once with their record, erased for good, and never seen by who may not. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import { commitmentTo, Disclosures, discloseValue, encodeDisclosures } from '../../src/event/commit.ts'
import { convertEvent } from '../../src/event/convert.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import { admitForeign } from '../../src/policy/foreign.ts'
import { compilePolicy } from '../../src/policy/policy.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { createPseudonyms } from '../../src/policy/redaction/pseudonym.ts'
import { pruneDisclosures, readValues, storeDisclosures } from '../../src/postgres/disclosures.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { eraseBatch, markErased, planErasure, readUnsealed, refuseSubjects } from '../../src/postgres/erase.ts'
import { addHold } from '../../src/postgres/hold.ts'
import { inspectSchema } from '../../src/postgres/inspect.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { makeRoles } from '../../src/postgres/roles.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { connectionFor, migratedDatabase, unguard } from '../support/migrated.ts'
import { chainOf } from '../support/record-chain.ts'
import { makeKeys } from '../support/trail.ts'

const never = new AbortController().signal
const [ann, bob] = ['pseudonym:ann', 'pseudonym:bob']
const unguardDisclosures = 'alter table audit.disclosure disable trigger user'

/** Records of two persons in turn, sealed now or at a time, each with a name beside it. */
function disclosing(count: number, recordedMs = Date.now()): StoredRecord[] {
  const names = Array.from({ length: count }, (_, at) => {
    const disclosures = new Disclosures()
    disclosures.add({ subject: at % 2 === 0 ? ann : bob, text: discloseValue('/actor/name', `name ${at + 1}`) })
    return disclosures
  })
  const recorded = `${new Date(recordedMs).toISOString().slice(0, -1)}000000Z`
  const members = (sequence: number) => {
    return { recorded, commitments: { '/actor/name': commitmentTo(names[sequence - 1]?.list[0]?.text ?? '') } }
  }
  const records = chainOf(count, { members })
  return records.map((record, at) => ({
    ...record,
    disclosures: Buffer.from(encodeDisclosures(names[at] ?? { list: [] })),
  }))
}

async function stage(t: TestContext) {
  const { url, connection } = await migratedDatabase(t)
  const destination = createPostgresDestination({ type: 'postgres', url })
  t.after(() => destination.close())
  return {
    url,
    connection,
    send: async (records: readonly StoredRecord[]) => (await destination.send({ records, bytes: 1 }, never)).status,
    names: async () => {
      const { rows } = await connection.query<{ value: string }>('select value from audit.disclosed order by seq')
      return rows.map(({ value }) => value)
    },
    verify: async () => {
      const { findings, observations } = await verifySource(createPostgresSource(url), {
        verifiers: [],
        allowUnanchored: true,
      })
      return { findings, said: observations.filter(({ verdict }) => verdict !== 'UNANCHORED') }
    },
    erase: async (subject: string) => {
      await refuseSubjects(connection, [subject])
      return eraseBatch(connection, [subject])
    },
  }
}

describe('disclosures', () => {
  it('are stored with their records, once, by one statement and by COPY alike', async (t) => {
    for (const count of [3, 80]) {
      const { send, names, connection } = await stage(t)
      const records = disclosing(count)
      assert.equal(await send(records.slice(0, 2)), 'delivered')
      assert.equal(await send(records), 'delivered')
      assert.equal(await send(records), 'delivered')
      assert.deepEqual(
        await names(),
        records.map((_, at) => `name ${at + 1}`),
      )
      const values = await readValues(connection, records.slice(0, 1))
      assert.deepEqual([...values.values()], [{ '/actor/name': 'name 1' }])
    }
  })

  it('are stored together with their record or not at all', async (t) => {
    const { send, names, connection } = await stage(t)
    await connection.query('alter function audit.disclose rename to away')
    for (const count of [3, 80]) assert.equal(await send(disclosing(count)), 'retry')
    assert.deepEqual((await connection.query('select from audit.record')).rows, [])
    await connection.query('alter function audit.away rename to disclose')
    const records = disclosing(4)
    assert.equal(await send(records), 'delivered')
    const fork = disclosing(5).map((record) => ({ ...record, stream: records[0]?.stream ?? '' }))
    assert.equal(await send(fork), 'rejected')
    assert.equal((await names()).length, 4)
  })

  it('do not come back when their records come again after they were erased', async (t) => {
    const { send, names, erase } = await stage(t)
    const records = disclosing(4)
    await send(records)
    assert.equal(await erase(ann), 2)
    assert.equal(await send(records), 'delivered')
    assert.deepEqual(await names(), ['name 2', 'name 4'])
  })

  it('of somebody erased are not taken when they come late, and are when they were made since', async (t) => {
    const { send, names, erase, connection } = await stage(t)
    await erase(ann)
    for (const count of [4, 80]) {
      const late = disclosing(count, Date.now() - 60_000)
      assert.equal(await send(late), 'delivered')
      const { rows } = await connection.query<{ count: string }>('select count(*) from audit.erasure')
      assert.equal((await names()).length, count === 4 ? 2 : 42)
      assert.equal(Number(rows[0]?.count), count === 4 ? 2 : 42)
    }
    assert.equal(await send(disclosing(2, Date.now() + 60_000)), 'delivered')
    assert.equal((await names()).filter((name) => name === 'name 1').length, 1)
  })

  it('that a writer is about to store are waited for', async (t) => {
    const { connection, url } = await stage(t)
    const writer = await connectionFor(t, url)
    const text = discloseValue('/actor/name', 'Ann')
    await writer.query('begin')
    await writer.query(
      `select audit.disclose(array[$1::bytea], array[gen_random_uuid()], array[1], array[$2], array[$3], array[now()])`,
      [Buffer.from(commitmentTo(text), 'base64url'), ann, text],
    )
    const refusing = refuseSubjects(await connectionFor(t, url), [ann])
    const waiting = `select from pg_locks where locktype = 'advisory' and not granted`
    for (let looks = 0; (await connection.query(waiting)).rows.length === 0; looks += 1) assert.ok(looks < 10_000)
    await writer.query('commit')
    await refusing
    assert.equal(await eraseBatch(connection, [ann]), 1)
  })

  it('are not changed, and not removed but by an erasure', async (t) => {
    const { send, connection } = await stage(t)
    await send(disclosing(2))
    for (const statement of [
      'delete from audit.disclosure',
      "update audit.disclosure set subject = 'x'",
      'truncate audit.disclosure',
    ]) {
      await assert.rejects(connection.query(statement), /disclosures are erased, not changed/, statement)
    }
    await assert.rejects(connection.query('delete from audit.erasure; truncate audit.erasure'), /is refused/)
    await makeRoles(connection)
    assert.deepEqual(await inspectSchema(connection), [])
    await connection.query(unguardDisclosures)
    await connection.query('grant select on audit.disclosure to audit_reader')
    assert.deepEqual(
      (await inspectSchema(connection)).map(({ object }) => object),
      [
        'audit.disclosure',
        'audit.disclosure.refuse_delete',
        'audit.disclosure.refuse_truncate',
        'audit.disclosure.refuse_update',
      ],
    )
  })

  it('are seen by nobody but who was granted that', async (t) => {
    const { send, connection } = await stage(t)
    await send(disclosing(2))
    await makeRoles(connection)
    const seen = async (role: string) => {
      await connection.query(`begin; set local role ${role}`)
      try {
        return (await connection.query('select value from audit.disclosed')).rows.length
      } catch (thrown) {
        return (thrown as { code: string }).code
      } finally {
        await connection.query('rollback')
      }
    }
    const roles = ['audit_app', 'audit_relay', 'audit_reader', 'audit_discloser', 'audit_maintainer']
    const found: Record<string, unknown> = {}
    for (const role of roles) found[role] = await seen(role)
    const refused = '42501'
    assert.deepEqual(found, {
      audit_app: refused,
      audit_relay: refused,
      audit_reader: refused,
      audit_discloser: 2,
      audit_maintainer: 2,
    })
  })

  it('go with their record when that is past its retention', async (t) => {
    const { send, names, connection } = await stage(t)
    const records = disclosing(4)
    await send(records)
    await connection.query(unguard)
    await connection.query('delete from audit.record where seq <= 2')
    await connection.query(
      `insert into audit.partition (stream, from_seq, to_seq, recorded_from, recorded_to, hash, sealed_at)
       values ($1, 1, 3, now(), now(), '', now())`,
      [records[0]?.stream],
    )
    await pruneDisclosures(connection)
    assert.deepEqual(await names(), ['name 3', 'name 4'], 'the record 3 is still there: a hold keeps it')
    const value = discloseValue('/actor/name', 'name 2')
    await storeDisclosures(connection, [
      { stream: records[1]?.stream ?? '', sequence: 2, disclosures: [{ subject: ann, text: value }], madeAt: null },
    ])
    assert.deepEqual(await names(), ['name 3', 'name 4'], 'what comes again of a removed record is not kept')
  })
})

describe('an erasure', () => {
  it('goes on where it was killed: what is gone and not sealed is named by the next run', async (t) => {
    const { send, erase, connection, verify } = await stage(t)
    const records = disclosing(4)
    await send(records)
    const plan = await planErasure(connection, [ann])
    assert.deepEqual(plan, { disclosures: 2, records: 2, outbox: 0, holds: [] })
    assert.equal(await erase(ann), 2)
    const unsealed = await readUnsealed(connection)
    assert.equal(unsealed.length, 2)
    const before = await verify()
    assert.deepEqual(before.findings, [])
    assert.deepEqual(
      before.said.map(({ verdict, detail }) => [
        verdict,
        /2 personal values are not disclosed here, and nothing says/.test(detail),
      ]),
      [['INTACT', true]],
    )
    await markErased(connection, unsealed.slice(0, 1))
    assert.deepEqual(await readUnsealed(connection), unsealed.slice(1))
  })

  it('leaves what a hold keeps, and says which hold it is', async (t) => {
    const { send, erase, connection, names } = await stage(t)
    await send(disclosing(4))
    await addHold(connection, { actor: 'nobody' }, { reason: 'other', operator: 'o' })
    const { id } = await addHold(connection, { actor: 'u-1' }, { reason: 'case', operator: 'o' })
    assert.deepEqual((await planErasure(connection, [ann])).holds, [id])
    assert.equal(await erase(ann), 0)
    assert.equal((await names()).length, 4)
  })

  it('shows in verify as ERASED by the word of the trail, and as a finding where a value came back', async (t) => {
    const { send, erase, connection, verify } = await stage(t)
    const records = disclosing(4)
    await send(records)
    const { rows } = await connection.query<Record<string, unknown>>(
      'select * from audit.disclosure where subject = $1',
      [ann],
    )
    await erase(ann)
    const details = { count: 2, subject_digests: await readUnsealed(connection), why: 'w', operator: 'o' }
    await send(chainOf(1, { members: () => ({ event_type: 'audit.erased', action: 'audit.erased', details }) }))
    const erased = await verify()
    assert.deepEqual(erased.findings, [])
    assert.deepEqual(
      erased.said.map(({ verdict, stream }) => [verdict, stream]),
      [['ERASED', records[0]?.stream]],
    )
    const [row] = rows
    const columns = ['digest', 'stream', 'seq', 'subject', 'disclosure', 'made_at']
    await connection.query(
      `insert into audit.disclosure (${columns.join()}) values ($1, $2, $3, $4, $5, $6)`,
      columns.map((column) => row?.[column]),
    )
    assert.deepEqual(
      (await verify()).findings.map(({ verdict }) => verdict),
      ['PROJECTION_MISMATCH'],
    )
  })

  it('cannot be faked: another value, or one that the record does not commit to, is CONTENT_TAMPERED', async (t) => {
    const { send, connection, verify } = await stage(t)
    const records = disclosing(3)
    await send(records)
    await connection.query(unguardDisclosures)
    const other = discloseValue('/actor/name', 'Mallory')
    await connection.query('update audit.disclosure set disclosure = $1 where seq = 2', [other])
    await connection.query(
      `insert into audit.disclosure (digest, stream, seq, subject, disclosure, made_at) values ($1, $2, 3, $3, $4, now())`,
      [Buffer.from(commitmentTo(other), 'base64url'), records[0]?.stream, ann, other],
    )
    const { findings } = await verify()
    assert.deepEqual(
      findings.map(({ verdict, sequence, found }) => [verdict, sequence, found]),
      [
        ['CONTENT_TAMPERED', 2, commitmentTo(other)],
        ['CONTENT_TAMPERED', 3, commitmentTo(other)],
      ],
    )
  })
})

describe('personal values in the outbox', () => {
  it('are stored by the sequencer with the record, whoever put the event there, and erased with the rest', async (t) => {
    const { url, connection, names } = await stage(t)
    const folder = mkdtempSync(join(tmpdir(), 'otel-audit-disclosures-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const pseudonymKey = 'a key of this test only'
    const redaction = compileRedaction({ pseudonymKey, personal: ['/actor/name'] })
    const policy = compilePolicy({ level: 'all', redaction })
    const keys = makeKeys('prod')
    const admit = (input: unknown) => admitForeign(input, policy, redaction)
    const sequencing = new Sequencing({ url, signer: keys.signer, service: 's', admit, seen: new SeenHeadFile(folder) })
    const event = { action: 'a.b', actor: { type: 'user', id: 'u-1', name: 'Ann' } }
    const enlist = async () => {
      const admitted = convertEvent({ ...event, correlation_id: 'c' })
      redaction.redact(admitted)
      const text = encodeEnlisted(admitted)
      assert.ok(!text.includes('"Ann"'))
      await insertEvent(connection, { id: '019b7ca9-9458-7000-8000-000000000005', event: text })
      await connection.query('select audit.emit($1)', [JSON.stringify(event)])
    }
    await enlist()
    await sequencing.drain(AbortSignal.timeout(30_000))
    assert.deepEqual(await names(), ['Ann', 'Ann'])
    const report = await verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })
    assert.deepEqual([report.verdict, report.findings, report.observations], ['INTACT', [], []])
    const { rows } = await connection.query<{ record: string }>(
      "select convert_from(record, 'UTF8') as record from audit.record",
    )
    assert.ok(!rows.some(({ record }) => record.includes('Ann')))

    await enlist()
    const subject = createPseudonyms(pseudonymKey).pseudonymOf('u-1')
    assert.equal((await planErasure(connection, [subject])).outbox, 1, 'of plain SQL nobody knows before it is sealed')
    await refuseSubjects(connection, [subject])
    assert.equal(await eraseBatch(connection, [subject]), 2)
    await sequencing.drain(AbortSignal.timeout(30_000))
    assert.deepEqual(await names(), [])
    assert.equal((await readUnsealed(connection)).length, 4)
  })
})
