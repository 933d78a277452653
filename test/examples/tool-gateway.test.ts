/** The tool gateway as a user runs it: 2,000 users at once, a real PostgreSQL, each of the ready configurations. */

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { faultsOf, requestBytesPerRow, type Summary } from '../../examples/tool-gateway/story.ts'
import { Checkout } from './checkout.ts'

const users = 2_000

let checkout: Checkout
let summary: Summary
let told: string

before(async () => {
  checkout = new Checkout()
  const dir = join(checkout.path, 'out')
  const argv = ['run', '--silent', 'example:tool-gateway', '--', '--users', String(users), '--dir', dir]
  const { exitCode, stdout, stderr } = await checkout.run('npm', ...argv)
  assert.equal(exitCode, 0, `${stdout}${stderr}`)
  told = stdout
  summary = JSON.parse(readFileSync(join(dir, 'summary.json'), 'utf8'))
})
after(() => checkout[Symbol.dispose]())

describe('npm run example:tool-gateway', () => {
  it('records nine tenths less of a read-heavy mix, and each denial', () => {
    const { calls, statuses, report, rows } = summary.production
    const denials = users / 20
    assert.equal(calls, users * 10)
    assert.deepEqual(statuses, { 200: calls - denials, 403: denials })
    assert.equal(rows, users + denials)
    assert.deepEqual(report.receipts, { written: rows, suppressed: calls - rows })
    assert.ok(1 - rows / calls > 0.89, `${rows} of ${calls}`)
  })

  it('seals how many events were not recorded, by the rule that suppressed them', () => {
    const { report, sealed } = summary.production
    const reads = users * 7 - users / 20
    const expected = {
      'level:writes_only': reads,
      'exclude_action:health_check': users,
      'exclude_resource:metric': users,
    }
    assert.deepEqual(sealed, expected)
    assert.deepEqual(report.rules, expected)
  })

  it('asks the database for a twentieth at most of one round trip a row', () => {
    const { roundTrips, rows } = summary.production
    assert.ok(roundTrips >= Math.ceil(rows / 500), `${roundTrips}: fewer than there are batches`)
    assert.ok(roundTrips <= rows * 0.05, `${roundTrips} round trips for ${rows} rows`)
  })

  it('leaves the database well', () => {
    for (const { health } of [summary.production, summary.sampled, summary.highSecurity]) {
      assert.ok(health.answers > 0)
      assert.equal(health.failures, 0)
    }
  })

  it('has every row in the database after SIGTERM, also what waited for company', () => {
    for (const { rowsBefore, rows, report } of [summary.production, summary.sampled, summary.highSecurity]) {
      assert.equal(rows, report.receipts.written)
      assert.ok(rowsBefore <= rows)
    }
  })

  it('measures what a row takes', () => {
    const { rows, tableBytesPerRow, indexBytesPerRow } = summary.storage
    assert.ok(rows > summary.production.rows, 'control records are rows too')
    assert.ok(tableBytesPerRow > 500 && indexBytesPerRow > 50, `${tableBytesPerRow}, ${indexBytesPerRow}`)
    const bytesPerCall = ((tableBytesPerRow + indexBytesPerRow) * summary.production.rows) / summary.production.calls
    assert.ok(bytesPerCall < requestBytesPerRow / 3, `${bytesPerCall} bytes a call`)
  })

  it('measures what emit takes of a request', () => {
    for (const { report } of [summary.production, summary.sampled, summary.highSecurity]) {
      const { emit, required } = report
      assert.ok(emit.p50Ms > 0 && emit.p50Ms <= emit.p99Ms)
      assert.ok(required.calls > 0 && required.p50Ms <= required.p99Ms)
    }
    assert.match(told, /emit took [\d.]+ ms at the median, [\d.]+ ms at the 99th percentile/)
  })

  it('records nothing under load-test.env, and serves as before', () => {
    const { calls, statuses, report, rows } = summary.loadTest
    assert.equal(rows, 0)
    assert.deepEqual(report.receipts, { suppressed: calls })
    assert.equal((statuses[200] ?? 0) + (statuses[403] ?? 0), calls)
  })

  it('samples sessions as a whole, and keeps every write and denial', () => {
    const { calls, rows, readsBySession } = summary.sampled
    const sessions = calls / 10
    const denials = sessions / 20
    for (const reads of readsBySession) assert.ok(reads === 7 || reads === 6, `${reads} reads of a session`)
    const kept = readsBySession.length / sessions
    assert.ok(kept > 0.05 && kept < 0.15, `${kept} of the sessions`)
    assert.equal(rows, sessions + denials + readsBySession.reduce((sum, reads) => sum + reads, 0))
  })

  it('records everything under high-security.env, where a deletion waits for the database', () => {
    const { calls, rows, sealed, report } = summary.highSecurity
    assert.equal(rows, calls)
    assert.deepEqual([sealed, report.rules], [{}, {}])
    assert.equal(report.required.calls, calls / 40)
  })

  it('verifies what is in the database, and finds fault with what is wrong', () => {
    assert.equal(summary.verified, 'INTACT')
    assert.deepEqual(faultsOf(summary), [])
    const { production } = summary
    const wrong: readonly (readonly [Partial<Summary>, RegExp])[] = [
      [{ verified: 'MISSING' }, /MISSING, not INTACT/],
      [{ production: { ...production, rows: production.rows - 1 } }, /production: .* are in the database/],
      [{ production: { ...production, sealed: {} } }, /production: .* 0 are accounted for/],
      [{ production: { ...production, calls: production.calls + 1 } }, /receipts/],
      [{ loadTest: { ...summary.loadTest, rows: 1 } }, /load-test\.env recorded 1/],
    ]
    for (const [change, fault] of wrong) assert.match(faultsOf({ ...summary, ...change }).join(), fault)
  })

  it('says what is wrong with its options, and changes nothing', async () => {
    const taken = join(checkout.path, 'taken')
    mkdirSync(taken)
    const cases: readonly (readonly [argv: readonly string[], complaint: RegExp])[] = [
      [['--user', '50'], /Unknown option '--user'/],
      [['--users', '5'], /--users is "5"; allowed: a whole number from 20 to 20000/],
      [['--dir', taken], /EEXIST/],
    ]
    for (const [argv, complaint] of cases) {
      const ran = await checkout.run(process.execPath, 'examples/tool-gateway/main.ts', ...argv)
      assert.deepEqual([ran.exitCode, ran.stdout], [2, ''])
      assert.match(ran.stderr, complaint)
    }
    assert.deepEqual(readdirSync(taken), [])
  })
})
