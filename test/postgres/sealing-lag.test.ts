/** An outbox that nobody seals, and months that nobody has made partitions for, are seen. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspectSchema } from '../../src/postgres/inspect.ts'
import { inspectOutbox, reasonsAgainstLag } from '../../src/postgres/sealing-lag.ts'
import { runCli } from '../cli/run.ts'
import { migratedDatabase } from '../support/migrated.ts'

describe('the outbox of a database', () => {
  it('is well while nothing waits for longer than a minute, and says how much waits for how long when it does', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await connection.query(`select audit.emit('{"action": "a"}'), audit.emit('{"action": "b"}')`)
    assert.deepEqual(await inspectOutbox(connection), [])
    await connection.query(`update audit.outbox set emitted_at = emitted_at - interval '5 minutes' where number = 1`)
    const [lag, ...others] = await inspectOutbox(connection)
    assert.deepEqual(others, [])
    assert.deepEqual([lag?.kind, lag?.object], ['outbox', 'audit.outbox'])
    assert.match(lag?.found ?? '', /^2 events wait, the oldest for 30\d s; nothing was ever sealed here$/)
    const doctor = await runCli(['doctor', '--postgres', url])
    assert.equal(doctor.exitCode, 1)
    assert.match(doctor.stdout, /outbox {2}audit\.outbox: expected events .* found 2 events wait/)
    assert.match(doctor.stdout, /remedy: start otel-audit forward --postgres/)
  })

  it('is a reason not to be ready when an event has waited for more than a minute', () => {
    assert.deepEqual(reasonsAgainstLag({ events: 100_000, oldestSeconds: 60 }), [])
    assert.deepEqual(reasonsAgainstLag({ events: 1, oldestSeconds: 61.9 }), [
      'the outbox is not sealed as fast as it fills: 1 event waits, the oldest for 61 s',
    ])
  })
})

describe('the partitions of the time to come', () => {
  const partitions = async (connection: Parameters<typeof inspectSchema>[0]) =>
    (await inspectSchema(connection)).filter(({ kind }) => kind === 'partition')

  it('are there after a migration, and each one that is missing is named', async (t) => {
    const { connection } = await migratedDatabase(t)
    assert.deepEqual(await partitions(connection), [])
    const { rows } = await connection.query<{ name: string; day: string }>(
      `select l.name, to_char((now() + interval '1 month') at time zone 'UTC', 'YYYY-MM-DD') as day
       from audit.list_partitions() l where l.low <= now() + interval '1 month' and now() + interval '1 month' < l.high`,
    )
    await connection.query(`drop table audit.${rows[0]?.name}`)
    assert.deepEqual(await partitions(connection), [
      { kind: 'partition', object: 'audit.record', expected: `a partition for ${rows[0]?.day}`, found: 'none' },
    ])
  })
})
