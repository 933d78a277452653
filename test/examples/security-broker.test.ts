/** The security broker as a user runs it: a real PostgreSQL, a real S3 server where there is one, and kills in the middle. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { faultsOf, type Summary } from '../../examples/security-broker/summary.ts'
import { versitygwAbsent, versitygwBinary } from '../parts/versitygw.ts'
import { Checkout } from './checkout.ts'

const users = 24

let checkout: Checkout
let summary: Summary
let told: string

before(async () => {
  checkout = new Checkout()
  const dir = join(checkout.path, 'out')
  const argv = ['run', '--silent', 'example:security-broker', '--', '--users', String(users), '--dir', dir]
  const { exitCode, stdout, stderr } = await checkout.run('npm', ...argv)
  assert.equal(exitCode, 0, `${stdout}${stderr}`)
  told = stdout
  summary = JSON.parse(readFileSync(join(dir, 'summary.json'), 'utf8'))
})
after(() => checkout[Symbol.dispose]())

describe('npm run example:security-broker', () => {
  it('has an event for each change of state, and none for what was rolled back, although the broker was killed', () => {
    const { events, answersBeforeKill, lost, disagreements } = summary
    assert.ok(answersBeforeKill >= users && answersBeforeKill < users * 8, `${answersBeforeKill}`)
    assert.deepEqual([lost, disagreements], [0, 0])
    // Each user of the past and of the second broker came to his end.
    const whole = users / 4 + users
    assert.ok((events['session.create success'] ?? 0) > whole)
    for (const [what, each] of Object.entries({
      'grant.issue success': 1,
      'grant.issue denied': 1,
      'grant.revoke success': 1,
      'proxy.execute success': 2,
      'proxy.execute denied': 2,
    }))
      assert.ok((events[what] ?? 0) >= whole * each, what)
  })

  it('says tenant, session, grant, actor, outcome, source address, request id and version on every event', () => {
    assert.equal(summary.incomplete, 0)
  })

  it('loses nothing on the way to the SIEM, although the exporter was killed, and sends again what was not confirmed', () => {
    const { siem, exporterKills, trail } = summary
    assert.equal(exporterKills, 3)
    assert.ok(siem.repeats > 0, 'a batch that was kept and not confirmed is sent again')
    assert.deepEqual([trail, siem.missing, siem.strange, siem.refused, siem.verdict], ['INTACT', 0, 0, 0, 'INTACT'])
  })

  it('loses nothing on the way to S3', (t) => {
    if (versitygwBinary() === undefined) return t.skip(versitygwAbsent)
    const { siem, s3 } = summary
    assert.deepEqual(s3, { records: siem.records, missing: 0, strange: 0, verdict: 'INTACT' })
  })

  it('reads the records of both releases in the shape of today', () => {
    const { versions, unreadable } = summary
    assert.deepEqual(Object.keys(versions), ['version 1', 'version 2'])
    assert.equal(versions['version 1'], (users / 4) * 4)
    assert.equal(unreadable, 0)
  })

  it('archives what is older than 90 days, and both halves verify', () => {
    const { removed, left, database, archive } = summary.retention
    assert.ok(removed >= (users / 4) * 8 && left > users * 8)
    assert.deepEqual([database, archive], ['PRUNED', 'INTACT'])
    assert.match(told, /the archive: INTACT, and of the database: PRUNED/)
  })

  it('finds the edited record and the gap by their numbers, and nothing else', () => {
    const seen = [summary.edited, summary.removed].map(({ sequence, findings }) =>
      findings.map((finding) => [finding.verdict, finding.sequence === sequence]),
    )
    assert.deepEqual(seen, [[['CONTENT_TAMPERED', true]], [['MISSING', true]]])
  })

  it('finds fault with what is wrong', () => {
    assert.deepEqual(faultsOf(summary), [])
    const { siem, retention, edited } = summary
    const wrong: readonly (readonly [Partial<Summary>, RegExp])[] = [
      [{ lost: 1 }, /1 confirmed changes are gone/],
      [{ disagreements: 2 }, /2 times state and events do not agree/],
      [{ siem: { ...siem, missing: 3 } }, /SIEM lacks 3 records/],
      [{ siem: { ...siem, verdict: 'FORKED' } }, /SIEM is FORKED/],
      [{ retention: { ...retention, database: 'MISSING' } }, /MISSING, not PRUNED/],
      [{ edited: { ...edited, findings: [] } }, /no finding says CONTENT_TAMPERED/],
    ]
    for (const [change, fault] of wrong) assert.match(faultsOf({ ...summary, ...change }).join(), fault)
  })
})
