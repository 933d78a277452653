/** More events than one portion of the sequencer: one transaction, in order, all of them or none. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import type { Connection } from '../../src/postgres/client.ts'
import { portionEvents } from '../../src/postgres/portions.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencer } from '../../src/postgres/sequencer.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'
import { makeKeys } from '../support/trail.ts'

const keys = makeKeys('prod')
const events = 2 * portionEvents + 3
const limit = { above: 0, events: 4 * portionEvents, signs: false }

/** A database with so many events in its outbox, numbered in their order, and who seals them. */
async function waiting(t: TestContext) {
  const { url, connection } = await migratedDatabase(t)
  await connection.query(
    `insert into audit.outbox (record_id, admitted, event)
     select gen_random_uuid(), true, convert_to(json_build_object('action', 'a.' || n)::text, 'UTF8')
     from generate_series(1, $1::integer) as n`,
    [events],
  )
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-portions-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const seen = new SeenHeadFile(folder)
  const sequencer = new Sequencer({ signer: keys.signer, service: 'app', admit: convertEvent, seen })
  return { url, connection, sequencer }
}

async function countIn(client: Connection, table: 'outbox' | 'record'): Promise<unknown> {
  const { rows } = await client.query<{ count: number }>(`select count(*)::integer as count from audit.${table}`)
  return rows[0]?.count
}

it('several portions are sealed in one transaction, in the order of the outbox', async (t) => {
  const { url, connection, sequencer } = await waiting(t)
  const outcome = await sequencer.sealBatch(connection, limit)
  assert.deepEqual(outcome, { status: 'sealed', events, records: events + 1, lastNumber: events })
  const { rows } = await connection.query<{ strange: number }>(
    `select count(*)::integer as strange from audit.record where seq > 1 and action <> 'a.' || (seq - 1)`,
  )
  assert.equal(rows[0]?.strange, 0)
  assert.equal((await sequencer.sealBatch(connection, { ...limit, signs: true })).status, 'sealed')
  const report = await verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })
  assert.deepEqual([report.verdict, report.records], ['INTACT', events + 2])
})

it('no more is sealed than was asked for, and the rest the next time', async (t) => {
  const { connection, sequencer } = await waiting(t)
  const few = portionEvents + 1
  assert.partialDeepStrictEqual(await sequencer.sealBatch(connection, { ...limit, events: few }), { events: few })
  assert.equal(await countIn(connection, 'outbox'), events - few)
  assert.partialDeepStrictEqual(await sequencer.sealBatch(connection, limit), { events: events - few })
  assert.equal(await countIn(connection, 'record'), events + 2, 'with the opening and a checkpoint')
})

for (const failing of ['audit.append', 'delete from audit.outbox']) {
  it(`a second portion that fails takes the first back (${failing})`, async (t) => {
    const { url, connection, sequencer } = await waiting(t)
    const own = await connectionFor(t, url)
    let calls = 0
    const query: Connection['query'] = async (text, values) => {
      if (text.includes(failing) && ++calls === 2) throw new Error('it broke')
      return own.query(text, values)
    }
    await assert.rejects(sequencer.sealBatch({ ...own, query }, limit), /it broke/)
    assert.deepEqual([await countIn(connection, 'outbox'), await countIn(connection, 'record')], [events, 0])
    assert.partialDeepStrictEqual(await sequencer.sealBatch(connection, limit), { events })
  })
}
