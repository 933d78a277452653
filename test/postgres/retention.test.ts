/** Retention on a real server: what goes, what stays, what is left by a kill at any statement, what a writer notices. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Queryable } from '../../src/postgres/client.ts'
import { addHold, releaseHold } from '../../src/postgres/hold.ts'
import { planRetention, type RetentionOptions, runRetention } from '../../src/postgres/retention.ts'
import { type AgedDatabase, AgedWriter, aged, agedDatabase, daysAgo, streamA, streamB } from '../support/aged-trail.ts'
import { connectionFor } from '../support/migrated.ts'
import { queryOnce } from '../support/postgres.ts'

const before = daysAgo(90)

function optionsFor(database: AgedDatabase, more: Partial<RetentionOptions> = {}): RetentionOptions {
  return {
    before,
    restateBefore: daysAgo(45),
    batchRows: 10_000,
    seal: (statement) => database.seal(statement),
    signal: new AbortController().signal,
    ...more,
  }
}

async function heldIn(url: string, stream: string): Promise<string> {
  const [row] = await queryOnce(url, 'select count(*), min(seq), max(seq) from audit.record where stream = $1', [
    stream,
  ])
  return `${row?.count}: ${row?.min} to ${row?.max}`
}

async function prepare(t: TestContext): Promise<{ database: AgedDatabase; client: Queryable }> {
  const database = await agedDatabase(t)
  return { database, client: await connectionFor(t, database.url) }
}

/** 300 days old at first, 10 at last, evenly. */
const evenly = (count: number) => (sequence: number) => 300 - (290 * sequence) / count

test('50,000 old rows go in batches of 10,000, and newer rows stay', async (t) => {
  const { database, client } = await prepare(t)
  const writer = aged(new AgedWriter(streamA, (sequence) => (sequence <= 50_000 ? 91 : 89)), 50_400, 250)
  await database.deliver(writer)
  const removed: number[] = []
  // A partition that straddles the limit: the same month holds what is newer.
  const report = await runRetention(
    client,
    optionsFor(database, { onProgress: (one) => void removed.push(one.removed) }),
  )
  assert.deepEqual(report.ranges, [{ stream: streamA, from: 1, to: 50_000 }])
  assert.equal(report.removed, 50_000)
  assert.equal(await heldIn(database.url, streamA), `${writer.lines.length - 50_000}: 50001 to ${writer.lines.length}`)
  if (report.partitions.length === 0)
    assert.deepEqual([...new Set(removed)], [0, 10_000, 20_000, 30_000, 40_000, 50_000])
  const again = await runRetention(client, optionsFor(database))
  assert.deepEqual([again.removed, again.ranges], [0, []])
})

test('partitions that hold nothing else are dropped, and a dry run says so first', async (t) => {
  const { database, client } = await prepare(t)
  const writer = aged(new AgedWriter(streamA, evenly(600)), 560, 20)
  await database.deliver(writer)
  const planned = await planRetention(client, before)
  assert.equal(await heldIn(database.url, streamA), `${writer.lines.length}: 1 to ${writer.lines.length}`)
  const report = await runRetention(client, optionsFor(database))
  assert.deepEqual(report.ranges, planned.ranges)
  assert.deepEqual(report.partitions, planned.partitions)
  assert.equal(report.removed, planned.removed)
  assert.ok(report.partitions.length >= 5, report.partitions.join())
  const [left] = await queryOnce(database.url, 'select count(*) from audit.record where recorded_at < $1', [before])
  assert.equal(Number(left?.count), 0)
})

test('what a hold keeps stays, with what proves it, until the hold is released', async (t) => {
  const { database, client } = await prepare(t)
  const tenantOf = (sequence: number) => (sequence === 333 ? { tenant: 'acme' } : {})
  const writer = aged(new AgedWriter(streamA, () => 200, tenantOf), 600, 20)
  await database.deliver(writer)
  const { id } = await addHold(client, { tenant: 'acme' }, { reason: 'case 7', operator: 'ada' })
  const report = await runRetention(client, optionsFor(database))
  const [kept] = await queryOnce(
    database.url,
    'select min(seq), max(seq), count(*) from audit.record where stream = $1',
    [streamA],
  )
  const [from, to] = [Number(kept?.min), Number(kept?.max)]
  assert.ok(from <= 333 && 333 <= to && to - from < 45, `${from} to ${to}`)
  assert.equal(Number(kept?.count), to - from + 1)
  assert.deepEqual(
    report.ranges.map((range) => [range.from, range.to]),
    [
      [1, from - 1],
      [to + 1, writer.lines.length],
    ],
  )
  assert.deepEqual((await runRetention(client, optionsFor(database))).ranges, [])
  await releaseHold(client, id, { reason: 'closed', operator: 'ada' })
  assert.deepEqual((await runRetention(client, optionsFor(database))).ranges, [{ stream: streamA, from, to }])
  assert.equal(await heldIn(database.url, streamA), '0: null to null')
})

test('a stream whose records do not fold to their checkpoints stays as it is', async (t) => {
  const { database, client } = await prepare(t)
  for (const stream of [streamA, streamB]) await database.deliver(aged(new AgedWriter(stream, () => 200), 100, 20))
  await queryOnce(
    database.url,
    `alter table audit.record disable trigger refuse_update;
     update audit.record set hash = sha256('x') where stream = '${streamA}' and seq = 50;
     alter table audit.record enable always trigger refuse_update`,
  )
  const report = await runRetention(client, optionsFor(database))
  assert.deepEqual(
    report.refused.map(({ stream }) => stream),
    [streamA],
  )
  assert.match(report.refused[0]?.reason ?? '', /do not fold to the root that was signed/)
  assert.match(await heldIn(database.url, streamA), /^10\d: 1 to/)
  assert.equal(await heldIn(database.url, streamB), '0: null to null')
})

test('killed before any statement, the next run completes it, and a record is never gone before its statement', async (t) => {
  const { database, client } = await prepare(t)
  const run = async (stream: string, statements: number): Promise<boolean> => {
    let left = statements
    const dying: Queryable = {
      query: (text, values) => {
        left -= 1
        return left < 0 ? Promise.reject(new Error('killed')) : client.query(text, values)
      },
    }
    await database.deliver(aged(new AgedWriter(stream, evenly(80)), 70, 20))
    const outcome = await runRetention(dying, optionsFor(database)).catch(() => undefined)
    await client.query('rollback')
    await client.query('reset lock_timeout')
    const [lost] = await queryOnce(
      database.url,
      `select count(*) from generate_series(1, (select seq from audit.stream_head where stream = $1)) as seq
       where not exists (select from audit.record r where r.stream = $1 and r.seq = seq.seq) and not audit.is_pruned($1, seq.seq)`,
      [stream],
    )
    assert.equal(Number(lost?.count), 0, `after ${statements} statements`)
    const next = await runRetention(client, optionsFor(database))
    assert.deepEqual([next.isComplete, next.refused], [true, []], `after ${statements} statements`)
    const rest = await queryOnce(
      database.url,
      `select 'row' as what from audit.record where recorded_at < $1 union all select 'retiring' from audit.retiring
       union all select 'pending' from audit.partition where removed_at is null`,
      [before],
    )
    assert.deepEqual(rest, [], `after ${statements} statements`)
    return outcome !== undefined
  }
  let runs = 0
  for (let isWhole = false; !isWhole; runs += 1) {
    isWhole = await run(`019b7c2f-2222-7000-8000-${String(runs).padStart(12, '0')}`, runs * 5)
  }
  assert.ok(runs > 10, `${runs} runs`)
})

test('records that come late into a partition that leaves are kept', async (t) => {
  const { database, client } = await prepare(t)
  const writer = aged(new AgedWriter(streamA, () => 200), 100, 20)
  await database.deliver(writer)
  const late = aged(new AgedWriter(streamB, () => 200), 20, 20)
  let isLate = true
  const interfering: Queryable = {
    async query(text, values) {
      if (isLate && text.includes('insert into audit.retiring')) {
        isLate = false
        await database.deliver(late)
      }
      return client.query(text, values)
    },
  }
  const report = await runRetention(interfering, optionsFor(database))
  assert.equal(report.partitions.length, 1)
  assert.equal(await heldIn(database.url, streamB), `${late.lines.length}: 1 to ${late.lines.length}`)
  assert.deepEqual((await runRetention(client, optionsFor(database))).ranges, [
    { stream: streamB, from: 1, to: late.lines.length },
  ])
})

test('a concurrent writer waits for no lock of retention, also behind a long reader', async (t) => {
  const { database, client } = await prepare(t)
  await database.deliver(aged(new AgedWriter(streamA, evenly(21_000)), 20_000, 200))
  const insert = await connectionFor(t, database.url)
  const reader = await connectionFor(t, database.url)
  await reader.query('begin')
  await reader.query('select count(*) from audit.record')
  // Whatever else the machine does: an insert that stands in line for a lock, also for the time of one attempt, fails.
  await insert.query("set lock_timeout = '10ms'")
  const waits: number[] = []
  const stopping = new AbortController()
  const writing = (async () => {
    for (let seq = 1; !stopping.signal.aborted; seq += 1) {
      const startedMs = performance.now()
      await insert.query(
        `insert into audit.record (record, stream, seq, hash, recorded_at) values ('\\x00', $1, $2, '\\x00', now())`,
        [streamB, seq],
      )
      waits.push(performance.now() - startedMs)
    }
  })()
  // A long reader holds every partition: none can be detached, and nobody may stand in line behind the attempt.
  const releasing = setTimeout(() => void reader.query('commit'), 1_500)
  const report = await runRetention(client, optionsFor(database))
  clearTimeout(releasing)
  stopping.abort()
  await writing
  waits.sort((a, b) => a - b)
  const [longest = 0, middle = 0] = [waits.at(-1), waits[waits.length >> 1]]
  t.diagnostic(
    `${waits.length} inserts, ${report.removed} rows removed, ${report.partitions.length} partitions dropped: longest insert ${longest.toFixed(1)} ms, median ${middle.toFixed(2)} ms`,
  )
  assert.ok(report.partitions.length > 5)
})
