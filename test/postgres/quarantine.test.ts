/** `audit.quarantine`: a record comes there once, and the journal says once that it came and what became of it. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import {
  answerRefused,
  askResolution,
  claimFacts,
  isQuarantineSealed,
  listAsked,
  listQuarantined,
  noteOutcome,
  owesFacts,
  quarantineRecord,
} from '../../src/postgres/quarantine.ts'
import { migratedDatabase } from '../support/migrated.ts'

test('what is told of a record is owed until the transaction that seals it commits, and told once', async (t) => {
  const { connection } = await migratedDatabase(t)
  const record = { stream: randomUUID(), sequence: 7, bytes: Buffer.from('{"seq":7}') }
  const place = { destination: 'siem', stream: record.stream, sequence: 7 }
  const named = { destination: 'siem', stream: record.stream, seq: 7, hash: leafHash(record.bytes) }
  // A crash before the cursor moved: it comes again.
  for (const reason of ['HTTP 400\0', 'HTTP 400 again'])
    await quarantineRecord(connection, { destination: 'siem', record, reason })
  assert.equal(await isQuarantineSealed(connection, place), false)

  for (const end of ['rollback', 'commit']) {
    await connection.query('begin')
    const facts = await claimFacts(connection)
    assert.deepEqual(facts, [{ type: 'audit.quarantined', details: { ...named, reason: 'POISON: HTTP 400' } }], end)
    await connection.query(end)
  }
  assert.deepEqual([await owesFacts(connection), await isQuarantineSealed(connection, place)], [false, true])

  const request = { resolution: 'retry', operator: 'ann', why: undefined } as const
  assert.equal(await askResolution(connection, place, request), true)
  assert.equal((await listAsked(connection, 'siem'))[0]?.asked, 'retry')
  assert.deepEqual(await listAsked(connection, 'other'), [])
  await answerRefused(connection, place, 'HTTP 422')
  const [refused] = await listQuarantined(connection)
  assert.deepEqual([refused?.asked, refused?.refused, refused?.record.toString()], [undefined, 'HTTP 422', '{"seq":7}'])

  await askResolution(connection, place, { ...request, resolution: 'discard', why: 'test data' })
  await noteOutcome(connection, place, 'discarded')
  assert.deepEqual([await listQuarantined(connection), await owesFacts(connection)], [[], true])
  assert.equal(await askResolution(connection, place, request), false, 'it is decided')
  const resolution = { resolution: 'discarded', operator: 'ann', why: 'test data' }
  assert.deepEqual(await claimFacts(connection), [
    { type: 'audit.quarantine.resolved', details: { ...named, ...resolution } },
  ])
  assert.deepEqual(await claimFacts(connection), [])
})
