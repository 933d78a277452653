/** The journal as a source: only what is sealed, in order, from one stream into the next, and never what was lost. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import { JournalSource } from '../../src/forward/journal-source.ts'
import type { Connection } from '../../src/postgres/client.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencer } from '../../src/postgres/sequencer.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'
import { makeKeys } from '../support/trail.ts'

const limit = { records: 3, bytes: 1_000_000 }

function seenFor(t: TestContext): SeenHeadFile {
  const folder = mkdtempSync(path.join(tmpdir(), 'otel-audit-journal-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return new SeenHeadFile(folder)
}

async function seal(client: Connection, t: TestContext, actions: readonly string[]): Promise<void> {
  for (const action of actions) {
    await insertEvent(client, { id: randomUUID(), event: encodeEnlisted(convertEvent({ action })) })
  }
  const parts = { signer: makeKeys('prod').signer, service: 'app', admit: convertEvent, seen: seenFor(t) }
  await new Sequencer(parts).sealBatch(client, { above: 0, events: 1_000, signs: false })
}

function sourceFor(t: TestContext, url: string, seen = seenFor(t)) {
  const obstacles: (string | undefined)[] = []
  const source = new JournalSource({ url, name: 'file', seen, onObstacle: (reason) => void obstacles.push(reason) })
  t.after(() => source.close())
  return { source, obstacles, seen }
}

/** The lock of a process that has ended may be there for a moment. */
async function nextOf(source: JournalSource): Promise<readonly StoredRecord[]> {
  for (;;) {
    const records = await source.next(limit)
    if (records.length > 0) return records
  }
}

const actionsOf = (records: readonly StoredRecord[]) => records.map(({ bytes }) => JSON.parse(bytes.toString()).action)

describe('a journal as a source', () => {
  it('hands out what is sealed, and goes on after a restart behind what was confirmed', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const first = sourceFor(t, url)
    assert.deepEqual(await first.source.next(limit), [])
    await seal(connection, t, ['a', 'b', 'c'])
    const records = await first.source.next(limit)
    assert.deepEqual(actionsOf(records), ['audit.stream.opened', 'a', 'b'])
    assert.deepEqual(actionsOf(await first.source.next(limit)), ['c'])
    assert.deepEqual(await first.source.next(limit), [])
    first.source.confirm(records[1] as StoredRecord)
    assert.equal(first.source.backlog(), 2)
    await first.source.close()
    assert.equal(first.seen.head?.sequence, 4)
    const second = sourceFor(t, url)
    assert.deepEqual(actionsOf(await nextOf(second.source)), ['b', 'c'])
  })

  it('goes from the end of a stream into the one that follows it', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await seal(connection, t, ['a'])
    const { source } = sourceFor(t, url)
    assert.deepEqual(actionsOf(await source.next(limit)), ['audit.stream.opened', 'a'])
    await connection.query('update audit.journal set timeline_id = timeline_id + 1')
    await seal(connection, t, ['b'])
    assert.deepEqual(actionsOf(await source.next(limit)), ['audit.stream.opened', 'b'])
  })

  it('is read by one process at a time for each destination', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await seal(connection, t, ['a'])
    const first = sourceFor(t, url)
    await first.source.next(limit)
    const second = sourceFor(t, url)
    assert.deepEqual(await second.source.next(limit), [])
    assert.deepEqual(second.obstacles, ['another process delivers to it'])
    await first.source.close()
    await nextOf(second.source)
    assert.deepEqual(second.obstacles, ['another process delivers to it', undefined])
  })

  it('hands out nothing of a database that lacks what was seen here', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await seal(connection, t, ['a'])
    const seen = seenFor(t)
    const { rows } = await connection.query<{ stream: string }>('select stream from audit.journal')
    seen.save({ stream: rows[0]?.stream ?? '', sequence: 7, hash: 'ab'.repeat(32) })
    const { source, obstacles } = sourceFor(t, url, seen)
    assert.deepEqual(await source.next(limit), [])
    assert.match(obstacles[0] ?? '', /lacks records that were seen here/)
  })

  it('waits for a database that is away, from a new connection', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await seal(connection, t, ['a'])
    const { source, obstacles } = sourceFor(t, url)
    await source.next({ ...limit, records: 1 })
    const other = await connectionFor(t, url)
    await other.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`)
    while (obstacles.length === 0) await source.next({ ...limit, records: 1 })
    assert.deepEqual(actionsOf(await nextOf(source)), ['a'])
  })
})
