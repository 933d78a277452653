/** One process at a time delivers to a destination: on a real server, also when the lock is taken away. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import { createConnection } from '../../src/postgres/client.ts'
import { openAlone } from '../../src/postgres/destination-lock.ts'
import { migratedDatabase } from '../support/migrated.ts'

const holders = `from pg_locks l join pg_stat_activity a using (pid)
  where l.locktype = 'advisory' and a.datname = current_database()`

it('a connection that has lost its lock is of no use, and the next one gets it', async (t) => {
  let nowMs = 0
  t.after(useClocks({ monotonicMs: () => nowMs }))
  const { url, connection } = await migratedDatabase(t)
  const open = (name: string) => openAlone(() => createConnection({ url }), name)
  const first = await open('siem')
  t.after(() => first?.destroy())
  assert.equal(await open('siem'), undefined)
  const other = await open('s3')
  assert.ok(other !== undefined, 'each destination has a lock of its own')
  other.destroy()
  assert.deepEqual((await first?.query('select 1 as one'))?.rows, [{ one: 1 }])
  await connection.query(`select pg_terminate_backend(pid) ${holders}`)
  nowMs += 1_000
  await assert.rejects(first?.query('select 1') ?? Promise.resolve())
  const second = await open('siem')
  t.after(() => second?.destroy())
  assert.ok(second !== undefined)
})

it('the transaction that holds the lock keeps no row from vacuum, and outlasts the limits of the server', async (t) => {
  const { url, connection } = await migratedDatabase(t)
  const database = new URL(url).pathname.slice(1)
  await connection.query(`alter database ${database} set idle_in_transaction_session_timeout = '1ms'`)
  const first = await openAlone(() => createConnection({ url }), 'siem')
  t.after(() => first?.destroy())
  const { rows } = await connection.query(
    `select a.state, a.backend_xid as xid, a.backend_xmin as xmin, pg_sleep(0.05) is null as slept ${holders}`,
  )
  assert.deepEqual(rows, [{ state: 'idle in transaction', xid: null, xmin: null, slept: false }])
  assert.equal((await connection.query(`select ${holders}`)).rows.length, 1)
})
