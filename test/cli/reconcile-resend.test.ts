/** `reconcile --resend` with a real spool, a real database and a collector's stand-in. */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Resend, ResendReport } from '../../src/index.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { freshFolder, openAudit, recordsIn } from '../audit/opened.ts'
import { recordsAt } from '../support/delivered.ts'
import { migratedDatabase, unguard } from '../support/migrated.ts'
import { startOtlpBackend } from '../support/otlp-backend.ts'
import { queryOnce } from '../support/postgres.ts'
import { type Ended, runCli } from './run.ts'

function resendOf({ stdout, stderr }: Ended): Resend {
  const [resend] = (JSON.parse(stdout || '{}') as Partial<ResendReport>).resend ?? []
  assert.ok(resend, stderr)
  return resend
}

async function backendFor(t: TestContext) {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  return backend
}

test('rows that were deleted from a database are put back in their place, and the trail says so', async (t) => {
  const { url } = await migratedDatabase(t)
  const folder = freshFolder(t)
  const audit = openAudit(folder, { destinations: [{ type: 'postgres', url }], closeTimeoutMs: 5_000 })
  for (let index = 0; index < 30; index += 1) audit.emit({ action: 'order.place' })
  await audit.flush()
  const all = await queryOnce(url, 'select * from audit.record order by stream, seq')
  await queryOnce(url, `${unguard}; delete from audit.record where seq in (4, 5, 11) or seq between 17 and 20`)

  const asked = ['reconcile', '--from', join(folder, 'spool'), '--to', url, '--resend', '--json']
  const dry = await runCli([...asked, '--dry-run'])
  const ranges = resendOf(dry).planned.first.map(({ from, to }) => [from, to])
  assert.deepEqual(
    [dry.exitCode, resendOf(dry).outcome, ranges],
    [
      1,
      'planned',
      [
        [4, 5],
        [11, 11],
        [17, 20],
      ],
    ],
  )
  assert.equal(existsSync(join(folder, 'spool', 'resend')), false, 'nothing is asked for')

  const done = await runCli([...asked, '--why', 'rows deleted', '--operator', 'ann', '--wait', '60'])
  assert.deepEqual([done.exitCode, resendOf(done).outcome, resendOf(done).sent], [0, 'answered', 7], done.stderr)
  const now = await queryOnce(url, 'select * from audit.record order by stream, seq')
  assert.deepEqual(now.slice(0, all.length), all, 'column by column')
  assert.deepEqual(readdirSync(join(folder, 'spool', 'resend', 'postgres')), [])
  await audit.close()
  const { findings } = await verifySource(createPostgresSource(url), { verifiers: [], allowUnanchored: true })
  assert.deepEqual(findings, [])
  const fact = recordsIn(folder).find(({ action }) => action === 'audit.destination.resent')
  const { destination, count, operator, why } = fact?.details ?? {}
  assert.deepEqual([destination, count, operator, why], ['postgres', 7, 'ann', 'rows deleted'])
})

test('a row that contradicts the ones beside it is not put in: the destination refuses, and the command says why', async (t) => {
  const { url } = await migratedDatabase(t)
  const folder = freshFolder(t)
  const audit = openAudit(folder, { destinations: [{ type: 'postgres', url }], closeTimeoutMs: 5_000 })
  for (let index = 0; index < 8; index += 1) audit.emit({ action: 'order.place' })
  await audit.flush()
  const forge = `update audit.record set hash = sha256('another'), record = replace(convert_from(record, 'UTF8'),
     'order.place', 'order.forge')::bytea where seq = 5; delete from audit.record where seq = 6`
  await queryOnce(url, `${unguard}; ${forge}`)
  const asked = ['reconcile', '--from', join(folder, 'spool'), '--to', url, '--resend', '--wait', '60', '--json']
  const done = await runCli(asked)
  const { sent, refused } = resendOf(done)
  assert.deepEqual([done.exitCode, sent, refused?.count], [1, 0, 1], done.stdout)
  assert.match(refused?.first[0]?.reason ?? '', /fork/)
  const held = await queryOnce(url, 'select seq from audit.record where seq in (5, 6)')
  assert.deepEqual(held, [{ seq: '5' }])
})

test('what a collector lost goes to it again, what is not delivered yet does not, and what is gone is named', async (t) => {
  const backend = await backendFor(t)
  const folder = freshFolder(t)
  const spool = join(folder, 'spool')
  const options = { destinations: [{ type: 'otlp', endpoint: backend.url, protocol: 'http/json' } as const] }
  const audit = openAudit(folder, options)
  for (let index = 0; index < 12; index += 1) audit.emit({ action: 'order.place' })
  await audit.flush()
  const all = recordsAt(backend)
  const older = all.map((text) => text.replace(/"stream":"[^"]*"/, '"stream":"00000000-0000-0000-0000-00000000000a"'))
  const complete = join(folder, 'complete.ndjson')
  const copy = join(folder, 'copy.ndjson')
  writeFileSync(
    copy,
    all
      .filter((_, at) => at !== 3 && at !== 4)
      .map((text) => `${text}\n`)
      .join(''),
  )
  writeFileSync(complete, [...older.slice(0, 2), ...all].map((text) => `${text}\n`).join(''))
  backend.requests.length = 0
  const asked = ['reconcile', '--from', complete, '--spool', spool, '--to', copy, '--resend', '--wait', '60']
  const done = await runCli([...asked, '--json'])
  const { destination, sent, gone } = resendOf(done)
  assert.deepEqual([done.exitCode, destination, sent, gone.count], [1, 'otlp', 2, 2], done.stdout)
  const again = recordsAt(backend).filter((text) => all.includes(text))
  assert.deepEqual(again, [all[3], all[4]])

  await audit.flush()
  const whole = join(folder, 'whole.ndjson')
  writeFileSync(
    whole,
    recordsIn(folder)
      .map((record) => `${JSON.stringify(record)}\n`)
      .join(''),
  )
  backend.respond = (response) => {
    response.statusCode = 503
    response.end()
  }
  audit.emit({ action: 'order.late' })
  await audit.emit({ action: 'order.late' }).durable
  const late = await runCli(['reconcile', '--from', spool, '--to', whole, '--resend', '--json'])
  assert.deepEqual([late.exitCode, resendOf(late).outcome], [0, 'nothing'], late.stdout)
  assert.ok(resendOf(late).waiting.count >= 2)
  await audit.close()
})

test('a request that nobody was there to carry out is carried out by the next process', async (t) => {
  const backend = await backendFor(t)
  const folder = freshFolder(t)
  const spool = join(folder, 'spool')
  const options = {
    destinations: [{ type: 'otlp', endpoint: backend.url, protocol: 'http/json' } as const],
    closeTimeoutMs: 5_000,
  }
  const audit = openAudit(folder, options)
  for (let index = 0; index < 4; index += 1) audit.emit({ action: 'order.place' })
  await audit.close()
  const all = recordsAt(backend)
  const copy = join(folder, 'copy.ndjson')
  writeFileSync(
    copy,
    all
      .slice(1)
      .map((text) => `${text}\n`)
      .join(''),
  )
  backend.requests.length = 0
  const asked = await runCli(['reconcile', '--from', spool, '--to', copy, '--resend', '--wait', '0'])
  assert.match(asked.stdout, /otlp: asked for: the process that delivers does it, now or when it next runs/)
  assert.equal(asked.exitCode, 0)
  const next = openAudit(folder, options)
  const done = await runCli(['reconcile', '--from', spool, '--to', copy, '--resend', '--wait', '60'])
  assert.match(done.stdout, /otlp: 1 record sent again, and sealed as audit\.destination\.resent/)
  await next.close()
  assert.equal(recordsAt(backend).filter((text) => text === all[0]).length >= 1, true)
})

test('what cannot be meant is refused by name', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.ndjson')
  const audit = openAudit(folder, { destinations: [{ type: 'file', path }], closeTimeoutMs: 5_000 })
  audit.emit({ action: 'order.place' })
  await audit.close()
  const spool = join(folder, 'spool')
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [['--from', path, '--to', path, '--resend'], /--resend needs the spool directory/],
    [['--from', spool, '--to', path, '--dry-run'], /--dry-run says nothing without --resend/],
    [['--from', spool, '--to', path, '--resend', '--destination', 'fiel'], /no destination is named fiel\n.*are: file/],
    [['--from', spool, '--to', path, '--resend', '--wait', 'soon'], /--wait is soon; allowed/],
  ]
  for (const [argv, said] of refusals) {
    // One after the other: each is a run of the command.
    const { exitCode, stderr } = await runCli(['reconcile', ...argv])
    assert.equal(exitCode, 2, stderr)
    assert.match(stderr, said)
  }
})
